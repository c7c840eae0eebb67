import { Dialog } from '../ui/Dialog'
import { InviteCard } from './InviteCard'

export function InviteDialog({ chat, open, onClose }: { chat: string; open: boolean; onClose: () => void }) {
  return (
    <Dialog
      open={open}
      onClose={onClose}
      title="Invite"
      description="Any member can let the newcomer in, also while you are away."
    >
      <InviteCard chat={chat} now past />
    </Dialog>
  )
}
