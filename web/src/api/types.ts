/**
 * The shapes of the local API, by the names that the contract gives them. Ids are opaque strings, times
 * RFC 3339 in UTC, latencies milliseconds.
 */

export interface Device {
  device: string
  name: string
}

export interface Node {
  device: string
  account: string
  name: string
  version: string
  peer_id: string
  addresses: string[]
  data_dir: string
}

export interface Problem {
  code: string
  title: string
  detail?: string
  status?: number
}

export type Role = 'founder' | 'admin' | 'member'
export type Phase = 'lobby' | 'live' | 'left' | 'removed'
export type Mode = 'settled' | 'provisional'

export interface Member extends Device {
  account: string
  online: boolean
  role: Role
  /** Whether the device votes now. */
  council: boolean
  elector?: boolean
  /** Has left; its removal is not final yet. */
  leaving?: boolean
  /** The last position the member holds. */
  held: number
  read: number
  rtt_ms: number | null
}

export interface Ranked extends Device {
  /** Sum of the delays from this member to all others: the reciprocal of its closeness. */
  score_ms: number | null
}

export interface Latency {
  devices: string[]
  rtt_ms: (number | null)[][]
}

export interface Head {
  generation: number
  index: number
  hash: string
}

export interface Knock extends Device {
  code: string
  address: string
}

export interface Chat {
  id: string
  title: string
  phase: Phase
  mode: Mode
  host: Device | null
  next: Device | null
  term: number
  generation: number
  position: number
  head: Head
  members: Member[]
  succession: Ranked[]
  latency: Latency | null
  epoch: number
  me?: string
  founder?: string
  waiting_for?: string[] | null
  waiting_text?: string
  knocks?: Knock[] | null
  problem?: Problem | null
  catching_up?: { done: number; total: number } | null
}

export type MessageState = 'pending' | 'sent' | 'settled' | 'failed'

export interface Message {
  /** `<device>/<seq>`: the same on every member, for ever. */
  id: string
  position: number | null
  author: Device
  text: string
  sent_at: string
  state: MessageState
  held_by: number
  members: number
  reply_to?: string | null
  edited_at?: string | null
  deleted?: boolean
  problem?: Problem | null
}

export interface MessagePage {
  messages: Message[]
  head: { generation: number; position: number; hash: string }
}

export interface Invite {
  link: string
  qr_svg: string
  expires_at: string
}

export type JoinState = 'connecting' | 'knocking' | 'waiting' | 'joined' | 'refused' | 'failed'

/** One address that a join tried, and how it went. */
export interface Attempt {
  address: string
  result: string
}

export interface Join {
  join: string
  state: JoinState
  chat?: string | null
  /** The six digits that both screens show. */
  code?: string
  problem?: Problem | null
  tried?: Attempt[] | null
}

export type JoinTarget = { link: string } | { address: string }

/** What the live socket says. A missing payload means: fetch it. */
export type LiveEvent = { seq: number; run: string; chat?: string } & (
  | { type: 'message' | 'settled'; message?: Message; messages?: Message[] | null }
  | { type: 'host' | 'members' | 'latency' | 'mode' | 'election'; detail?: Chat; text?: string }
  | { type: 'join'; detail?: Join }
  | { type: 'knock'; detail?: Knock }
  | { type: 'typing'; detail?: Device }
  | { type: 'reset' }
)
