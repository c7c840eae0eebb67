import { cleanup, screen } from '@testing-library/react'
import { afterEach, expect, it } from 'vitest'
import type { Chat } from '../api/types'
import { newRoom } from '../state/room'
import { draw } from '../testing/draw'
import { chat, member, who } from '../testing/samples'
import { LobbyScreen } from './LobbyScreen'
import { measuredPairs } from './Measured'

const lobby = (more: Partial<Chat> = {}) => chat({ phase: 'lobby', generation: 0, ...more })
const show = (each: Chat) => draw(<LobbyScreen room={newRoom(each, 0, 0, 0)} />)
afterEach(cleanup)

it('lets only the founder start', () => {
  show(lobby())
  expect(screen.getByRole('button', { name: 'Start chat' })).toBeTruthy()
  cleanup()
  show(lobby({ me: 'dev-bob' }))
  expect(screen.queryByRole('button', { name: 'Start chat' })).toBeNull()
  expect(document.body.textContent).toContain('Waiting for alice to start the chat')
})

it('says that nobody can start once the founder has left', () => {
  const members = [{ ...member('alice', { role: 'founder' }), leaving: true }, member('bob'), member('carol', { online: false })]
  show(lobby({ me: 'dev-bob', members }))
  expect(document.body.textContent).toContain('alice has left, and nobody else can start this chat')
  expect(screen.getByRole('heading', { name: '1 here' })).toBeTruthy()
})

it('shows who knocks, with the code to compare', () => {
  show(lobby({ knocks: [{ ...who('dora'), code: '482913', address: '192.168.1.7' }] }))
  expect(screen.getByRole('button', { name: 'Admit dora' })).toBeTruthy()
  expect(document.body.textContent).toContain('482 913')
})

it('counts the pairs that are measured, in either direction, of those who are here', () => {
  const members = [member('a'), member('b'), member('c'), member('d', { online: false })]
  const rtt_ms = [[0, null, 30, 9], [20, 0, null, 9], [null, null, 0, 9], [9, 9, 9, 0]]
  const measured = measuredPairs(lobby({ members, latency: { devices: members.map((each) => each.device), rtt_ms } }))
  expect(measured).toEqual({ measured: 2, pairs: 3, slowest: 30 })
})
