/** `(state, action) → state`, with no clock, no network and no browser. */
import type { LiveEvent } from '../api/types'
import { chatOf, messagesOf, newRoom, seen, withChat, withLast, withMessages, withPage } from './room'
import { type Action, initialState, meIn, type Queued, type Room, type State, TOAST_LIMIT, TYPING_MS, unreadOf } from './state'

function inRoom(state: State, id: string, change: (room: Room) => Room): State {
  const room = state.rooms[id]
  if (room === undefined) return state
  const next = change(room)
  return next === room ? state : { ...state, rooms: { ...state.rooms, [id]: next } }
}

function opened(state: State, action: Extract<Action, { type: 'opened' }>): State {
  const rooms: Record<string, Room> = {}
  action.chats.forEach((chat, place) => {
    const known = state.rooms[chat.id]
    rooms[chat.id] =
      known === undefined
        ? newRoom(chat, action.asOf, action.read[chat.id] ?? chat.position, action.at, -place)
        : withChat(known, chat, action.asOf, action.at)
  })
  const selected = state.selected !== null && rooms[state.selected] !== undefined ? state.selected : null
  return { ...state, gate: { kind: 'ready' }, node: action.node, rooms, selected }
}

function typed(state: State, event: Extract<LiveEvent, { type: 'typing' }>, at: number): State {
  const who = event.detail
  if (who === undefined) return state
  return inRoom(state, event.chat, (room) => {
    if (who.device === meIn(room.chat, state.node)) return room
    return { ...room, typing: [...room.typing.filter((typist) => typist.device !== who.device), { ...who, at }] }
  })
}

/** Lets go of who has stopped typing without a word. */
function stopped(state: State, now: number): State {
  const still = (room: Room) => room.typing.filter((typist) => now - typist.at < TYPING_MS)
  return Object.values(state.rooms).reduce((next, room) => {
    const typing = still(room)
    return typing.length === room.typing.length ? next : inRoom(next, room.chat.id, (each) => ({ ...each, typing }))
  }, state)
}

/** Sequence numbers count anew in each run of the node. */
function anotherRun(state: State, event: LiveEvent): State {
  const rooms = Object.entries(state.rooms).map(([id, room]): [string, Room] => [id, { ...room, asOf: 0 }])
  return { ...state, run: event.run, seq: event.seq, rooms: Object.fromEntries(rooms) }
}

function live(state: State, event: LiveEvent, at: number): State {
  const known = event.run === state.run ? { ...state, seq: Math.max(state.seq, event.seq) } : anotherRun(state, event)
  if (event.type === 'device') return { ...known, asked: known.asked + 1 }
  if (!('chat' in event) || event.chat === undefined) return known
  if (event.type === 'typing') return typed(known, event, at)
  const chat = chatOf(event)
  if (chat !== null && state.rooms[chat.id] === undefined) {
    const room = newRoom(chat, event.seq, chat.position, at)
    return { ...known, rooms: { ...known.rooms, [chat.id]: room } }
  }
  return inRoom(known, event.chat, (room) => {
    const next = chat === null ? room : withChat(room, chat, event.seq, at, 'text' in event ? event.text : undefined)
    const told = messagesOf(event)
    return told.length === 0 ? next : withMessages(next, told, meIn(next.chat, state.node), false, at)
  })
}

function selected(state: State, id: string | null): State {
  const before = state.selected
  const left =
    before !== null && before !== id ? inRoom(state, before, (room) => ({ ...room, newAfter: null })) : state
  const next = { ...left, selected: id }
  if (id === null || before === id) return next
  return inRoom(next, id, (room) => ({ ...room, newAfter: unreadOf(room) > 0 ? room.read : null }))
}

function inOutbox(room: Room, key: string, change: Partial<Queued>): Room {
  return { ...room, outbox: room.outbox.map((item) => (item.key === key ? { ...item, ...change } : item)) }
}

function withoutKey(room: Room, key: string): Room {
  return { ...room, outbox: room.outbox.filter((item) => item.key !== key) }
}

export function reduce(state: State, action: Action): State {
  switch (action.type) {
    case 'opened':
      return opened(state, action)
    case 'locked':
      return { ...state, gate: { kind: 'locked', problem: action.problem } }
    case 'passphrase':
      // A locked page forgets what it showed. The socket begins anew afterwards.
      if (state.gate.kind === 'passphrase') return state
      return { ...initialState, gate: { kind: 'passphrase' }, nextToast: state.nextToast }
    case 'connection': {
      const lostAt = action.to === 'open' ? null : (state.lostAt ?? action.at)
      return { ...state, connection: action.to, lostAt }
    }
    case 'node':
      return { ...state, node: action.node }
    case 'live':
      return live(state, action.event, action.at)
    case 'chat': {
      if (state.rooms[action.chat.id] === undefined) {
        const room = newRoom(action.chat, action.asOf, action.chat.position, action.at)
        return { ...state, rooms: { ...state.rooms, [action.chat.id]: room } }
      }
      return inRoom(state, action.chat.id, (room) => withChat(room, action.chat, action.asOf, action.at))
    }
    case 'page':
      return inRoom(state, action.chat, (room) => withPage(room, action.page, action.where, action.full))
    case 'last':
      return inRoom(state, action.chat, (room) => (room.last === null ? withLast(room, action.message, action.at) : room))
    case 'selected':
      return selected(state, action.chat)
    case 'clock':
      return stopped(state, action.at)
    case 'seen':
      return inRoom(state, action.chat, seen)
    case 'queued':
      return inRoom(state, action.chat, (room) => ({ ...room, outbox: [...room.outbox, action.item], newAfter: null }))
    case 'accepted':
      return inRoom(state, action.chat, (room) =>
        withMessages(withoutKey(room, action.key), [action.message], action.message.author.device, true, room.touched),
      )
    case 'rejected':
      return inRoom(state, action.chat, (room) => inOutbox(room, action.key, { problem: action.problem, sending: false }))
    case 'sending': {
      const change = { sending: action.sending, echo: undefined, problem: undefined }
      return inRoom(state, action.chat, (room) => inOutbox(room, action.key, change))
    }
    case 'dropped':
      return inRoom(state, action.chat, (room) => withoutKey(room, action.key))
    case 'join':
      return { ...state, join: action.join }
    case 'toast': {
      const toast = { ...action.toast, id: state.nextToast }
      return { ...state, toasts: [...state.toasts, toast].slice(-TOAST_LIMIT), nextToast: state.nextToast + 1 }
    }
    case 'toast closed':
      return { ...state, toasts: state.toasts.filter((toast) => toast.id !== action.id) }
  }
}
