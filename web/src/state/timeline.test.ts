import { expect, it } from 'vitest'
import { after, chat, live, loaded, member, message, roomOf, settled, who } from '../testing/samples'
import { timeline } from './timeline'

const kinds = (state: ReturnType<typeof after>) => timeline(roomOf(state)).map((row) => row.kind)

it('separates days', () => {
  const next = { ...settled('bob', 2, 2), sent_at: '2026-11-24T10:00:00Z' }
  expect(kinds(after(chat(), loaded(settled('bob', 1, 1), next)))).toEqual(['day', 'message', 'day', 'message'])
})

it('puts messages of one author together until something comes between', () => {
  const state = after(chat(), loaded(settled('bob', 1, 1), settled('bob', 2, 2), settled('carol', 1, 3)))
  const shape = timeline(roomOf(state)).flatMap((row) => (row.kind === 'message' ? [[row.first, row.last]] : []))
  expect(shape).toEqual([[true, false], [false, true], [true, true]])
})

it('keeps a host change behind the message it followed', () => {
  const gone = [member('alice', { online: false }), member('bob'), member('carol')]
  const state = after(
    chat(), loaded(settled('bob', 1, 1)), live({ type: 'host', detail: chat({ host: who('bob'), members: gone, position: 1 }) }),
    live({ type: 'message', message: settled('carol', 1, 2) }),
  )
  expect(kinds(state)).toEqual(['day', 'message', 'notice', 'message'])
})

it('marks the first new message', () => {
  const state = after(
    chat({ position: 1 }), live({ type: 'message', message: settled('carol', 1, 2) }), { type: 'selected', chat: 'c1' },
    loaded(settled('bob', 1, 1), settled('carol', 1, 2)),
  )
  expect(kinds(state)).toEqual(['day', 'message', 'new', 'message'])
})

it('shows what waits to be sent at the end, once', () => {
  const item = { key: 'k', text: 'hi', at: '2026-11-22T10:00:00Z', sending: false }
  const waiting = after(chat(), loaded(settled('bob', 1, 1)), { type: 'queued', chat: 'c1', item })
  expect(kinds(waiting)).toEqual(['day', 'message', 'queued'])
  const copied = after(
    chat(), loaded(settled('bob', 1, 1)), { type: 'queued', chat: 'c1', item }, { type: 'sending', chat: 'c1', key: 'k', sending: true },
    live({ type: 'message', message: message('alice', 1, { text: 'hi' }) }),
  )
  expect(kinds(copied)).toEqual(['day', 'message', 'message'])
})
