import { type ReactNode, useEffect, useState } from 'react'
import { ChatScreen } from '../chat/ChatScreen'
import { NewChatDialog } from '../first/NewChatDialog'
import { Welcome } from '../first/Welcome'
import { LobbyScreen } from '../lobby/LobbyScreen'
import { selectedRoom, totalUnread } from '../state/state'
import { Logo } from '../ui/Logo'
import { ChatList } from './ChatList'
import { ConnectionPill } from './ConnectionPill'
import { useStore } from './context'
import { Locked } from './Locked'
import { PassphraseScreen } from './PassphraseScreen'
import { ShortcutSheet } from './ShortcutSheet'
import { Switcher } from './Switcher'
import { Toasts } from './Toasts'
import { type Sheet, useKeys } from './useKeys'

/** Says in the tab how much is unread. */
function useTitle(): void {
  const unread = useStore(totalUnread)
  const title = useStore((state) => selectedRoom(state)?.chat.title)
  useEffect(() => {
    const count = unread > 0 ? `(${unread}) ` : ''
    document.title = `${count}${title === undefined ? '' : `${title} · `}DeMes`
  }, [unread, title])
}

function Nothing() {
  return (
    <main className="nothing">
      <Logo className="logo logo-faint" />
      <h1>Choose a chat</h1>
      <p>Or press <kbd>Ctrl</kbd> <kbd>K</kbd> and type its name.</p>
    </main>
  )
}

function Screen() {
  const room = useStore(selectedRoom)
  if (room === null) return <Nothing />
  if (room.chat.phase === 'lobby') return <LobbyScreen key={room.chat.id} room={room} />
  return <ChatScreen key={room.chat.id} room={room} />
}

function Ready() {
  const [sheet, setSheet] = useState<Sheet | null>(null)
  const empty = useStore((state) => Object.keys(state.rooms).length === 0)
  const selected = useStore((state) => state.selected)
  useKeys(setSheet)
  // Whatever chose a chat, its screen is what the user wants to see now.
  useEffect(() => setSheet(null), [selected])
  const close = () => setSheet(null)
  return (
    <>
      {empty ? (
        <Welcome />
      ) : (
        <div className={selected !== null ? 'app app-chosen' : 'app'}>
          <ChatList onSheet={setSheet} />
          <Screen />
        </div>
      )}
      <ShortcutSheet open={sheet === 'shortcuts'} onClose={close} />
      <Switcher open={sheet === 'switcher'} onClose={close} />
      <NewChatDialog open={sheet === 'new'} onClose={close} />
    </>
  )
}

function Opening() {
  return (
    <main className="nothing" aria-busy="true">
      <Logo className="logo logo-turning" />
      <p>Reaching your node …</p>
    </main>
  )
}

export function App() {
  const gate = useStore((state) => state.gate)
  useTitle()
  const screens: Record<typeof gate.kind, () => ReactNode> = {
    opening: () => <Opening />,
    locked: () => <Locked problem={gate.kind === 'locked' ? gate.problem : null} />,
    passphrase: () => <PassphraseScreen />,
    ready: () => <Ready />,
  }
  return (
    <>
      <ConnectionPill />
      {screens[gate.kind]()}
      <Toasts />
    </>
  )
}
