import { type KeyboardEvent, useId, useMemo, useState } from 'react'
import { listedRooms, type Room, unreadOf } from '../state/state'
import { harmlessName } from '../text/harmless'
import { Dialog } from '../ui/Dialog'
import { useSession, useStore } from './context'

const SHOWN_LIMIT = 9

function matching(rooms: readonly Room[], words: string): Room[] {
  const wanted = words.trim().toLocaleLowerCase()
  const fits = (room: Room) =>
    room.chat.title.toLocaleLowerCase().includes(wanted) ||
    room.chat.members.some((member) => harmlessName(member.name).toLocaleLowerCase().startsWith(wanted))
  return rooms.filter(fits).slice(0, SHOWN_LIMIT)
}

function Search({ onClose }: { onClose: () => void }) {
  const session = useSession()
  const rooms = useStore((state) => state.rooms)
  const [words, setWords] = useState('')
  const [at, setAt] = useState(0)
  const id = useId()
  const found = useMemo(() => matching(listedRooms({ ...session.store.get(), rooms }), words), [session, rooms, words])

  const choose = (room: Room | undefined) => {
    if (room === undefined) return
    session.select(room.chat.id)
    onClose()
  }
  const pressed = (event: KeyboardEvent) => {
    if (event.nativeEvent.isComposing) return
    const by = event.key === 'ArrowDown' ? 1 : event.key === 'ArrowUp' ? -1 : 0
    if (by !== 0) setAt((old) => (old + by + found.length) % Math.max(1, found.length))
    else if (event.key === 'Enter') choose(found[at])
    else return
    event.preventDefault()
  }
  return (
    <>
      <input
        className="input"
        role="combobox"
        aria-label="Name of a chat or a member"
        aria-expanded="true"
        aria-controls={id}
        aria-activedescendant={found[at] === undefined ? undefined : `${id}-${at}`}
        placeholder="Chat or member"
        value={words}
        onChange={(event) => {
          setWords(event.target.value)
          setAt(0)
        }}
        onKeyDown={pressed}
      />
      <div role="listbox" id={id} aria-label="Chats" className="switcher-list">
        {found.map((room, place) => (
          <div
            key={room.chat.id}
            role="option"
            id={`${id}-${place}`}
            aria-selected={place === at}
            tabIndex={-1}
            className="switcher-item"
            onPointerMove={() => setAt(place)}
            onClick={() => choose(room)}
            onKeyDown={pressed}
          >
            <bdi className="switcher-title">{harmlessName(room.chat.title)}</bdi>
            {unreadOf(room) > 0 && <span className="badge">{unreadOf(room)}<span className="unseen"> unread</span></span>}
          </div>
        ))}
      </div>
      <p role="status" className="hint">{found.length === 0 ? 'No chat is called that.' : ''}</p>
    </>
  )
}

export function Switcher({ open, onClose }: { open: boolean; onClose: () => void }) {
  return (
    <Dialog open={open} onClose={onClose} title="Switch to a chat">
      <Search onClose={onClose} />
    </Dialog>
  )
}
