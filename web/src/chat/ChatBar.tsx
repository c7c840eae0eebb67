import type { Chat } from '../api/types'
import { useSession } from '../shell/context'
import { harmlessName, shownName } from '../text/harmless'
import { lasting } from '../text/time'
import { IconButton } from '../ui/Button'
import { Icon } from '../ui/Icon'
import { ChatMenu } from './ChatMenu'

interface ChatBarProps {
  chat: Chat
  me: string
  names: Map<string, string>
  panelOpen: boolean
  onPanel: () => void
  onInvite: () => void
  onDetails: () => void
}

function HostWords({ chat, me, names }: Pick<ChatBarProps, 'chat' | 'me' | 'names'>) {
  if (chat.phase !== 'live') return <>{chat.phase === 'left' ? 'You left this chat' : 'You were removed from this chat'}</>
  const here = chat.members.filter((member) => member.online).length
  const people = `${here} of ${chat.members.length} here`
  if (chat.host === null) return <>No host right now · {people}</>
  const verb = chat.mode === 'provisional' ? 'relay' : 'host'
  const host = chat.host.device === me ? `You ${verb}` : `${shownName(names, chat.host)} ${verb}s`
  const next = chat.next === null ? '' : ` · next ${chat.next.device === me ? 'you' : shownName(names, chat.next)}`
  return (
    <>
      <Icon name="crown" className="host-sign" />
      <span><bdi>{host}</bdi><bdi className="not-narrow">{next}</bdi> · {people}</span>
    </>
  )
}

/** Says in the head that what is written here goes away. */
function Timer({ seconds }: { seconds: number }) {
  if (seconds === 0) return null
  const words = `Messages disappear after ${lasting(seconds)}`
  return (
    <span className="bar-timer" title={words}>
      <Icon name="hourglass" />
      <span aria-hidden="true">{lasting(seconds)}</span>
      <span className="unseen">{words}</span>
    </span>
  )
}

/** The head of a chat: it always names the host. */
export function ChatBar({ chat, me, names, panelOpen, onPanel, onInvite, onDetails }: ChatBarProps) {
  const session = useSession()
  const live = chat.phase === 'live'
  return (
    <header className="bar">
      <IconButton label="All chats" icon="back" className="only-narrow" onClick={() => session.select(null)} />
      <div className="bar-words">
        <div className="bar-head">
          <h1 className="bar-title"><bdi>{harmlessName(chat.title)}</bdi></h1>
          <Timer seconds={chat.settings.disappear_after_s} />
        </div>
        <p className="bar-sub"><HostWords chat={chat} me={me} names={names} /></p>
      </div>
      {live && <IconButton label="Invite" keys="Alt+I" icon="link" onClick={onInvite} />}
      <IconButton label="Members and host" keys="Alt+M" icon="people" aria-pressed={panelOpen} onClick={onPanel} />
      {live && <ChatMenu chat={chat} onDetails={onDetails} />}
    </header>
  )
}
