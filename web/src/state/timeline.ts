/** The rows of a chat as they stand on the screen, top to bottom. */
import type { Message } from '../api/types'
import { dayKey } from '../text/time'
import type { Notice, Queued, Room } from './state'

/** Messages of one author within this time stand together under one name. */
const GROUP_MS = 5 * 60_000

export type Row =
  | { kind: 'day'; key: string; time: string }
  | { kind: 'new'; key: string }
  | { kind: 'notice'; key: string; notice: Notice }
  | { kind: 'message'; key: string; message: Message; first: boolean; last: boolean }
  | { kind: 'queued'; key: string; item: Queued }

function together(a: Message, b: Message): boolean {
  return a.author.device === b.author.device && Math.abs(Date.parse(b.sent_at) - Date.parse(a.sent_at)) < GROUP_MS
}

function noticesByAnchor(notices: readonly Notice[]): Map<string | null, Notice[]> {
  const groups = new Map<string | null, Notice[]>()
  for (const notice of notices) groups.set(notice.after, [...(groups.get(notice.after) ?? []), notice])
  return groups
}

const noticeRow = (notice: Notice): Row => ({ kind: 'notice', key: notice.id, notice })

/** Marks the ends of each author's group: a row is together with its neighbour only if nothing is between them. */
function grouped(rows: Row[]): Row[] {
  return rows.map((row, at) => {
    if (row.kind !== 'message') return row
    const above = rows[at - 1]
    const below = rows[at + 1]
    return {
      ...row,
      first: above?.kind !== 'message' || !together(above.message, row.message),
      last: below?.kind !== 'message' || !together(row.message, below.message),
    }
  })
}

export function timeline(room: Room): Row[] {
  const rows: Row[] = []
  const notices = noticesByAnchor(room.notices)
  let day = ''
  let newShown = room.newAfter === null
  if (!room.hasOlder) rows.push(...(notices.get(null) ?? []).map(noticeRow))
  for (const message of room.messages) {
    const today = dayKey(message.sent_at)
    if (today !== day) rows.push({ kind: 'day', key: `day-${today}-${message.id}`, time: message.sent_at })
    day = today
    if (!newShown && (message.position === null || message.position > (room.newAfter ?? 0))) {
      rows.push({ kind: 'new', key: 'new' })
      newShown = true
    }
    rows.push({ kind: 'message', key: message.id, message, first: true, last: true })
    rows.push(...(notices.get(message.id) ?? []).map(noticeRow))
  }
  const queued = room.hasNewer ? [] : room.outbox.filter((item) => item.echo === undefined)
  rows.push(...queued.map((item): Row => ({ kind: 'queued', key: item.key, item })))
  return grouped(rows)
}
