import { Dialog } from '../ui/Dialog'
import { JoinForm } from './JoinForm'
import { StartForm } from './StartForm'

/** Start or join a further chat; it closes when a chat is chosen. */
export function NewChatDialog({ open, onClose }: { open: boolean; onClose: () => void }) {
  return (
    <Dialog open={open} onClose={onClose} title="New chat">
      <div className="choices choices-narrow">
        <section className="choice">
          <h3>Start a chat</h3>
          <StartForm onDone={onClose} />
        </section>
        <section className="choice">
          <h3>Join a chat</h3>
          <JoinForm />
        </section>
      </div>
    </Dialog>
  )
}
