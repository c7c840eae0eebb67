import { describe, expect, it } from 'vitest'
import { after, chat, live, loaded, member, message, node, roomOf, settled, who } from '../testing/samples'
import { reduce } from './reduce'
import { heldBy, listedRooms, totalUnread, unreadOf, WINDOW_LIMIT } from './state'

const ids = (state: ReturnType<typeof after>) => roomOf(state).messages.map((each) => each.id)
const queued = { key: 'k1', text: 'hello', at: '2026-11-22T10:00:00Z', sending: false }

describe('messages', () => {
  it('stand by position, unsettled ones behind in the order told', () => {
    const state = after(chat({ position: 2 }), loaded(settled('bob', 2, 2), settled('bob', 1, 1), message('carol', 9), message('bob', 3)))
    expect(ids(state)).toEqual(['dev-bob/1', 'dev-bob/2', 'dev-carol/9', 'dev-bob/3'])
  })

  it('move to their place when they are settled in another order', () => {
    const state = after(
      chat(), loaded(message('bob', 1), message('carol', 1)),
      live({ type: 'settled', messages: [settled('carol', 1, 1), settled('bob', 1, 2)] }),
    )
    expect(ids(state)).toEqual(['dev-carol/1', 'dev-bob/1'])
    expect(roomOf(state).chat.position).toBe(2)
  })

  it('keeps what was told while the first page, which is older, was on its way', () => {
    const state = after(
      chat(),
      live({ type: 'message', message: message('alice', 1) }),
      live({ type: 'settled', messages: [settled('alice', 1, 2)] }),
      live({ type: 'settled', messages: [settled('carol', 1, 3)] }),
      live({ type: 'settled', messages: [settled('bob', 9, 1)] }),
      loaded(settled('bob', 9, 1), message('alice', 1)),
    )
    expect(roomOf(state).messages.map((each) => [each.id, each.position])).toEqual([
      [settled('bob', 9, 1).id, 1], [message('alice', 1).id, 2], [settled('carol', 1, 3).id, 3],
    ])
    expect(roomOf(state).early).toEqual([])
  })

  it('are never taken back by a late answer', () => {
    const state = after(chat(), loaded(), live({ type: 'settled', messages: [settled('bob', 1, 1)] }), loaded(message('bob', 1)))
    expect(roomOf(state).messages[0]?.state).toBe('settled')
  })

  it('take another position when a change of generation gave them one', () => {
    const state = after(
      chat(), loaded(settled('bob', 1, 1), settled('carol', 1, 2)),
      live({ type: 'settled', messages: [settled('carol', 1, 1), settled('bob', 1, 2)] }),
    )
    expect(ids(state)).toEqual(['dev-carol/1', 'dev-bob/1'])
  })

  it('appear once, however often they are told', () => {
    const again = live({ type: 'message', message: message('bob', 1) })
    expect(ids(after(chat(), loaded(), again, again, loaded(message('bob', 1))))).toEqual(['dev-bob/1'])
  })

  it('stay within the window, which then has older ones to load', () => {
    const many = Array.from({ length: WINDOW_LIMIT }, (_, at) => settled('bob', at + 1, at + 1))
    const next = WINDOW_LIMIT + 1
    const state = after(chat({ position: WINDOW_LIMIT }), loaded(...many), live({ type: 'message', message: settled('bob', next, next) }))
    expect(roomOf(state).messages.length).toBeLessThan(WINDOW_LIMIT)
    expect(roomOf(state).messages.at(-1)?.position).toBe(next)
    expect(roomOf(state).hasOlder).toBe(true)
  })

  it('do not join a window that has left the newest behind', () => {
    const many = Array.from({ length: WINDOW_LIMIT + 50 }, (_, at) => settled('bob', at + 1, at + 1))
    const older = { type: 'page' as const, chat: 'c1', where: 'older' as const, full: false, page: { messages: many.slice(0, 100), head: { generation: 1, position: 0, hash: '' } } }
    let state = after(chat({ position: many.length }), loaded(...many.slice(100)), older)
    expect(roomOf(state).hasNewer).toBe(true)
    const end = roomOf(state).messages.at(-1)?.position
    state = reduce(state, live({ type: 'message', message: settled('bob', 900, 900) }))
    expect(roomOf(state).messages.at(-1)?.position).toBe(end)
    expect(roomOf(state).last?.position).toBe(900)
  })
})

describe('who holds a message', () => {
  const marks = chat({ members: [member('alice'), member('bob', { held: 3 }), member('carol', { held: 2 })] })

  it('is counted from the marks of the members where they say more', () => {
    expect(heldBy({ ...settled('alice', 1, 2), held_by: 1 }, marks)).toBe(3)
    expect(heldBy({ ...settled('alice', 1, 3), held_by: 1 }, marks)).toBe(2)
  })

  it('is what the message says while it has no position', () => {
    expect(heldBy(message('alice', 1, { held_by: 2 }), marks)).toBe(2)
  })
})

describe('the outbox', () => {
  it('hides a queued message behind its copy, and forgets it when the answer comes', () => {
    const copy = message('alice', 1, { text: 'hello', state: 'pending' })
    let state = after(
      chat(), loaded(), { type: 'queued', chat: 'c1', item: queued }, { type: 'sending', chat: 'c1', key: 'k1', sending: true },
      live({ type: 'message', message: copy }),
    )
    expect(roomOf(state).outbox[0]?.echo).toBe(copy.id)
    state = reduce(state, { type: 'accepted', chat: 'c1', key: 'k1', message: copy })
    expect(roomOf(state).outbox).toEqual([])
    expect(ids(state)).toEqual([copy.id])
  })

  it('keeps a message that was never asked for, even if another with its text arrives', () => {
    const other = message('alice', 1, { text: 'hello' })
    const state = after(chat(), loaded(), { type: 'queued', chat: 'c1', item: queued }, live({ type: 'message', message: other }))
    expect(roomOf(state).outbox[0]?.echo).toBeUndefined()
  })

  it('shows it again when no answer came', () => {
    const copy = message('alice', 1, { text: 'hello' })
    const state = after(
      chat(), loaded(), { type: 'queued', chat: 'c1', item: queued }, { type: 'sending', chat: 'c1', key: 'k1', sending: true },
      live({ type: 'message', message: copy }), { type: 'sending', chat: 'c1', key: 'k1', sending: false },
    )
    expect(roomOf(state).outbox[0]).toMatchObject({ key: 'k1', sending: false })
    expect(roomOf(state).outbox[0]?.echo).toBeUndefined()
  })
})

describe('unread', () => {
  it('counts settled and unsettled messages of others once', () => {
    const state = after(
      chat({ position: 3 }), live({ type: 'message', message: message('bob', 1) }),
      live({ type: 'message', message: message('carol', 1) }), live({ type: 'settled', messages: [settled('bob', 1, 4)] }),
    )
    expect(totalUnread(state)).toBe(2)
  })

  it('ends when the chat is seen', () => {
    const state = after(chat(), live({ type: 'message', message: message('bob', 1) }), { type: 'seen', chat: 'c1' })
    expect(unreadOf(roomOf(state))).toBe(0)
  })

  it('does not count what this node says', () => {
    const state = after(chat(), live({ type: 'message', message: message('alice', 1) }), live({ type: 'settled', messages: [settled('alice', 1, 1)] }))
    expect(unreadOf(roomOf(state))).toBe(0)
  })

  it('marks where the new ones begin when the chat is opened', () => {
    const state = after(chat({ position: 5 }), live({ type: 'message', message: settled('bob', 1, 6) }), { type: 'selected', chat: 'c1' })
    expect(roomOf(state).newAfter).toBe(5)
  })
})

describe('host changes', () => {
  const away = [member('alice', { online: false }), member('bob'), member('carol')]

  it('say who went away and who hosts now', () => {
    const state = after(chat(), live({ type: 'host', detail: chat({ host: who('bob'), members: away }) }))
    expect(roomOf(state).notices).toMatchObject([{ kind: 'away', who: who('alice'), host: who('bob') }])
  })

  it('tell how long there was no host', () => {
    const state = after(
      chat(), live({ type: 'host', detail: chat({ host: null, members: away }) }, 1_000),
      live({ type: 'host', detail: chat({ host: who('bob'), members: away }) }, 1_700),
    )
    expect(roomOf(state).notices).toMatchObject([{ kind: 'away', gapMs: 700 }])
  })

  it('are no news when the same host is back', () => {
    const state = after(chat(), live({ type: 'host', detail: chat({ host: null }) }), live({ type: 'host', detail: chat() }))
    expect(roomOf(state).notices).toEqual([])
  })

  it('are corrected when the old host turns out to be away', () => {
    const moved = live({ type: 'host', detail: chat({ host: who('bob') }) }, 1_000)
    expect(roomOf(after(chat(), moved)).notices[0]?.kind).toBe('handed-over')
    const state = after(chat(), moved, live({ type: 'members', detail: chat({ host: who('bob'), members: away }) }, 2_000))
    expect(roomOf(state).notices[0]?.kind).toBe('away')
  })

  it('right after the start belong to the start', () => {
    const state = after(
      chat({ phase: 'lobby' }), live({ type: 'mode', detail: chat() }, 1_000),
      live({ type: 'host', detail: chat({ host: who('carol') }) }, 2_000),
    )
    expect(roomOf(state).notices).toMatchObject([{ kind: 'started', host: who('carol') }])
  })

  it('use the words of the node where it has some', () => {
    const state = after(chat(), live({ type: 'host', detail: chat({ host: who('bob') }), text: 'alice sleeps; bob hosts now' }))
    expect(roomOf(state).notices[0]?.text).toBe('alice sleeps; bob hosts now')
    const bare = after(chat(), live({ type: 'host', detail: chat({ host: who('bob'), members: away }), text: 'bob hosts now' }))
    expect(roomOf(bare).notices[0]).toMatchObject({ kind: 'away', text: undefined })
  })
})

describe('chats', () => {
  it('are not overwritten by an answer that is older than a live event', () => {
    const first = after(chat())
    const asOf = first.seq
    const moved = reduce(first, live({ type: 'host', detail: chat({ host: who('bob') }) }))
    const late = reduce(moved, { type: 'chat', chat: chat(), asOf, at: 0 })
    expect(roomOf(late).chat.host).toEqual(who('bob'))
  })

  it('take the answers of another run of the node', () => {
    const old = after(chat(), live({ type: 'host', detail: chat({ host: who('bob') }) }))
    const restarted = reduce(old, { type: 'live', event: { type: 'reset', seq: 1, run: 'r2' }, at: 0 })
    expect(restarted.seq).toBe(1)
    const fresh = reduce(restarted, { type: 'opened', node, chats: [chat({ title: 'New' })], asOf: 1, read: {}, at: 0 })
    expect(roomOf(fresh).chat.title).toBe('New')
  })

  it('that are gone from the node are gone from the page', () => {
    const state = reduce(after(chat(), { type: 'selected', chat: 'c1' }), { type: 'opened', node, chats: [], asOf: 9e9, read: {}, at: 0 })
    expect(state.rooms).toEqual({})
    expect(state.selected).toBeNull()
  })

  it('with news come first, those that are over last', () => {
    const chats = ['c1', 'c2', 'c3'].map((id) => chat({ id, phase: id === 'c1' ? 'left' : 'live' }))
    let state = reduce(after(chat()), { type: 'opened', node, chats, asOf: 9e9, read: {}, at: 0 })
    state = reduce(state, { type: 'live', event: { type: 'message', seq: 9e9, run: 'r1', chat: 'c3', message: message('bob', 1) }, at: 5 })
    expect(listedRooms(state).map((room) => room.chat.id)).toEqual(['c3', 'c2', 'c1'])
  })
})

describe('typing', () => {
  it('ends with the message, or by itself', () => {
    const typing = live({ type: 'typing', detail: who('bob') }, 1_000)
    expect(roomOf(after(chat(), typing)).typing).toHaveLength(1)
    expect(roomOf(after(chat(), typing, live({ type: 'message', message: message('bob', 1) }))).typing).toEqual([])
    expect(roomOf(after(chat(), typing, { type: 'clock', at: 8_000 })).typing).toEqual([])
  })
})

describe('the lock', () => {
  it('forgets what was shown, once', () => {
    const state = after(chat(), loaded(settled('bob', 1, 1)))
    const locked = reduce(state, { type: 'passphrase' })
    expect(locked.gate).toEqual({ kind: 'passphrase' })
    expect(JSON.stringify(locked)).not.toContain('bob')
    expect(locked.run).toBeNull()
    expect(reduce(locked, { type: 'passphrase' })).toBe(locked)
  })
})

describe('a message that changed', () => {
  const edited = { ...settled('bob', 2, 2), text: 'better', edited_at: '2026-11-22T11:00:00Z' }

  it('takes the place of the one that was known, and moves no chat to the top', () => {
    const before = after(chat({ position: 2 }), loaded(settled('bob', 1, 1), settled('bob', 2, 2)))
    const state = reduce(before, live({ type: 'message', message: edited }, 99_000))
    expect(roomOf(state).messages.map((each) => each.text)).toEqual(['bob 1', 'better'])
    expect(roomOf(state).touched).toBe(roomOf(before).touched)
    expect(roomOf(state).read).toBe(2)
  })

  it('stays out of a window that does not reach back to it', () => {
    const room = after(
      chat({ position: 300 }),
      { type: 'page', chat: 'c1', where: 'latest', full: true, page: { messages: [settled('bob', 300, 300)], head: { generation: 1, position: 300, hash: '' } } },
      live({ type: 'message', message: edited }),
    )
    expect(roomOf(room).messages.map((each) => each.position)).toEqual([300])
  })

  it('shows its reactions, also where another state of it is known', () => {
    const reactions = [{ emoji: '👍', by: [who('bob')], mine: false }]
    const state = after(chat(), loaded(settled('bob', 1, 1)), live({ type: 'message', message: { ...settled('bob', 1, 1), held_by: 1, reactions } }))
    expect(roomOf(state).messages[0]?.reactions).toEqual(reactions)
  })

  it('that was deleted does not come back with an old page', () => {
    const gone = { ...settled('bob', 1, 1), text: '', deleted: true }
    const state = after(chat(), loaded(settled('bob', 1, 1)), live({ type: 'message', message: gone }), loaded(settled('bob', 1, 1)))
    expect(roomOf(state).messages[0]?.deleted).toBe(true)
    expect(roomOf(state).messages[0]?.text).toBe('')
  })
})
