import { memo } from 'react'
import type { Message } from '../api/types'
import { harmlessText, shownName } from '../text/harmless'
import { clockTime, fullTime } from '../text/time'
import { Avatar } from '../ui/Avatar'
import { IconButton } from '../ui/Button'
import { Name } from '../ui/Name'
import { FailedHelp } from './FailedHelp'
import { MessageState } from './MessageState'
import { MessageText } from './MessageText'

interface MessageRowProps {
  message: Message
  quoted: Message | null
  heldBy: number
  /** The author's account, which gives the colour of the face. */
  account: string
  names: Map<string, string>
  me: string
  first: boolean
  last: boolean
  onReply: (message: Message) => void
  onJump: (id: string) => void
  onResend: (message: Message) => void
}

function Quote({ message, quoted, names, onJump }: Pick<MessageRowProps, 'message' | 'quoted' | 'names' | 'onJump'>) {
  if (message.reply_to === undefined || message.reply_to === '') return null
  if (quoted === null) return <p className="quote quote-gone">In reply to an earlier message</p>
  return (
    <button type="button" className="quote" onClick={() => onJump(quoted.id)}>
      <span className="unseen">In reply to </span>
      <Name>{shownName(names, quoted.author)}</Name>
      <bdi className="quote-text">{harmlessText(quoted.text)}</bdi>
    </button>
  )
}

/** One sentence for who listens instead of looking. */
function spoken(message: Message, name: string): string {
  const state = message.state === 'settled' ? '' : `, ${message.state}`
  return `${name}, ${clockTime(message.sent_at)}${state}: ${harmlessText(message.text)}`
}

export const MessageRow = memo(function MessageRow(props: MessageRowProps) {
  const { message, quoted, heldBy, account, names, me, first, last, onReply, onJump, onResend } = props
  const mine = message.author.device === me
  const name = shownName(names, message.author)
  const shape = `${mine ? 'mine' : 'theirs'}${first ? ' first' : ''}${last ? ' last' : ''} is-${message.state}`
  return (
    <article className={`message ${shape}`} data-message={message.id} tabIndex={-1} aria-label={spoken(message, mine ? 'You' : name)}>
      {!mine && <span className="message-face">{last && <Avatar account={account} name={name} />}</span>}
      <div className="message-main">
        {first && !mine && <p className="message-author"><Name>{name}</Name></p>}
        <div className="bubble-line">
          <div className="bubble">
            <Quote message={message} quoted={quoted} names={names} onJump={onJump} />
            <MessageText text={message.text} />
            <span className="meta">
              <MessageState message={message} heldBy={heldBy} names={names} me={me} />
              <time dateTime={message.sent_at} title={fullTime(message.sent_at)}>{clockTime(message.sent_at)}</time>
            </span>
          </div>
          <IconButton label={`Reply to ${name}`} icon="reply" className="message-reply" onClick={() => onReply(message)} />
        </div>
        {mine && message.state === 'failed' && <FailedHelp problem={message.problem} text={message.text} onRetry={() => onResend(message)} />}
      </div>
    </article>
  )
})
