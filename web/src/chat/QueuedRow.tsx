import { useSession } from '../shell/context'
import type { Queued } from '../state/state'
import { clockTime } from '../text/time'
import { Button } from '../ui/Button'
import { Icon } from '../ui/Icon'
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
          <div className="failed-help" role="alert">
            <p><strong>{problem.title}.</strong> {problem.detail}</p>
            <Button onClick={() => session.retrySend(chat, item.key)}>Try again</Button>
            <Button look="quiet" onClick={() => void navigator.clipboard.writeText(item.text)}>Copy</Button>
            <Button look="quiet" onClick={() => session.store.dispatch({ type: 'dropped', chat, key: item.key })}>Discard</Button>
          </div>
        )}
      </div>
    </article>
  )
}
