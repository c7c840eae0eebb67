import type { Message, Reaction } from '../api/types'
import { useSession } from '../shell/context'
import { harmlessEmoji, shownName } from '../text/harmless'
import { list } from '../text/time'

interface ReactionsProps {
  message: Message
  names: Map<string, string>
  me: string
  /** Whether the user may react here. */
  open: boolean
}

/** "👍 2 by Ann and you": what a glance takes in, in words. */
function described(reaction: Reaction, names: Map<string, string>, me: string): string {
  const who = reaction.by.map((peer) => (peer.device === me ? 'you' : shownName(names, peer)))
  return `${harmlessEmoji(reaction.emoji)} ${reaction.by.length} by ${list(who)}`
}

/** The emoji under a message; each is a button that puts the user's own there or takes it back. */
export function Reactions({ message, names, me, open }: ReactionsProps) {
  const session = useSession()
  const { reactions } = message
  if (reactions === undefined || reactions.length === 0) return null
  return (
    <ul className="reactions" aria-label="Reactions">
      {reactions.map((reaction) => (
        <li key={reaction.emoji}>
          <button
            type="button"
            className="reaction"
            aria-pressed={reaction.mine}
            aria-label={described(reaction, names, me)}
            title={described(reaction, names, me)}
            disabled={!open}
            onClick={() => void session.react(message, reaction.emoji, !reaction.mine)}
          >
            <bdi className="reaction-emoji">{harmlessEmoji(reaction.emoji)}</bdi>{' '}
            <span className="reaction-count">{reaction.by.length}</span>
          </button>
        </li>
      ))}
    </ul>
  )
}
