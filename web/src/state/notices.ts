/** What a change of a chat's members, host or mode says in the chat. */
import type { Chat, Device } from '../api/types'
import { NOTICE_LIMIT, type Notice, type NoticeKind, type Room } from './state'

/** Presence may lag behind a host change: until then the reason is corrected. */
const REASON_MS = 10_000
/** The first host move belongs to the start of the chat. */
const START_MS = 15_000

interface Change {
  room: Room
  next: Chat
  at: number
  /** The node's own words for a host change. */
  text?: string
}

function anchor(room: Room): string | null {
  return room.messages.at(-1)?.id ?? room.last?.id ?? null
}

function notice(change: Change, kind: NoticeKind, who: Device | null, host: Device | null, gapMs?: number): Notice {
  const { room, at } = change
  return { id: `${at}-${kind}-${who?.device ?? ''}-${host?.device ?? ''}`, kind, at, after: anchor(room), who, host, gapMs }
}

function memberOf(chat: Chat, device: string) {
  return chat.members.find((member) => member.device === device)
}

function reasonOf(next: Chat, old: Device): NoticeKind {
  const member = memberOf(next, old.device)
  if (member === undefined) return 'left-host'
  return member.online ? 'handed-over' : 'away'
}

/** The line for a new host; null if the host is the one that was there before. */
function hostNotice(change: Change): Notice | null {
  const { room, next, at } = change
  const old = room.lastHost
  if (next.phase !== 'live' || next.host === null || old === null || next.host.device === old.device) return null
  const gapMs = room.hostlessSince === null ? undefined : at - room.hostlessSince
  // The node's line is better than ours only if it also says what became of the old host.
  const text = change.text?.includes(old.name) === true ? change.text : undefined
  return { ...notice(change, reasonOf(next, old), old, next.host, gapMs), text, relay: next.mode === 'provisional' }
}

function memberNotices(change: Change): Notice[] {
  const { room, next } = change
  if (room.chat.phase !== 'live' || next.phase !== 'live') return []
  const before = new Set(room.chat.members.map((member) => member.device))
  const now = new Set(next.members.map((member) => member.device))
  const joined = next.members.filter((member) => !before.has(member.device))
  const left = room.chat.members.filter((member) => !now.has(member.device) && member.device !== room.lastHost?.device)
  return [
    ...joined.map((member) => notice(change, 'joined', member, null)),
    ...left.map((member) => notice(change, 'left', member, null)),
  ]
}

/** A host that handed over and is found to be away a moment later was lost, not moved. */
function corrected(notices: readonly Notice[], change: Change): Notice[] {
  return notices.map((old) => {
    if (old.kind !== 'handed-over' || old.who === null || change.at - old.at > REASON_MS) return old
    const kind = reasonOf(change.next, old.who)
    return kind === old.kind ? old : { ...old, kind }
  })
}

/** The notices of a room after its chat has become `next`. */
export function noticesAfter(room: Room, next: Chat, at: number, text?: string): Notice[] {
  const change: Change = { room, next, at, text }
  let notices = corrected(room.notices, change)
  if (room.chat.phase === 'lobby' && next.phase === 'live') {
    return [...notices, notice(change, 'started', null, next.host)]
  }
  const host = hostNotice(change)
  const last = notices.at(-1)
  if (host !== null && last?.kind === 'started' && last.after === host.after && at - last.at < START_MS) {
    notices = [...notices.slice(0, -1), { ...last, host: host.host }]
  } else if (host !== null) {
    notices = [...notices, host]
  }
  notices = [...notices, ...memberNotices(change)]
  if (room.chat.mode === 'provisional' && next.mode === 'settled' && next.phase === 'live') {
    notices = [...notices, notice(change, 'settled', null, null)]
  }
  return notices.slice(-NOTICE_LIMIT)
}
