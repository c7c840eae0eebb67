import { cleanup, fireEvent, screen, waitFor } from '@testing-library/react'
import { afterEach, describe, expect, it, vi } from 'vitest'
import { ApiError } from '../api/client'
import type { Account, Lock, Safety as SafetyNumber } from '../api/types'
import { Members } from '../people/Members'
import { PassphraseScreen } from '../shell/PassphraseScreen'
import { shownNames } from '../text/harmless'
import { draw } from '../testing/draw'
import { chat, member } from '../testing/samples'
import { AccountDialog } from './AccountDialog'
import type { Session } from '../state/session'

afterEach(cleanup)

const open: Lock = { locked: false, has_passphrase: false, key: 'key-file' }
const guarded: Lock = { locked: false, has_passphrase: true, key: 'passphrase' }
const mine: Account = { account: 'acc', device: 'dev', device_number: 17, has_words: true, words_saved: false }
const wrong = new ApiError({ code: 'wrong-passphrase', title: 'The passphrase is wrong', detail: 'Try again.' })

/** Gives the session a node that answers these calls. */
function withApi(session: Session, api: object): void {
  Object.defineProperty(session, 'api', { get: () => api })
}

describe('the lock screen', () => {
  it('unlocks with the keyboard only, and says when the passphrase is wrong', async () => {
    const { session } = draw(<PassphraseScreen />)
    const unlock = vi.fn().mockRejectedValueOnce(wrong).mockResolvedValueOnce({})
    withApi(session, { unlock })
    const field = screen.getByLabelText<HTMLInputElement>('Passphrase')
    expect(document.activeElement).toBe(field)
    expect(field.type).toBe('password')
    fireEvent.submit(field)
    expect(unlock).not.toHaveBeenCalled()
    fireEvent.change(field, { target: { value: 'guess' } })
    fireEvent.submit(field)
    expect((await screen.findByRole('alert')).textContent).toContain('The passphrase is wrong')
    expect(field.value).toBe('guess')
    fireEvent.change(field, { target: { value: 'right one' } })
    fireEvent.submit(field)
    await waitFor(() => expect(unlock.mock.calls).toEqual([['guess'], ['right one']]))
    await waitFor(() => expect(screen.queryByRole('alert')).toBeNull())
  })
})

describe('the account', () => {
  const show = (account: Account, lock: Lock, api: object) => {
    const refresh = vi.fn()
    const { session } = draw(<AccountDialog known={{ account, lock, refresh }} devices={null} open onClose={() => undefined} />)
    withApi(session, api)
    return refresh
  }

  it('shows the words when asked, and forgets them when they are written down', async () => {
    const words = Array.from({ length: 24 }, (_, place) => `word${place}`)
    const noteWords = vi.fn().mockResolvedValue({})
    const refresh = show(mine, open, { words: vi.fn().mockResolvedValue(words), noteWords })
    expect(screen.queryByText('word0')).toBeNull()
    fireEvent.click(screen.getByRole('button', { name: 'Show the words' }))
    await screen.findByText('word23')
    fireEvent.click(screen.getByRole('button', { name: 'I have written them down' }))
    await waitFor(() => expect(refresh).toHaveBeenCalled())
    expect(noteWords).toHaveBeenCalledWith(true)
    expect(screen.queryByText('word0')).toBeNull()
  })

  it('asks for the passphrase before it shows the words', async () => {
    const words = vi.fn().mockRejectedValue(wrong)
    show(mine, guarded, { words })
    expect(screen.getByRole<HTMLButtonElement>('button', { name: 'Show the words' }).disabled).toBe(true)
    fireEvent.change(screen.getByLabelText('Your passphrase'), { target: { value: 'x' } })
    fireEvent.click(screen.getByRole('button', { name: 'Show the words' }))
    expect((await screen.findByRole('alert')).textContent).toContain('wrong')
    expect(words).toHaveBeenCalledWith('x')
  })

  it('says where the words are when they are not here', () => {
    show({ ...mine, has_words: false }, open, {})
    expect(screen.getByText(/another one added it/)).toBeTruthy()
    expect(screen.queryByRole('button', { name: /Export/ })).toBeNull()
  })

  it('sets a passphrase that was typed twice', async () => {
    const setPassphrase = vi.fn().mockResolvedValue({})
    const refresh = show(mine, open, { setPassphrase })
    fireEvent.click(screen.getByRole('button', { name: 'Set a passphrase' }))
    const save = screen.getByRole<HTMLButtonElement>('button', { name: 'Save' })
    const type = (label: string, value: string) => fireEvent.change(screen.getByLabelText(label), { target: { value } })
    type('New passphrase', 'four random words')
    type('The same again', 'four random word')
    expect(save.disabled).toBe(true)
    expect(screen.getByText('The two are not the same.')).toBeTruthy()
    type('The same again', 'four random words')
    fireEvent.click(save)
    await waitFor(() => expect(refresh).toHaveBeenCalled())
    expect(setPassphrase).toHaveBeenCalledWith({ new: 'four random words' })
  })

  it('removes a passphrase with the one that is set', async () => {
    const setPassphrase = vi.fn().mockResolvedValue({})
    show(mine, guarded, { setPassphrase })
    fireEvent.click(screen.getByRole('button', { name: 'Remove it' }))
    fireEvent.change(screen.getByLabelText('Your passphrase now'), { target: { value: 'old one' } })
    fireEvent.click(screen.getByRole('button', { name: 'Remove the passphrase' }))
    await waitFor(() => expect(setPassphrase).toHaveBeenCalledWith({ old: 'old one' }))
  })
})

describe('safety numbers', () => {
  const number: SafetyNumber = {
    account: 'acc-bob', name: 'bob', digits: Array.from({ length: 12 }, (_, n) => `${10_000 + n}`).join(' '), qr_svg: '<svg/>', verified: false, changed: false,
  }
  const show = (api: object) => {
    const here = chat({ members: [member('alice'), member('bob'), { ...member('alice'), device: 'dev-second' }] })
    const { session } = draw(<Members chat={here} names={shownNames(here.members)} me="dev-alice" />)
    withApi(session, api)
  }

  it('are offered for others, compared, and marked', async () => {
    const setVerified = vi.fn().mockResolvedValue({ ...number, verified: true })
    show({ safety: vi.fn().mockResolvedValue(number), setVerified })
    expect(screen.getAllByRole('button', { name: /safety number/ })).toHaveLength(1)
    fireEvent.click(screen.getByRole('button', { name: /safety number with bob/ }))
    await screen.findByText('10011')
    fireEvent.click(screen.getByRole('button', { name: 'They match' }))
    await screen.findByText(/You have compared them/)
    expect(setVerified).toHaveBeenCalledWith('c1', 'acc-bob', true)
    expect(screen.getByRole('button', { name: 'Take the mark away' })).toBeTruthy()
  })

  it('say that a device is new', async () => {
    show({ safety: vi.fn().mockResolvedValue({ ...number, changed: true }) })
    fireEvent.click(screen.getByRole('button', { name: /safety number with bob/ }))
    expect(await screen.findByText('There is a new device.')).toBeTruthy()
  })
})
