import { useMemo } from 'react'
import { listedRooms } from '../state/state'
import { IconButton } from '../ui/Button'
import { Logo } from '../ui/Logo'
import { ChatListItem } from './ChatListItem'
import { useSession, useStore } from './context'
import { Me } from './Me'
import type { Sheet } from './useKeys'

export function ChatList({ onSheet }: { onSheet: (sheet: Sheet) => void }) {
  const session = useSession()
  const rooms = useStore((state) => state.rooms)
  const selected = useStore((state) => state.selected)
  const listed = useMemo(() => listedRooms({ ...session.store.get(), rooms }), [session, rooms])
  return (
    <nav className="list" aria-label="Chats" data-region tabIndex={-1}>
      <header className="list-head">
        <Logo />
        <span className="list-brand">DeMes</span>
        <IconButton label="Switch to a chat" keys="Ctrl+K" icon="search" onClick={() => onSheet('switcher')} />
        <IconButton label="New chat or join" keys="Alt+N" icon="plus" onClick={() => onSheet('new')} />
      </header>
      <ul className="list-chats">
        {listed.map((room) => (
          <ChatListItem key={room.chat.id} room={room} selected={room.chat.id === selected} />
        ))}
      </ul>
      <Me onSheet={onSheet} />
    </nav>
  )
}
