import { type FocusEvent, type KeyboardEvent, useCallback, useEffect, useMemo, useRef, useState } from 'react'
import type { Message } from '../api/types'
import { useSession } from '../shell/context'
import { type Rights, rightsOn } from '../state/rights'
import { heldBy, type Room, unreadOf } from '../state/state'
import { timeline, type Row } from '../state/timeline'
import { dayName } from '../text/time'
import { Button } from '../ui/Button'
import { DeleteDialog } from './DeleteDialog'
import { MessageRow } from './MessageRow'
import { NoticeLine } from './NoticeLine'
import { QueuedRow } from './QueuedRow'
import { type Picking, ReactionPicker } from './ReactionPicker'
import { useScroll } from './useScroll'

interface MessageListProps {
  room: Room
  names: Map<string, string>
  me: string
  onReply: (message: Message) => void
  onEdit: (message: Message) => void
}

/** Keys on the message that has the focus: each presses one of its tools. */
const TOOL_KEYS: Record<string, string> = { r: 'reply', e: 'edit', '+': 'react', delete: 'delete' }

function messageElement(list: HTMLElement | null, id: string): HTMLElement | null {
  return list?.querySelector<HTMLElement>(`[data-message="${CSS.escape(id)}"]`) ?? null
}

/** Moves the focus among the messages; from the list itself it goes to the newest. */
function moveFocus(list: HTMLElement, by: 1 | -1): void {
  const all = [...list.querySelectorAll<HTMLElement>('[data-message]')]
  const at = all.findIndex((element) => element.contains(document.activeElement))
  const next = at < 0 ? all.at(-1) : all[Math.min(all.length - 1, Math.max(0, at + by))]
  next?.focus()
}

/** Marks what is on the screen as read, while somebody can see it. */
function useSeen(room: Room, atEnd: boolean): void {
  const session = useSession()
  const { id } = room.chat
  const unread = unreadOf(room)
  useEffect(() => {
    const see = () => {
      if (document.visibilityState === 'visible' && document.hasFocus() && atEnd && room.loaded && unread > 0) session.seen(id)
    }
    see()
    document.addEventListener('visibilitychange', see)
    addEventListener('focus', see)
    return () => {
      document.removeEventListener('visibilitychange', see)
      removeEventListener('focus', see)
    }
  }, [session, id, unread, atEnd, room.loaded])
}

/** The same object for the same rights, so that rows are drawn anew only when theirs have changed. */
function useRights(room: Room, me: string): (message: Message) => Rights {
  const { chat } = room
  const roles = JSON.stringify([chat.phase, chat.members.map((member) => [member.device, member.account, member.role])])
  const known = useMemo(() => new Map<string, Rights>(), [roles, me]) // oxlint-disable-line
  return (message) => {
    const rights = rightsOn(chat, me, message)
    const key = JSON.stringify(rights)
    const before = known.get(key)
    if (before === undefined) known.set(key, rights)
    return before ?? rights
  }
}

/** The message under the pointer of the keyboard: Tab goes to its tools. */
function useReached() {
  const [reached, setReached] = useState<string | null>(null)
  const focused = useCallback((event: FocusEvent) => {
    setReached((event.target as HTMLElement).closest<HTMLElement>('[data-message]')?.dataset['message'] ?? null)
  }, [])
  return { reached, focused }
}

export function MessageList({ room, names, me, onReply, onEdit }: MessageListProps) {
  const session = useSession()
  const list = useRef<HTMLDivElement>(null)
  const rows = useMemo(() => timeline(room), [room])
  const byId = useMemo(() => new Map(room.messages.map((message) => [message.id, message])), [room.messages])
  const accounts = useMemo(() => new Map(room.chat.members.map((each) => [each.device, each.account])), [room.chat.members])
  const { id } = room.chat
  const { hasOlder, hasNewer } = room
  const onOlder = useCallback(() => void (hasOlder && session.loadOlder(id)), [session, id, hasOlder])
  const onNewer = useCallback(() => void (hasNewer && session.loadNewer(id)), [session, id, hasNewer])
  const { atEnd, scrolled, toEnd } = useScroll({ list, rows, firstKey: rows[0]?.key, onOlder, onNewer })
  useSeen(room, atEnd && !hasNewer)

  const rights = useRights(room, me)
  const { reached, focused } = useReached()
  const [picking, setPicking] = useState<Picking | null>(null)
  const [deleting, setDeleting] = useState<Message | null>(null)
  const onPick = useCallback((message: Message, beside: HTMLElement) => setPicking({ message, beside }), [])

  const waiting = room.outbox.length
  useEffect(() => {
    if (waiting > 0) toEnd()
  }, [waiting, toEnd])

  const onJump = useCallback((target: string) => {
    const element = messageElement(list.current, target)
    element?.scrollIntoView({ block: 'center' })
    element?.focus({ preventScroll: true })
  }, [])

  const onResend = useCallback((message: Message) => session.send(id, message.text, message.reply_to), [session, id])

  const toNewest = async () => {
    if (hasNewer) await session.loadLatest(id)
    toEnd()
  }

  const pressed = (event: KeyboardEvent) => {
    const box = list.current
    if (box === null || event.ctrlKey || event.metaKey || event.altKey) return
    const at = (event.target as HTMLElement).closest('[data-message]')
    const tool = TOOL_KEYS[event.key.toLowerCase()]
    if (event.key === 'ArrowUp') moveFocus(box, -1)
    else if (event.key === 'ArrowDown') moveFocus(box, 1)
    else if (event.key === 'End') void toNewest()
    else if (at !== null && tool !== undefined) at.querySelector<HTMLElement>(`[data-tool="${tool}"]`)?.click()
    else return
    event.preventDefault()
  }

  const row = (each: Row) => {
    switch (each.kind) {
      case 'day':
        return <h2 key={each.key} className="day"><span>{dayName(each.time, Date.now())}</span></h2>
      case 'new':
        return <p key={each.key} className="new-line"><span>New</span></p>
      case 'notice':
        return <NoticeLine key={each.key} notice={each.notice} names={names} me={me} />
      case 'queued':
        return <QueuedRow key={each.key} chat={id} item={each.item} />
      case 'message': {
        const quoted = byId.get(each.message.reply_to ?? '') ?? null
        return (
          <MessageRow
            key={each.key}
            message={each.message}
            quoted={quoted}
            heldBy={heldBy(each.message, room.chat)}
            account={accounts.get(each.message.author.device) ?? each.message.author.device}
            names={names}
            me={me}
            first={each.first}
            last={each.last}
            rights={rights(each.message)}
            reached={reached === each.message.id}
            onReply={onReply}
            onEdit={onEdit}
            onDelete={setDeleting}
            onPick={onPick}
            onJump={onJump}
            onResend={onResend}
          />
        )
      }
    }
  }

  const unread = unreadOf(room)
  return (
    <div className="messages-place">
      <div
        ref={list}
        className="messages"
        role="log"
        aria-label="Messages"
        aria-live={atEnd ? 'polite' : 'off'}
        aria-busy={!room.loaded}
        tabIndex={0}
        data-region
        onScroll={scrolled}
        onKeyDown={pressed}
        onFocus={focused}
      >
        {room.loaded && rows.length === 0 && <p className="quiet">Nothing was said yet. Say hello.</p>}
        {room.hasOlder && <p className="quiet">Earlier messages are coming …</p>}
        {rows.map(row)}
      </div>
      {(!atEnd || hasNewer) && (
        <Button className="to-newest" icon="down" onClick={() => void toNewest()}>
          Newest{unread > 0 && ` (${unread})`}
        </Button>
      )}
      <ReactionPicker picking={picking} onClose={() => setPicking(null)} />
      <DeleteDialog message={deleting} own={deleting?.author.device === me} onClose={() => setDeleting(null)} />
    </div>
  )
}
