import type { Chat } from '../api/types'
import { silence } from '../chat/MessageBody'
import { meIn, type Room, unreadOf } from '../state/state'
import { harmlessName, harmlessText, shownName } from '../text/harmless'
import { clockTime } from '../text/time'
import { Icon } from '../ui/Icon'
import { useNames, useSession, useStore } from './context'

function standing(chat: Chat, names: Map<string, string>, me: string): string {
  if (chat.phase === 'lobby') return `Lobby · ${chat.members.length} here`
  if (chat.phase === 'left') return 'You left this chat'
  if (chat.phase === 'removed') return 'You were removed'
  if (chat.mode === 'provisional') return 'Waiting for a majority'
  if (chat.host === null) return 'No host right now'
  return chat.host.device === me ? 'You host' : `${shownName(names, chat.host)} hosts`
}

function Preview({ room, names, me }: { room: Room; names: Map<string, string>; me: string }) {
  const { chat, last } = room
  const waiting = room.outbox.at(-1)
  if (waiting !== undefined) return <>You: {harmlessText(waiting.text)}</>
  if (last === null || chat.phase !== 'live') return <>{standing(chat, names, me)}</>
  const author = last.author.device === me ? 'You' : shownName(names, last.author)
  return <><bdi>{author}</bdi>: <bdi>{silence(last)?.words ?? harmlessText(last.text)}</bdi></>
}

function UnreadBadge({ count }: { count: number }) {
  return (
    <span className="badge">
      {count > 99 ? '99+' : count}
      <span className="unseen"> unread</span>
    </span>
  )
}

/** One line of the chat list: name, unread, then what is going on. */
export function ChatListItem({ room, selected }: { room: Room; selected: boolean }) {
  const session = useSession()
  const node = useStore((state) => state.node)
  const names = useNames(room.chat)
  const me = meIn(room.chat, node)
  const unread = unreadOf(room)
  const { chat } = room
  const over = chat.phase === 'left' || chat.phase === 'removed'
  return (
    <li>
      <button
        type="button"
        className={`list-item ${over ? 'list-over' : ''}`}
        aria-current={selected ? 'page' : undefined}
        onClick={() => session.select(chat.id)}
      >
        <span className={`tile tile-${chat.phase} ${chat.mode === 'provisional' ? 'tile-waiting' : ''}`} aria-hidden="true">
          {chat.phase === 'lobby' ? <Icon name="door" /> : [...harmlessName(chat.title)][0]?.toLocaleUpperCase()}
        </span>
        <span className="list-words">
          <span className="list-line">
            <bdi className="list-title">{harmlessName(chat.title)}</bdi>
            {room.last !== null && !over && <span className="list-time">{clockTime(room.last.sent_at)}</span>}
          </span>
          <span className="list-line">
            <span className="list-preview"><Preview room={room} names={names} me={me} /></span>
            {unread > 0 && <UnreadBadge count={unread} />}
          </span>
          <span className="unseen">{standing(chat, names, me)}</span>
        </span>
      </button>
    </li>
  )
}
