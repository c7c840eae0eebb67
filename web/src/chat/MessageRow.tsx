import { memo, useState } from 'react'
import type { Message } from '../api/types'
import type { Rights } from '../state/rights'
import { harmlessText, shownName } from '../text/harmless'
import { clockTime, fullTime, timeLeft } from '../text/time'
import { Avatar } from '../ui/Avatar'
import { Name } from '../ui/Name'
import { FailedHelp } from './FailedHelp'
import { MessageBody, silence } from './MessageBody'
import { MessageState } from './MessageState'
import { MessageTools, type ToolActions } from './MessageTools'
import { Reactions } from './Reactions'

interface MessageRowProps extends ToolActions {
  message: Message
  quoted: Message | null
  heldBy: number
  /** The author's account, which gives the colour of the face. */
  account: string
  names: Map<string, string>
  me: string
  first: boolean
  last: boolean
  rights: Rights
  /** Whether the focus is on this message. */
  reached: boolean
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
      <bdi className="quote-text">{silence(quoted)?.words ?? harmlessText(quoted.text)}</bdi>
    </button>
  )
}

/** One sentence for who listens instead of looking. */
function spoken(message: Message, name: string): string {
  const state = message.state === 'settled' ? '' : `, ${message.state}`
  const edited = message.edited_at === undefined ? '' : ', edited'
  return `${name}, ${clockTime(message.sent_at)}${state}${edited}: ${silence(message)?.words ?? harmlessText(message.text)}`
}

/** When it was written and changed, and how long it stays: looked up anew when somebody points at it. */
function Times({ message }: { message: Message }) {
  const [now, setNow] = useState(Date.now)
  const left = message.expires_at === undefined || message.deleted === true ? '' : timeLeft(message.expires_at, now)
  const goes = left === '' ? '' : `\nDisappears in ${left}`
  return (
    <>
      {message.edited_at !== undefined && <span className="edited" title={`Edited ${fullTime(message.edited_at)}`}>edited</span>}
      <time dateTime={message.sent_at} title={fullTime(message.sent_at) + goes} onPointerEnter={() => setNow(Date.now())}>{clockTime(message.sent_at)}</time>
      {left !== '' && <span className="unseen">, disappears in {left}</span>}
    </>
  )
}

export const MessageRow = memo(function MessageRow(props: MessageRowProps) {
  const { message, quoted, heldBy, account, names, me, first, last, rights, reached, onJump, onResend } = props
  const mine = message.author.device === me
  const name = shownName(names, message.author)
  const quiet = silence(message) !== null ? ' is-silent' : ''
  const shape = `${mine ? 'mine' : 'theirs'}${first ? ' first' : ''}${last ? ' last' : ''} is-${message.state}${quiet}`
  return (
    <article className={`message ${shape}`} data-message={message.id} tabIndex={-1} aria-label={spoken(message, mine ? 'You' : name)}>
      {!mine && <span className="message-face">{last && <Avatar account={account} name={name} />}</span>}
      <div className="message-main">
        {first && !mine && <p className="message-author"><Name>{name}</Name></p>}
        <div className="bubble-line">
          <div className="bubble">
            <Quote message={message} quoted={quoted} names={names} onJump={onJump} />
            <MessageBody message={message} />
            <span className="meta">
              <MessageState message={message} heldBy={heldBy} names={names} me={me} />
              <Times message={message} />
            </span>
          </div>
          <MessageTools {...props} name={name} rights={rights} reached={reached} />
        </div>
        <Reactions message={message} names={names} me={me} open={rights.react} />
        {mine && message.state === 'failed' && <FailedHelp problem={message.problem} text={message.text} onRetry={() => onResend(message)} />}
      </div>
    </article>
  )
})
