/** What happens to one room. Pure: a room and something that happened give the next room. */
import type { Chat, LiveEvent, Message, MessagePage } from '../api/types'
import { cutWindow, firstPosition, mergeLive, mergePage } from './messages'
import { noticesAfter } from './notices'
import { type PageWhere, type Queued, type Room, WINDOW_LIMIT } from './state'

export function newRoom(chat: Chat, asOf: number, read: number, at: number, touched = at): Room {
  return {
    chat, asOf, messages: [], early: [], loaded: false, hasOlder: false, hasNewer: false, last: null, outbox: [],
    notices: [], typing: [], read, unseen: [], newAfter: null, lastHost: chat.host,
    hostlessSince: chat.host === null ? at : null, touched,
  }
}

/** Takes over a chat that was fetched or brought by a live event. */
export function withChat(room: Room, chat: Chat, asOf: number, at: number, text?: string): Room {
  if (asOf < room.asOf) return room
  const hostless = chat.host === null ? (room.hostlessSince ?? at) : null
  return {
    ...room,
    typing: room.typing.filter((typist) => chat.members.some((member) => member.device === typist.device && member.online)),
    chat: { ...chat, position: Math.max(chat.position, chat.generation === room.chat.generation ? room.chat.position : 0) },
    asOf,
    notices: noticesAfter(room, chat, at, text),
    lastHost: chat.host ?? room.lastHost,
    hostlessSince: hostless,
  }
}

/** The newest message of a room orders the chat list; a clock that is ahead does not keep a chat on top. */
export function withLast(room: Room, message: Message, now: number): Room {
  const sent = Date.parse(message.sent_at)
  return { ...room, last: message, touched: Math.max(room.touched, Number.isNaN(sent) ? 0 : Math.min(sent, now)) }
}

function newest(a: Message | null, b: Message | null): Message | null {
  if (a === null || b === null) return a ?? b
  if (a.id === b.id) return b
  if (a.position !== null && b.position !== null) return a.position > b.position ? a : b
  return b.position === null ? b : a
}

/**
 * The node's copy of a message may arrive by the socket before the answer to its sending does. The queued
 * one is hidden behind it, not dropped: if no answer comes it is sent again under its key.
 */
function withEcho(outbox: readonly Queued[], told: readonly Message[], known: readonly Message[], me: string): Queued[] {
  const seen = new Set([...known.map((message) => message.id), ...outbox.map((item) => item.echo)])
  const marked = [...outbox]
  for (const message of told) {
    if (message.author.device !== me || seen.has(message.id)) continue
    const at = marked.findIndex((item) => item.sending && item.echo === undefined && item.text === message.text)
    const item = marked[at]
    if (item !== undefined) marked[at] = { ...item, echo: message.id }
  }
  return marked
}

function highest(messages: readonly Message[]): number {
  return messages.reduce((top, message) => Math.max(top, message.position ?? 0), 0)
}

/** What changed of messages that are not in the window does not go into it: it would stand beside strangers. */
function inWindow(room: Room, told: readonly Message[]): Message[] {
  const known = new Set(room.messages.map((message) => message.id))
  const first = firstPosition(room.messages) ?? 0
  const earlier = (message: Message) => room.hasOlder && message.position !== null && message.position < first
  return told.filter((message) => known.has(message.id) || (!room.hasNewer && !earlier(message)))
}

/** Takes in messages from the live socket or as the answer to a send. */
export function withMessages(room: Room, told: readonly Message[], me: string, watched: boolean, at: number): Room {
  const position = Math.max(room.chat.position, highest(told))
  const settled = new Set(told.filter((message) => message.position !== null).map((message) => message.id))
  const fresh = told.filter(
    (message) => message.position === null && message.author.device !== me && !room.unseen.includes(message.id),
  )
  const unseen = [...room.unseen.filter((id) => !settled.has(id)), ...fresh.map((message) => message.id)]
  const news = told.some((message) => message.position === null || message.position > room.chat.position)
  const own = told.some((message) => message.author.device === me && message.position === position)
  const base: Room = {
    ...room,
    chat: position === room.chat.position ? room.chat : { ...room.chat, position },
    outbox: withEcho(room.outbox, told, room.messages, me),
    last: told.reduce(newest, room.last),
    typing: room.typing.filter((typist) => !told.some((message) => message.author.device === typist.device)),
    unseen: watched ? [] : unseen,
    read: watched || (own && room.read === position - 1) ? position : room.read,
    touched: news ? at : room.touched,
  }
  if (!room.loaded) return { ...base, early: [...room.early, ...told].slice(-WINDOW_LIMIT) }
  const window = cutWindow(mergeLive(room.messages, inWindow(room, told)), 'newer')
  return { ...base, messages: window.messages, hasOlder: room.hasOlder || window.cutOlder }
}

/** The early messages that a page holds too, or that come behind it. */
function fitting(early: readonly Message[], page: readonly Message[]): Message[] {
  const known = new Set(page.map((message) => message.id))
  const end = highest(page)
  return early.filter((message) => known.has(message.id) || message.position === null || message.position > end)
}

/** Takes in a page. `full` says that there may be more in that direction. */
export function withPage(room: Room, page: MessagePage, where: PageWhere, full: boolean): Room {
  if (where === 'latest') {
    const first = page.messages.find((message) => message.position !== null)?.position ?? 1
    const joins = room.loaded && !room.hasNewer && room.messages.some((m) => m.position !== null && m.position >= first - 1)
    const told = joins ? mergePage(room.messages, page.messages) : mergePage([], page.messages)
    const window = cutWindow(mergeLive(told, fitting(room.early, told)), 'newer')
    return {
      ...room,
      early: [],
      messages: window.messages,
      loaded: true,
      hasNewer: false,
      hasOlder: window.cutOlder || (joins ? room.hasOlder : first > 1),
      last: window.messages.at(-1) ?? room.last,
    }
  }
  const window = cutWindow(mergePage(room.messages, page.messages), where)
  return {
    ...room,
    messages: window.messages,
    hasOlder: where === 'older' ? full : room.hasOlder || window.cutOlder,
    hasNewer: where === 'newer' ? full : room.hasNewer || window.cutNewer,
  }
}

export function seen(room: Room): Room {
  if (room.read === room.chat.position && room.unseen.length === 0) return room
  return { ...room, read: room.chat.position, unseen: [] }
}

/** The chat that a live event brings, if it brings one. */
export function chatOf(event: LiveEvent): Chat | null {
  switch (event.type) {
    case 'host': case 'members': case 'latency': case 'mode': case 'election':
      return event.detail !== undefined && Array.isArray(event.detail.members) ? event.detail : null
    default:
      return null
  }
}

export function messagesOf(event: LiveEvent): Message[] {
  if (event.type !== 'message' && event.type !== 'settled') return []
  return event.messages ?? (event.message === undefined ? [] : [event.message])
}

/** What a live event lacks and the page must fetch. */
export function lacks(event: LiveEvent): 'chat' | 'messages' | 'all' | null {
  switch (event.type) {
    case 'reset':
      return 'all'
    case 'message': case 'settled':
      return messagesOf(event).length === 0 ? 'messages' : null
    case 'join': case 'typing': case 'hello':
      return null
    default:
      return chatOf(event) === null ? 'chat' : null
  }
}
