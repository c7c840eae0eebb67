import { cleanup, fireEvent, screen } from '@testing-library/react'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import type { Message } from '../api/types'
import { rightsOn } from '../state/rights'
import { shownNames } from '../text/harmless'
import { draw } from '../testing/draw'
import { chat, member, message, settled, who } from '../testing/samples'
import { Banners } from './Banners'
import { ChatBar } from './ChatBar'
import { Composer } from './Composer'
import { MessageRow } from './MessageRow'

const names = shownNames(chat().members)
beforeEach(() => {
  sessionStorage.clear()
  vi.clearAllMocks()
})
afterEach(cleanup)

describe('the composer', () => {
  const onEditEnd = vi.fn()
  const onEditLast = vi.fn()
  const composer = (more: Parameters<typeof chat>[0], replyTo: Message | null, editing: Message | null) => (
    <Composer chat={chat(more)} names={names} replyTo={replyTo} onReplyEnd={() => undefined} editing={editing} onEditEnd={onEditEnd} onEditLast={onEditLast} />
  )
  const show = (more: Parameters<typeof chat>[0] = {}, replyTo: Message | null = null, editing: Message | null = null) =>
    draw(composer(more, replyTo, editing))
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

  it('edits the message that was chosen, and keeps the draft for afterwards', async () => {
    const { session, draw: again } = show()
    type('half a thought')
    const edited: [string, string][] = []
    session.edit = (each, text) => Promise.resolve(edited.push([each.id, text]) > 0)
    again(composer({}, null, settled('alice', 7, 3)))
    const changed = screen.getByRole<HTMLTextAreaElement>('textbox', { name: 'New text of the message' })
    expect(changed.value).toBe('alice 7')
    fireEvent.change(changed, { target: { value: ' <b>better</b> ' } })
    fireEvent.keyDown(changed, { key: 'Enter' })
    await vi.waitFor(() => expect(onEditEnd).toHaveBeenCalledOnce())
    expect(edited).toEqual([['dev-alice/7', '<b>better</b>']])
    again(composer({}, null, null))
    expect(field().value).toBe('half a thought')
  })

  it('edits the last message on Arrow-Up, but only from an empty field', () => {
    show()
    type('x')
    fireEvent.keyDown(field(), { key: 'ArrowUp' })
    expect(onEditLast).not.toHaveBeenCalled()
    type('')
    fireEvent.keyDown(field(), { key: 'ArrowUp' })
    expect(onEditLast).toHaveBeenCalledOnce()
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
  const onDelete = vi.fn()
  const show = (each: Message, quoted: Message | null = null, more = chat()) =>
    draw(
      <MessageRow
        message={each} quoted={quoted} heldBy={each.held_by} account="acc" names={names} me="dev-alice" first last
        rights={rightsOn(more, 'dev-alice', each)} reached onReply={vi.fn()} onEdit={vi.fn()} onDelete={onDelete} onPick={vi.fn()} onJump={vi.fn()} onResend={onResend}
      />,
    )

  it('never becomes markup', () => {
    const { container } = show(message('bob', 1, { text: '<img src=x onerror=alert(1)><a href="javascript:x">y</a>' }))
    expect(container.querySelector('img, .text a')).toBeNull()
    expect(container.textContent).toContain('<img src=x onerror=alert(1)>')
  })

  it('shows reactions as buttons that say who, and toggles one\'s own', () => {
    const react = vi.fn(() => Promise.resolve(true))
    const reactions = [
      { emoji: '👍', by: [who('bob'), who('alice')], mine: true }, { emoji: '☃<b>\u202e', by: [{ device: 'dev-x', name: '<i>\u202eeve' }], mine: false },
    ]
    const { session, container } = show({ ...settled('bob', 1, 1), reactions })
    session.react = react
    const thumbs = screen.getByRole('button', { name: '👍 2 by bob and you' })
    expect(thumbs.getAttribute('aria-pressed')).toBe('true')
    fireEvent.click(thumbs)
    expect(react).toHaveBeenLastCalledWith(expect.anything(), '👍', false)
    fireEvent.click(screen.getByRole('button', { name: '☃<b> 1 by <i>eve' }))
    expect(react).toHaveBeenLastCalledWith(expect.anything(), '☃<b>\u202e', true)
    expect(container.querySelector('.reactions b, .reactions i')).toBeNull()
  })

  it.each([
    ['one\'s own', settled('alice', 1, 1), undefined, ['React', 'Reply to alice', 'Edit', 'Delete']],
    ['another\'s, as founder', settled('bob', 1, 1), undefined, ['React', 'Reply to bob', 'Delete']],
    ['another\'s, as member', settled('bob', 1, 1), chat({ members: [member('alice'), member('bob')] }), ['React', 'Reply to bob']],
    ['a deleted one', { ...settled('alice', 1, 1), deleted: true, text: '' }, undefined, []],
    ['a chat that was left', settled('alice', 1, 1), chat({ phase: 'left' }), []],
  ])('offers what one may do with %s', (_, each, more, tools) => {
    const { container } = show(each, null, more)
    expect([...container.querySelectorAll('.message-tools button')].map((button) => button.getAttribute('aria-label'))).toEqual(tools)
  })

  it('says when it was edited', () => {
    show({ ...settled('bob', 1, 1), edited_at: '2026-11-22T11:00:00Z' })
    expect(screen.getByText('edited').title).toMatch(/^Edited /)
    expect(screen.getByRole('article').getAttribute('aria-label')).toContain(', edited: bob 1')
  })

  it('that was deleted says so quietly', () => {
    show({ ...settled('bob', 1, 1), deleted: true, text: '' })
    expect(screen.getByText('Message deleted')).toBeTruthy()
    expect(screen.queryByRole('alert')).toBeNull()
  })

  it('whose time was over was deleted by nobody', () => {
    show({ ...settled('bob', 1, 1), deleted: true, text: '', expires_at: '2026-01-01T00:00:00Z' })
    expect(screen.getByText('Message disappeared')).toBeTruthy()
  })

  it('whose keys are missing waits, and is no error', () => {
    const { container } = show({ ...settled('bob', 1, 1), text: '', problem: { code: 'no-keys', title: 'T', detail: 'They come.' } })
    expect(screen.getByText('Waiting for keys')).toBeTruthy()
    expect(screen.queryByRole('alert')).toBeNull()
    expect(container.querySelector('.silence')?.getAttribute('title')).toBe('They come.')
  })

  it('quotes no text that was deleted', () => {
    show({ ...settled('bob', 2, 2), reply_to: 'dev-bob/1' }, { ...settled('bob', 1, 1), deleted: true, text: '' })
    expect(document.querySelector('.quote-text')?.textContent).toBe('Message deleted')
  })

  it('says how long it stays', () => {
    show({ ...settled('bob', 1, 1), expires_at: new Date(Date.now() + 3_700_000).toISOString() })
    expect(document.querySelector('time')?.title).toContain('Disappears in 1 hour')
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
    draw(<ChatBar chat={chat(more)} me="dev-alice" names={names} panelOpen={false} onPanel={vi.fn()} onInvite={vi.fn()} onDetails={vi.fn()} />)
    return document.querySelector('.bar-sub')?.textContent
  }

  it('names the host', () => expect(words({ host: who('bob') })).toContain('bob hosts'))
  it('says that you host', () => expect(words({})).toContain('You host · next bob · 3 of 3 here'))
  it('says that nobody does', () => expect(words({ host: null })).toContain('No host right now'))
  it('says that messages disappear', () => {
    words({ settings: { admins_invite: false, disappear_after_s: 86_400 } })
    expect(screen.getByText('Messages disappear after 1 day')).toBeTruthy()
  })
  it('calls a host without a quorum a relay', () => expect(words({ host: who('bob'), mode: 'provisional' })).toContain('bob relays'))
})

describe('the banner', () => {
  it('says that lost keys come back', () => {
    draw(<Banners chat={chat({ keys: { state: 'lost', missing: { done: 3, total: 9 } } })} />)
    expect(screen.getByRole('status').textContent).toContain('Coming back with new keys')
    expect(screen.getByRole('progressbar').getAttribute('aria-label')).toBe('3 of 9 messages were looked up at other members')
  })

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
