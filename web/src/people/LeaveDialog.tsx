import { useState } from 'react'
import type { Chat } from '../api/types'
import { useSession } from '../shell/context'
import { harmlessName } from '../text/harmless'
import { Button } from '../ui/Button'
import { Dialog } from '../ui/Dialog'

/** Asks before leaving: there is no way back without a new invite. */
export function LeaveDialog({ chat, open, onClose }: { chat: Chat; open: boolean; onClose: () => void }) {
  const session = useSession()
  const [busy, setBusy] = useState(false)
  const leave = async () => {
    setBusy(true)
    if (await session.attempt(session.api.leave(chat.id))) onClose()
    setBusy(false)
  }
  const hosts = chat.host?.device === chat.me && chat.members.length > 1
  return (
    <Dialog
      open={open}
      onClose={onClose}
      title={`Leave ${harmlessName(chat.title)}?`}
      description={`${hosts ? 'You host now; another member takes over first. ' : ''}What you have read stays on this computer. To come back you need a new invite.`}
    >
      <div className="dialog-actions">
        <Button onClick={onClose}>Stay</Button>
        <Button look="danger" icon="leave" disabled={busy} onClick={() => void leave()}>Leave</Button>
      </div>
    </Dialog>
  )
}
