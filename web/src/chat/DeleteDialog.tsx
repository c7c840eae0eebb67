import { useState } from 'react'
import type { Message } from '../api/types'
import { useSession } from '../shell/context'
import { harmlessText } from '../text/harmless'
import { Button } from '../ui/Button'
import { Dialog } from '../ui/Dialog'
import { useKept } from '../ui/useKept'

interface DeleteDialogProps {
  message: Message | null
  /** Whether the user wrote it. */
  own: boolean
  onClose: () => void
}

/** Asks before a message is deleted: there is no way back. */
export function DeleteDialog({ message, own, onClose }: DeleteDialogProps) {
  const session = useSession()
  const shown = useKept(message)
  const [busy, setBusy] = useState(false)
  const remove = async (target: Message) => {
    setBusy(true)
    if (await session.deleteMessage(target)) onClose()
    setBusy(false)
  }
  return (
    <Dialog
      open={message !== null}
      onClose={onClose}
      title="Delete the message?"
      description={`${own ? 'It' : 'What somebody else wrote'} is deleted on all members’ devices. Who has read it may have kept it elsewhere.`}
    >
      {shown !== null && (
        <>
          {shown.text !== '' && <blockquote className="quote"><bdi className="quote-text">{harmlessText(shown.text)}</bdi></blockquote>}
          <div className="dialog-actions">
            <Button onClick={onClose}>Keep it</Button>
            <Button look="danger" icon="trash" disabled={busy} onClick={() => void remove(shown)}>Delete</Button>
          </div>
        </>
      )}
    </Dialog>
  )
}
