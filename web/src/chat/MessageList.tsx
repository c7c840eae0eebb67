import { type KeyboardEvent, useCallback, useEffect, useMemo, useRef } from 'react'
import type { Message } from '../api/types'
import { useSession } from '../shell/context'
import { heldBy, type Room, unreadOf } from '../state/state'
import { timeline, type Row } from '../state/timeline'
import { dayName } from '../text/time'
import { Button } from '../ui/Button'
import { MessageRow } from './MessageRow'
import { NoticeLine } from './NoticeLine'
import { QueuedRow } from './QueuedRow'
import { useScroll } from './useScroll'

interface MessageListProps {
  room: Room
  names: Map<string, string>
  me: string
  onReply: (message: Message) => void
}

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

export function MessageList({ room, names, me, onReply }: MessageListProps) {
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
    const focused = (event.target as HTMLElement).closest<HTMLElement>('[data-message]')?.dataset['message']
    const message = focused === undefined ? undefined : byId.get(focused)
    if (event.key === 'ArrowUp') moveFocus(box, -1)
    else if (event.key === 'ArrowDown') moveFocus(box, 1)
    else if (event.key === 'End') void toNewest()
    else if (event.key.toLowerCase() === 'r' && message !== undefined) onReply(message)
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
            onReply={onReply}
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
    </div>
  )
}
