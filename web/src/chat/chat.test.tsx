import { cleanup, fireEvent, screen } from '@testing-library/react'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import type { Message } from '../api/types'
import { shownNames } from '../text/harmless'
import { draw } from '../testing/draw'
import { chat, member, message, settled, who } from '../testing/samples'
import { Banners } from './Banners'
import { ChatBar } from './ChatBar'
import { Composer } from './Composer'
import { MessageRow } from './MessageRow'

const names = shownNames(chat().members)
beforeEach(() => sessionStorage.clear())
afterEach(cleanup)

describe('the composer', () => {
  const show = (more: Parameters<typeof chat>[0] = {}, replyTo: Message | null = null) =>
    draw(<Composer chat={chat(more)} names={names} replyTo={replyTo} onReplyEnd={() => undefined} />)
  const field = () => screen.getByRole<HTMLTextAreaElement>('textbox', { name: 'Message' })
  const type = (text: string) => fireEvent.change(field(), { target: { value: text } })

  it('sends on Enter and is empty again', () => {
    const { sent } = show()
    type('hello')
    fireEvent.keyDown(field(), { key: 'Enter' })
    expect(sent).toEqual([{ chat: 'c1', text: 'hello', replyTo: undefined }])
    expect(field().value).toBe('')
  })

  it('makes a new line on Shift+Enter', () => {
    const { sent } = show()
    type('hello')
    expect(fireEvent.keyDown(field(), { key: 'Enter', shiftKey: true })).toBe(true)
    expect(sent).toEqual([])
  })

  it.each([{ isComposing: true }, { keyCode: 229 }])('leaves Enter to an input method (%o)', (how) => {
    const { sent } = show()
    type('にほん')
    fireEvent.keyDown(field(), { key: 'Enter', ...how })
    expect(sent).toEqual([])
  })

  it('sends without a host, and says what will happen', () => {
    const { sent } = show({ host: null })
    expect(field().placeholder).toBe('No host right now. Your message goes out when bob takes over')
    type('anyway')
    fireEvent.keyDown(field(), { key: 'Enter' })
    expect(sent).toHaveLength(1)
  })

  it('keeps a draft for each chat', () => {
    show({ id: 'c1' })
    type('half a thought')
    cleanup()
    show({ id: 'c2' })
    expect(field().value).toBe('')
    cleanup()
    show({ id: 'c1' })
    expect(field().value).toBe('half a thought')
  })

  it('sends nothing empty, and nothing that the node would refuse as too long', () => {
    const { sent } = show()
    for (const text of [' \n ', 'é'.repeat(8_193)]) {
      type(text)
      fireEvent.keyDown(field(), { key: 'Enter' })
    }
    expect(sent).toEqual([])
    expect(screen.getByText('2 bytes too long. Send it in parts.')).toBeTruthy()
  })

  it('answers the message that was chosen', () => {
    const { sent } = show({}, settled('bob', 7, 3))
    type('yes')
    fireEvent.keyDown(field(), { key: 'Enter' })
    expect(sent[0]?.replyTo).toBe('dev-bob/7')
  })
})

describe('a message', () => {
  const onResend = vi.fn()
  const show = (each: Message, quoted: Message | null = null) =>
    draw(
      <MessageRow message={each} quoted={quoted} heldBy={each.held_by} account="acc" names={names} me="dev-alice" first last onReply={vi.fn()} onJump={vi.fn()} onResend={onResend} />,
    )

  it('never becomes markup', () => {
    const { container } = show(message('bob', 1, { text: '<img src=x onerror=alert(1)><a href="javascript:x">y</a>' }))
    expect(container.querySelector('img, .text a')).toBeNull()
    expect(container.textContent).toContain('<img src=x onerror=alert(1)>')
  })

  it('opens its links without telling where from', () => {
    show(message('bob', 1, { text: 'see https://example.org/x.' }))
    const link = screen.getByRole('link', { name: 'https://example.org/x' })
    expect(link.getAttribute('rel')).toBe('noreferrer noopener')
  })

  it.each([
    [message('alice', 1, { state: 'pending', held_by: 1 }), 'pending'],
    [message('alice', 1, { state: 'sent', held_by: 2 }), 'sent · 2 of 3 hold it'],
    [settled('alice', 1, 4), 'settled · 3 of 3 hold it'],
    [message('alice', 1, { state: 'failed' }), 'failed'],
  ])('of one\'s own says its state in words', (each, words) => {
    show(each)
    expect(screen.getByRole('button', { name: words })).toBeTruthy()
  })

  it('that failed says why and can be sent again', () => {
    const problem = { code: 'epoch', title: 'Too old', detail: 'Send it again.' }
    show(message('alice', 1, { state: 'failed', problem }))
    expect(screen.getByRole('alert').textContent).toContain('Too old. Send it again.')
    fireEvent.click(screen.getByRole('button', { name: 'Send again' }))
    expect(onResend).toHaveBeenCalledOnce()
  })

  it('of another says only what is unusual', () => {
    show(message('bob', 1))
    expect(screen.getByRole('button', { name: 'not settled yet' })).toBeTruthy()
    cleanup()
    show(settled('bob', 1, 1))
    expect(screen.queryByRole('button', { name: /settled/ })).toBeNull()
  })

  it('is one sentence for who listens', () => {
    show(settled('bob', 1, 1))
    expect(screen.getByRole('article').getAttribute('aria-label')).toMatch(/^bob, .+: bob 1$/)
  })
})

describe('the head of the chat', () => {
  const words = (more: Parameters<typeof chat>[0]) => {
    draw(<ChatBar chat={chat(more)} me="dev-alice" names={names} panelOpen={false} onPanel={vi.fn()} onInvite={vi.fn()} />)
    return document.querySelector('.bar-sub')?.textContent
  }

  it('names the host', () => expect(words({ host: who('bob') })).toContain('bob hosts'))
  it('says that you host', () => expect(words({})).toContain('You host · next bob · 3 of 3 here'))
  it('says that nobody does', () => expect(words({ host: null })).toContain('No host right now'))
  it('calls a host without a quorum a relay', () => expect(words({ host: who('bob'), mode: 'provisional' })).toContain('bob relays'))
})

describe('the banner', () => {
  it('says whom a provisional chat waits for', () => {
    draw(<Banners chat={chat({ mode: 'provisional', waiting_for: ['bob', 'carol'], waiting_text: '1 of bob, carol' })} />)
    expect(screen.getByRole('status').textContent).toContain('Waiting for 1 of bob, carol.')
  })

  it('makes the words itself where the node has none', () => {
    draw(<Banners chat={chat({ mode: 'provisional', waiting_for: ['bob', 'carol'] })} />)
    expect(screen.getByRole('status').textContent).toContain('Waiting for bob and carol.')
  })

  it('is not there when all is well', () => {
    draw(<Banners chat={chat()} />)
    expect(screen.getByRole('status').textContent).toBe('')
  })
})

it('tells members apart whose names look alike', () => {
  const both = [member('alice'), member('аlice'), member('bob')]
  const shown = shownNames(both)
  expect(new Set(shown.values()).size).toBe(3)
})
