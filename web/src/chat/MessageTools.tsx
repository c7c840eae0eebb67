import type { Message } from '../api/types'
import type { Rights } from '../state/rights'
import { IconButton } from '../ui/Button'

export interface ToolActions {
  onReply: (message: Message) => void
  onEdit: (message: Message) => void
  onDelete: (message: Message) => void
  /** The picker opens beside the button. */
  onPick: (message: Message, beside: HTMLElement) => void
}

interface MessageToolsProps extends ToolActions {
  message: Message
  rights: Rights
  name: string
  /** Whether Tab stops here: it does at one message only, the one that has the focus. */
  reached: boolean
}

/** What can be done with a message. It shows itself when the message has the pointer or the focus. */
export function MessageTools({ message, rights, name, reached, onReply, onEdit, onDelete, onPick }: MessageToolsProps) {
  if (!rights.reply && !rights.remove) return null
  const tabIndex = reached ? 0 : -1
  return (
    <div className="message-tools" role="group" aria-label={`What to do with the message of ${name}`}>
      {rights.react && (
        <IconButton
          label="React" keys="+" icon="smile" tabIndex={tabIndex} data-tool="react" aria-haspopup="dialog"
          onClick={(event) => onPick(message, event.currentTarget)}
        />
      )}
      {rights.reply && <IconButton label={`Reply to ${name}`} keys="R" icon="reply" tabIndex={tabIndex} data-tool="reply" onClick={() => onReply(message)} />}
      {rights.edit && <IconButton label="Edit" keys="E" icon="pen" tabIndex={tabIndex} data-tool="edit" onClick={() => onEdit(message)} />}
      {rights.remove && <IconButton label="Delete" keys="Del" icon="trash" tabIndex={tabIndex} data-tool="delete" onClick={() => onDelete(message)} />}
    </div>
  )
}
