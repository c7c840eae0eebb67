import { cleanup, fireEvent, screen, within } from '@testing-library/react'
import { afterEach, describe, expect, it, vi } from 'vitest'
import type { Api } from '../api/client'
import type { Chat } from '../api/types'
import { draw } from '../testing/draw'
import { chat, member } from '../testing/samples'
import { shownNames } from '../text/harmless'
import { DetailsDialog } from './DetailsDialog'

afterEach(cleanup)

const api = {
  changeChat: vi.fn(() => Promise.resolve()), setRole: vi.fn(() => Promise.resolve()), removeMember: vi.fn(() => Promise.resolve()),
}

function show(of: Chat, me = 'dev-alice') {
  vi.clearAllMocks()
  const drawn = draw(<></>)
  Object.defineProperty(drawn.session, 'api', { value: api as unknown as Api })
  drawn.draw(<DetailsDialog chat={of} names={shownNames(of.members)} me={me} open onClose={vi.fn()} />)
}

describe('the details of a chat', () => {
  it('change the title', () => {
    show(chat())
    const title = screen.getByRole<HTMLInputElement>('textbox', { name: 'Title' })
    fireEvent.change(title, { target: { value: ' Ridge <b> ' } })
    fireEvent.click(screen.getByRole('button', { name: 'Save' }))
    expect(api.changeChat).toHaveBeenCalledWith('c1', { title: 'Ridge <b>' })
  })

  it('change the rules', () => {
    show(chat())
    fireEvent.change(screen.getByRole('combobox', { name: 'Messages disappear' }), { target: { value: '86400' } })
    expect(api.changeChat).toHaveBeenLastCalledWith('c1', { settings: { disappear_after_s: 86_400 } })
    fireEvent.click(screen.getByRole('checkbox', { name: 'Only the founder and admins invite' }))
    expect(api.changeChat).toHaveBeenLastCalledWith('c1', { settings: { disappear_after_s: 86_400, admins_invite: true } })
  })

  it('take a time of one\'s own', () => {
    show(chat())
    fireEvent.change(screen.getByRole('combobox', { name: 'Messages disappear' }), { target: { value: 'custom' } })
    expect(api.changeChat).not.toHaveBeenCalled()
    fireEvent.change(screen.getByRole('spinbutton', { name: 'How many' }), { target: { value: '3' } })
    fireEvent.change(screen.getByRole('combobox', { name: 'Unit of time' }), { target: { value: '86400' } })
    fireEvent.click(screen.getByRole('button', { name: 'Set' }))
    expect(api.changeChat).toHaveBeenLastCalledWith('c1', { settings: { disappear_after_s: 259_200 } })
  })

  it('show a member the rules, and nothing to change them with', () => {
    show(chat({ settings: { admins_invite: true, disappear_after_s: 3_600 } }), 'dev-bob')
    expect(screen.queryByRole('textbox')).toBeNull()
    expect(screen.queryByRole('checkbox')).toBeNull()
    expect(screen.getByText('After 1 hour')).toBeTruthy()
    expect(screen.queryByRole('button', { name: /What to do with/ })).toBeNull()
  })

  it('list people, not devices', () => {
    show(chat({ members: [member('alice', { role: 'founder' }), member('bob'), member('bob2', { account: 'acc-bob' })] }))
    const list = within(screen.getByRole('region', { name: 'People and roles' }))
    expect(list.getAllByRole('listitem')).toHaveLength(2)
    expect(list.getByText('member · 2 devices')).toBeTruthy()
  })

  it('show the encryption and a code in groups of five', () => {
    show(chat({ suite: 'MLS_X', post_quantum: true, epoch: 7, epoch_code: '123450000011111222223333344444' }))
    expect(screen.getByRole('heading', { name: 'End-to-end encrypted' })).toBeTruthy()
    expect(screen.getByRole('group', { name: 'Code of this epoch' }).textContent?.trim()).toBe('12345 00000 11111 22222 33333 44444')
    expect(screen.getByText('post-quantum hybrid')).toBeTruthy()
    expect(screen.getByText('MLS_X')).toBeTruthy()
  })

  it.each([
    [{ state: 'good' as const }, 'This device has the keys of this epoch.'],
    [{ state: 'waiting' as const, waits_for: '1 of bob, carol' }, 'New keys wait for 1 of bob, carol.'],
    [{ state: 'lost' as const, missing: { done: 2, total: 8 } }, 'Coming back with new keys …'],
  ])('say how the keys are: %o', (keys, words) => {
    show(chat({ keys }))
    expect(screen.getByText(words)).toBeTruthy()
  })
})
