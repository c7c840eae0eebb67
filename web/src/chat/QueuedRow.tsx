import { useSession } from '../shell/context'
import type { Queued } from '../state/state'
import { clockTime } from '../text/time'
import { Icon } from '../ui/Icon'
import { FailedHelp } from './FailedHelp'
import { MessageText } from './MessageText'

/** A message that the node has not stored yet: it waits in this page. */
export function QueuedRow({ chat, item }: { chat: string; item: Queued }) {
  const session = useSession()
  const { problem } = item
  return (
    <article className={`message mine first last ${problem === undefined ? 'is-pending' : 'is-failed'}`} aria-label={`You: ${item.text}`}>
      <div className="message-main">
        <div className="bubble">
          <MessageText text={item.text} />
          <span className="meta">
            <span className={problem === undefined ? 'state state-pending' : 'state state-failed'}>
              <Icon name={problem === undefined ? 'clock' : 'failed'} />
              {problem === undefined ? 'pending' : 'failed'}
            </span>
            <time dateTime={item.at}>{clockTime(item.at)}</time>
          </span>
        </div>
        {problem !== undefined && (
          <FailedHelp
            problem={problem}
            text={item.text}
            onRetry={() => session.retrySend(chat, item.key)}
            onDiscard={() => session.store.dispatch({ type: 'dropped', chat, key: item.key })}
          />
        )}
      </div>
    </article>
  )
}
