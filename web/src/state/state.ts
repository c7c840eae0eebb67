/** Everything the page knows. Only `reduce` makes a new state from an old one. */
import type { Chat, Device, Join, LiveEvent, Message, MessagePage, Node, Problem } from '../api/types'

/** Plain DOM stays quick and readable by screen readers up to about this many messages. */
export const WINDOW_LIMIT = 600
/** What leaves the far end of a full window at once, so that it is not cut at every message. */
export const WINDOW_DROP = 200
export const PAGE_LIMIT = 100
export const NOTICE_LIMIT = 50
export const TOAST_LIMIT = 4
/** Who has not been heard typing for this long has stopped. */
export const TYPING_MS = 6_000

/** A message that this page holds until the node has stored it. */
export interface Queued {
  key: string
  text: string
  replyTo?: string
  at: string
  /** Whether its request is under way. */
  sending: boolean
  /** The node's copy, seen before the answer: the copy is shown instead. */
  echo?: string
  problem?: Problem
}

export type NoticeKind = 'started' | 'away' | 'left-host' | 'handed-over' | 'joined' | 'left' | 'settled'

/** A line in the chat about its members or its host. */
export interface Notice {
  id: string
  kind: NoticeKind
  at: number
  /** The message it stands behind; null at the beginning. */
  after: string | null
  who: Device | null
  host: Device | null
  /** Whether the host is a relay without a quorum. */
  relay?: boolean
  /** How long the chat was seen without a host. */
  gapMs?: number
  /** The node's own words, where it has some. */
  text?: string
}

export interface Typist extends Device {
  at: number
}

export interface Room {
  chat: Chat
  /** The seq of the newest live event that brought this chat: older fetches must not overwrite it. */
  asOf: number
  /** Invariant: settled ones by position, then unsettled ones in provisional order. */
  messages: Message[]
  loaded: boolean
  hasOlder: boolean
  /** Whether the window has left the newest messages behind. */
  hasNewer: boolean
  /** Told while the window was not loaded: the page that is on its way may be older than they are. */
  early: Message[]
  /** The newest message known, also when the window is not loaded. */
  last: Message | null
  outbox: Queued[]
  notices: Notice[]
  /** Who is typing, and when that was last heard. */
  typing: Typist[]
  /** The last position that was on the screen. */
  read: number
  /** Unsettled messages of others that were not on the screen. */
  unseen: string[]
  /** Where the line "New" stands: behind this position. */
  newAfter: number | null
  lastHost: Device | null
  hostlessSince: number | null
  touched: number
}

export interface Toast {
  id: number
  tone: 'problem' | 'good'
  title: string
  detail?: string
}

export type Connection = 'connecting' | 'open' | 'lost'
/** What stands between the user and the chats: a missing token is `locked`, a missing passphrase `passphrase`. */
export type Gate =
  | { kind: 'opening' }
  | { kind: 'locked'; problem: Problem | null }
  | { kind: 'passphrase' }
  | { kind: 'ready' }

export interface State {
  gate: Gate
  connection: Connection
  lostAt: number | null
  run: string | null
  seq: number
  node: Node | null
  rooms: Record<string, Room>
  selected: string | null
  join: Join | null
  /** How many devices have asked to be the user's since the page opened. */
  asked: number
  toasts: Toast[]
  nextToast: number
}

export const initialState: State = {
  gate: { kind: 'opening' },
  connection: 'connecting',
  lostAt: null,
  run: null,
  seq: 0,
  node: null,
  rooms: {},
  selected: null,
  join: null,
  asked: 0,
  toasts: [],
  nextToast: 1,
}

export type PageWhere = 'latest' | 'older' | 'newer'

export type Action =
  | { type: 'opened'; node: Node; chats: Chat[]; asOf: number; read: Record<string, number>; at: number }
  | { type: 'locked'; problem: Problem | null }
  | { type: 'passphrase' }
  | { type: 'connection'; to: Connection; at: number }
  | { type: 'node'; node: Node }
  | { type: 'live'; event: LiveEvent; at: number }
  | { type: 'chat'; chat: Chat; asOf: number; at: number }
  | { type: 'page'; chat: string; page: MessagePage; where: PageWhere; full: boolean }
  | { type: 'last'; chat: string; message: Message; at: number }
  | { type: 'selected'; chat: string | null }
  | { type: 'seen'; chat: string }
  | { type: 'clock'; at: number }
  | { type: 'queued'; chat: string; item: Queued }
  | { type: 'accepted'; chat: string; key: string; message: Message }
  | { type: 'rejected'; chat: string; key: string; problem: Problem }
  | { type: 'sending'; chat: string; key: string; sending: boolean }
  | { type: 'dropped'; chat: string; key: string }
  | { type: 'join'; join: Join | null }
  | { type: 'toast'; toast: Omit<Toast, 'id'> }
  | { type: 'toast closed'; id: number }

export function unreadOf(room: Room): number {
  return Math.max(0, room.chat.position - room.read) + room.unseen.length
}

export function totalUnread(state: State): number {
  return Object.values(state.rooms).reduce((sum, room) => sum + unreadOf(room), 0)
}

/** Rooms as the chat list shows them: those with news first, those that are over last. */
export function listedRooms(state: State): Room[] {
  const over = (room: Room) => (room.chat.phase === 'left' || room.chat.phase === 'removed' ? 1 : 0)
  return Object.values(state.rooms).sort((a, b) => over(a) - over(b) || b.touched - a.touched)
}

export function selectedRoom(state: State): Room | null {
  return state.selected === null ? null : (state.rooms[state.selected] ?? null)
}

/**
 * How many members hold a message: as the message says, or as the members' own marks say since. Marks are
 * cumulative positions, so they count for settled messages only.
 */
export function heldBy(message: Message, chat: Chat): number {
  const { position } = message
  if (position === null) return message.held_by
  const marks = chat.members.filter((member) => member.held >= position || member.device === message.author.device)
  return Math.max(message.held_by, marks.length)
}

/** This node's device in a chat. */
export function meIn(chat: Chat, node: Node | null): string {
  return chat.me ?? node?.device ?? ''
}
