import { cleanup, fireEvent, screen, waitFor } from '@testing-library/react'
import { afterEach, describe, expect, it, vi } from 'vitest'
import { draw } from '../testing/draw'
import { chat } from '../testing/samples'
import { Banners } from './Banners'

afterEach(cleanup)

const stale = chat({ mode: 'provisional', problem: { code: 'stale-copy', title: 'This device’s copy of the chat is old', detail: 'demes device renew' } })

function show(canAdd: boolean) {
  const drawn = draw(<></>)
  const api = { devices: () => Promise.resolve({ can_add: canAdd, devices: [] }), renewDevice: vi.fn(() => Promise.resolve({})) }
  Object.defineProperty(drawn.session, 'api', { get: () => api })
  drawn.draw(<Banners chat={stale} />)
  return { ...drawn, api }
}

describe('an old copy', () => {
  it('goes on as a new device', async () => {
    const { api, session } = show(true)
    fireEvent.click(await screen.findByRole('button', { name: 'Go on as a new device' }))
    expect(screen.queryByText(/Everything you write goes on/)).toBeNull()
    await waitFor(() => expect(api.renewDevice).toHaveBeenCalledTimes(1))
    await waitFor(() => expect(session.store.get().toasts.map((toast) => toast.title)).toEqual(['This is a new device now']))
  })

  it('says what to do where the account’s words are elsewhere', async () => {
    show(false)
    expect(await screen.findByText(/your account’s words are on another device/)).toBeTruthy()
    expect(screen.queryByRole('button')).toBeNull()
  })
})

describe('earlier messages', () => {
  it('are counted while they come, and not read aloud one by one', () => {
    draw(<Banners chat={chat({ history: { done: 1_200, total: 3_400 } })} />)
    const line = screen.getByText(/Fetching earlier messages … 1.?200 of 3.?400/)
    expect(line.closest('[aria-live]')?.getAttribute('aria-live')).toBe('off')
    expect(screen.getByRole<HTMLProgressElement>('progressbar').value).toBe(1_200)
  })
})
