import type { Message } from '../api/types'
import { isReadable } from '../state/rights'
import { Icon, type IconName } from '../ui/Icon'
import { MessageText } from './MessageText'

/** Whether the time of a message is over: then nobody deleted it. */
function isOver(message: Message): boolean {
  return message.expires_at !== undefined && Date.parse(message.expires_at) <= Date.now()
}

/** Why a message shows no text, in two words and in more. */
export function silence(message: Message): { icon: IconName; words: string; detail: string } | null {
  if (message.deleted === true && isOver(message)) return { icon: 'hourglass', words: 'Message disappeared', detail: 'Its time was over.' }
  if (message.deleted === true) return { icon: 'trash', words: 'Message deleted', detail: 'Its author, the founder or an admin deleted it.' }
  if (isReadable(message)) return null
  if (message.problem?.code === 'no-keys') {
    return { icon: 'lock', words: 'Waiting for keys', detail: message.problem.detail }
  }
  return { icon: 'failed', words: message.problem?.title ?? 'This message cannot be read', detail: message.problem?.detail ?? '' }
}

/** What a message says, or in its place a quiet word about why it says nothing. */
export function MessageBody({ message }: { message: Message }) {
  const instead = silence(message)
  if (instead === null) return <MessageText text={message.text} />
  return (
    <p className="silence" title={instead.detail}>
      <Icon name={instead.icon} />
      <span>{instead.words}</span>
    </p>
  )
}
