import type { Message, MessageState as State } from '../api/types'
import { useSession, useStore } from '../shell/context'
import { Icon, type IconName } from '../ui/Icon'
import { Name } from '../ui/Name'
import { Popover } from '../ui/Popover'

const ICONS: Record<State, IconName> = { pending: 'clock', sent: 'sent', settled: 'check', failed: 'failed' }

const MEANING: Record<State, string> = {
  pending: 'Only this computer has it. It goes out by itself as soon as somebody can be reached.',
  sent: 'Others hold it. Its place in the order is not settled yet.',
  settled: 'It has its number in the one order that everybody has, also if the host goes away now.',
  failed: 'The chat did not take it.',
}

interface MessageStateProps {
  message: Message
  heldBy: number
  names: Map<string, string>
  me: string
}

function Holders({ message, names, me }: Omit<MessageStateProps, 'heldBy'>) {
  const chat = useStore((state) => state.rooms[message.chat]?.chat)
  const { position } = message
  if (position === null || chat === undefined) return null
  return (
    <ul className="holders">
      {chat.members.map((member) => {
        const holds = member.held >= position || member.device === message.author.device
        const has = member.read >= position && member.device !== me ? 'has read it' : 'has it'
        return (
          <li key={member.device}>
            <Icon name={holds ? 'check' : 'clock'} />
            <Name you={member.device === me}>{names.get(member.device) ?? ''}</Name>
            <span className="hint">{holds ? has : 'not yet'}</span>
          </li>
        )
      })}
    </ul>
  )
}

/** How far a message has come, in a word; a click tells who holds it. */
export function MessageState({ message, heldBy, names, me }: MessageStateProps) {
  const session = useSession()
  const { state } = message
  const mine = message.author.device === me
  // Who has joined since may hold it as well.
  const held = state === 'pending' || state === 'failed' ? '' : ` · ${heldBy} of ${Math.max(heldBy, message.members)}`
  const words = mine ? `${state}${held}` : state === 'settled' ? '' : 'not settled yet'
  if (words === '') return null
  return (
    <Popover
      onOpen={() => session.refresh(message.chat)}
      title={state === 'failed' ? (message.problem?.title ?? 'Failed') : `${state[0]?.toUpperCase()}${state.slice(1)}`}
      trigger={
        <button type="button" className={`state state-${state}`}>
          <Icon name={ICONS[state]} />
          {words}
          {held !== '' && mine && <span className="unseen"> hold it</span>}
        </button>
      }
    >
      <p className="hint">{(state === 'failed' ? message.problem?.detail : undefined) ?? MEANING[state]}</p>
      {message.position !== null && <p className="hint">Message number {message.position} of this chat.</p>}
      <Holders message={message} names={names} me={me} />
    </Popover>
  )
}
