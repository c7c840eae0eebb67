import type { PendingDevice } from '../api/types'
import { harmlessName } from '../text/harmless'
import { Button } from '../ui/Button'

/** Says that a device asks to be the user's; whoever made the link waits for it. */
export function DeviceHint({ pending, onOpen }: { pending: PendingDevice; onOpen: () => void }) {
  return (
    <aside className="words-hint" aria-label="A new device">
      <p role="status"><strong><bdi>{harmlessName(pending.label)}</bdi></strong> asks to be a device of yours.</p>
      <div className="account-buttons">
        <Button look="primary" onClick={onOpen}>Compare the codes</Button>
      </div>
    </aside>
  )
}
