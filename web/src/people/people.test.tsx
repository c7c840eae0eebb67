import { cleanup, fireEvent, screen, waitFor } from '@testing-library/react'
import { afterEach, describe, expect, it, vi } from 'vitest'
import { draw } from '../testing/draw'
import { chat, member } from '../testing/samples'
import { shownNames } from '../text/harmless'
import { InviteDialog } from './InviteDialog'
import { Members } from './Members'

afterEach(cleanup)

describe('an invite', () => {
  it('shares what was said before only if the user says so', async () => {
    const drawn = draw(<></>)
    const invite = vi.fn((_chat: string, history: boolean) => Promise.resolve({
      link: history ? 'demes://join#past' : 'demes://join#plain', qr_svg: '<svg/>', expires_at: '2126-01-01T00:00:00Z',
    }))
    Object.defineProperty(drawn.session, 'api', { get: () => ({ invite }) })
    drawn.draw(<InviteDialog chat="c1" open onClose={() => undefined} />)
    const shown = await screen.findByLabelText<HTMLTextAreaElement>('Invite link')
    expect(shown.value).toBe('demes://join#plain')
    const box = screen.getByRole<HTMLInputElement>('checkbox', { name: 'Share what was said before' })
    fireEvent.click(box)
    await waitFor(() => expect(shown.value).toBe('demes://join#past'))
    expect(box.checked).toBe(true)
    fireEvent.click(box)
    await waitFor(() => expect(shown.value).toBe('demes://join#plain'))
    expect(invite.mock.calls).toEqual([['c1', false], ['c1', true]])
  })

  it('unchecks the box if the link cannot be made', async () => {
    const drawn = draw(<></>)
    const invite = vi.fn().mockResolvedValueOnce({ link: 'demes://join#plain', qr_svg: '<svg/>', expires_at: '2126-01-01T00:00:00Z' })
    invite.mockRejectedValueOnce(new Error('no'))
    Object.defineProperty(drawn.session, 'api', { get: () => ({ invite }) })
    drawn.draw(<InviteDialog chat="c1" open onClose={() => undefined} />)
    await screen.findByLabelText('Invite link')
    const box = screen.getByRole<HTMLInputElement>('checkbox')
    fireEvent.click(box)
    await waitFor(() => expect(box.checked).toBe(false))
  })
})

describe('the members', () => {
  it('show who may read what was said before, and who came back with new keys', () => {
    const here = chat({ members: [member('alice'), member('bob', { history: true }), member('carol', { rejoined_at: '2026-11-20T10:00:00Z' })] })
    draw(<Members chat={here} names={shownNames(here.members)} me="dev-alice" />)
    expect(screen.getAllByText('history')).toHaveLength(1)
    expect(screen.getByText(/^came back with new keys on .*2026/)).toBeTruthy()
  })
})
