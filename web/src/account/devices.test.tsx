import { cleanup, fireEvent, screen, waitFor, within } from '@testing-library/react'
import { afterEach, describe, expect, it, vi } from 'vitest'
import type { Devices, Invite, OwnDevice, PendingDevice } from '../api/types'
import { Me } from '../shell/Me'
import type { Session } from '../state/session'
import type { Action } from '../state/state'
import { draw } from '../testing/draw'
import { live, node } from '../testing/samples'
import { type Adding, notAdding, stepOf } from './adding'

afterEach(cleanup)

const NOW = Date.parse('2026-11-22T10:00:00Z')
const mine: OwnDevice = { device: 'dev-alice', this: true, online: true, added_at: '2026-11-01T10:00:00Z', chats: 2 }
const second: OwnDevice = { device: 'dev-second-one', online: false, added_at: '2026-11-02T10:00:00Z', last_seen: '2026-11-20T08:00:00Z', chats: 1 }
const pending: PendingDevice = { device: 'dev-second-one', label: 'laptop', address: '10.0.0.2', code: '012345' }
const link: Invite = { link: 'demes://device#abc', qr_svg: '<svg/>', expires_at: new Date(Date.now() + 600_000).toISOString() }
const only: Devices = { can_add: true, devices: [mine] }

describe('adding a device', () => {
  const step = (adding: Partial<Adding>, devices: Partial<Devices> = {}, now = NOW) => stepOf({ ...notAdding, ...adding }, { ...only, ...devices }, now).kind
  const good = { ...link, expires_at: '2026-11-22T10:10:00Z' }

  it('makes a link, which is over after its time', () => {
    expect(step({})).toBe('making')
    expect(step({ link: good })).toBe('link')
    expect(step({ link: good }, {}, NOW + 600_000)).toBe('over')
  })

  it('asks, also by a link that was made elsewhere', () => {
    expect(step({ link: good }, { pending })).toBe('asks')
    expect(step({}, { pending })).toBe('asks')
    expect(step({ link: good, refused: true }, { pending })).toBe('asks')
    expect(step({ link: good, refused: true })).toBe('refused')
  })

  it('follows the device into the chats', () => {
    const taken = { taken: pending }
    expect(step(taken, { pending })).toBe('comes')
    expect(step(taken, { devices: [mine, second] })).toBe('comes')
    expect(step(taken, { devices: [mine, { ...second, chats: 2 }] })).toBe('in')
    expect(step(taken, { devices: [{ ...mine, chats: 0 }] })).toBe('in')
    expect(step(taken, { pending: { ...pending, device: 'dev-third' } })).toBe('asks')
  })
})

const opened: Action[] = [
  { type: 'opened', node, chats: [], asOf: 0, read: {}, at: 0 },
  { type: 'connection', to: 'open', at: 0 },
]

/** The corner of the page in which the account is, over a node with these devices. */
async function show(devices: Devices, more: object = {}) {
  const api = {
    account: () => Promise.resolve({ account: 'acc', device: 'dev-alice', device_number: 1, has_words: devices.can_add, words_saved: true }),
    lock: () => Promise.resolve({ locked: false, has_passphrase: false, key: 'key-file' }),
    devices: vi.fn(() => Promise.resolve(devices)), ...more,
  }
  const drawn = draw(<></>)
  Object.defineProperty(drawn.session, 'api', { get: () => api })
  opened.forEach(drawn.session.store.dispatch)
  drawn.draw(<Me onSheet={() => undefined} />)
  await waitFor(() => expect(api.devices).toHaveBeenCalled())
  return { api, session: drawn.session as Session }
}

async function openAccount() {
  fireEvent.click(await screen.findByRole('button', { name: /you and your settings/ }))
  fireEvent.click(await screen.findByRole('menuitem', { name: 'Your account' }))
  return within(await screen.findByRole('region', { name: 'Your devices' }))
}

describe('your devices', () => {
  it('are listed; another one is revoked after a question', async () => {
    const revokeDevice = vi.fn(() => Promise.resolve({ ...only, devices: [mine, second] }))
    await show({ ...only, devices: [mine, second] }, { revokeDevice })
    const part = await openAccount()
    expect(part.getAllByRole('listitem').map((item) => item.textContent)).toEqual([
      expect.stringContaining('This devicehere · in 2 chats'),
      expect.stringMatching(/^Device dev-secolast seen .*2026.* · in 1 chat/),
    ])
    fireEvent.click(part.getByRole('button', { name: 'Revoke Device dev-seco' }))
    const question = within(await screen.findByRole('dialog', { name: 'Revoke Device dev-seco?' }))
    expect(revokeDevice).not.toHaveBeenCalled()
    fireEvent.click(question.getByRole('button', { name: 'Revoke' }))
    await waitFor(() => expect(revokeDevice).toHaveBeenCalledWith('dev-second-one'))
    expect(await part.findByText(/leaves your chats/)).toBeTruthy()
  })

  it('say why none can be added here', async () => {
    await show({ can_add: false, devices: [mine] })
    const part = await openAccount()
    expect(part.getByText(/your account’s words are not on it/)).toBeTruthy()
    expect(part.queryByRole('button', { name: 'Add a device' })).toBeNull()
  })

  it('are added by a link, which stays the same while it is good', async () => {
    const addDevice = vi.fn(() => Promise.resolve(link))
    await show(only, { addDevice })
    const part = await openAccount()
    fireEvent.click(part.getByRole('button', { name: 'Add a device' }))
    const command = await screen.findByLabelText<HTMLTextAreaElement>('Run this on the new device')
    expect(command.value).toBe('demes run --link demes://device#abc')
    expect(screen.getByRole('timer').textContent).toMatch(/^(10:00|9:5\d)$/)
    fireEvent.keyDown(command, { key: 'Escape' })
    await waitFor(() => expect(screen.queryByRole('timer')).toBeNull())
    fireEvent.click(part.getByRole('button', { name: 'Add a device' }))
    await screen.findByRole('timer')
    expect(addDevice).toHaveBeenCalledTimes(1)
  })
})

describe('a device that asks', () => {
  const asking = async (more: object = {}) => {
    const devices = vi.fn(() => Promise.resolve<Devices>(only))
    const drawn = await show(only, { devices, ...more })
    devices.mockImplementation(() => Promise.resolve({ ...only, pending }))
    drawn.session.store.dispatch(live({ type: 'device', detail: pending }))
    fireEvent.click(await screen.findByRole('button', { name: 'Compare the codes' }))
    const group = await screen.findByRole('group', { name: 'laptop asks, with the code 0 1 2 3 4 5' })
    expect(group.textContent).toContain('012 345')
    return { ...drawn, group, devices }
  }

  it('has the focus on its code, and is confirmed', async () => {
    const confirmDevice = vi.fn(() => Promise.resolve({ ...only, devices: [mine, second] }))
    const { group } = await asking({ confirmDevice })
    await waitFor(() => expect(document.activeElement).toBe(group))
    fireEvent.click(screen.getByRole('button', { name: 'Confirm' }))
    expect(await screen.findByText(/is yours now, and comes into/)).toBeTruthy()
    expect(screen.getByText(/In 1 of 2 of your chats/)).toBeTruthy()
  })

  it('is not confirmed if another one asks by then', async () => {
    const confirmDevice = vi.fn()
    const { devices } = await asking({ confirmDevice })
    devices.mockImplementation(() => Promise.resolve({ ...only, pending: { ...pending, device: 'dev-other', label: 'phone', code: '999999' } }))
    fireEvent.click(screen.getByRole('button', { name: 'Confirm' }))
    await screen.findByRole('group', { name: /phone asks/ })
    expect(confirmDevice).not.toHaveBeenCalled()
  })

  it('is refused by a new link, which makes its own void', async () => {
    const { devices, api } = await asking({ addDevice: vi.fn(() => Promise.resolve(link)) })
    devices.mockImplementation(() => Promise.resolve(only))
    fireEvent.click(screen.getByRole('button', { name: 'Refuse' }))
    expect(await screen.findByText(/was refused/)).toBeTruthy()
    expect((api as unknown as { addDevice: unknown }).addDevice).toHaveBeenCalledTimes(1)
    fireEvent.click(screen.getByRole('button', { name: 'Show a new link' }))
    expect(await screen.findByRole('timer')).toBeTruthy()
  })
})
