import type { Lock } from '../api/types'
import { Button } from '../ui/Button'
import { Dialog } from '../ui/Dialog'
import { useSession } from '../shell/context'
import { DevicesPart } from './DevicesPart'
import { ExportPart } from './ExportPart'
import { PassphrasePart } from './PassphrasePart'
import type { AccountState } from './useAccount'
import type { DevicesState } from './useDevices'
import { WordsPart } from './WordsPart'

const PROTECTED: Record<string, string> = {
  passphrase: 'Your chats on this computer open with your passphrase only.',
  keychain: 'Your chats on this computer open while you are logged in: their key is in the system’s keychain.',
  'key-file': 'The key of your chats lies beside them in a file. Whoever can read your data folder can read your chats; a passphrase prevents that.',
}

function LockPart({ lock, onDone }: { lock: Lock; onDone: () => void }) {
  const session = useSession()
  return (
    <section className="account-part" aria-labelledby="account-lock">
      <h3 id="account-lock">On this computer</h3>
      <p>{PROTECTED[lock.key] ?? PROTECTED['key-file']}</p>
      <PassphrasePart lock={lock} onDone={onDone} />
      {lock.has_passphrase && (
        <Button icon="lock" onClick={() => void session.lock()}>Lock now</Button>
      )}
    </section>
  )
}

interface AccountDialogProps {
  known: AccountState
  devices: DevicesState | null
  open: boolean
  onClose: () => void
}

/** What makes the user the same person on another computer, and who can open the chats on this one. */
export function AccountDialog({ known, devices, open, onClose }: AccountDialogProps) {
  const { account, lock, refresh } = known
  return (
    <Dialog open={open} onClose={onClose} title="Your account" shape="side">
      <div className="account">
        <WordsPart account={account} lock={lock} onDone={refresh} />
        {devices !== null && <DevicesPart devices={devices} />}
        <LockPart lock={lock} onDone={refresh} />
        {account.has_words && <ExportPart lock={lock} />}
        <dl className="account-ids">
          <dt>Account</dt>
          <dd><code>{account.account}</code></dd>
          <dt>This device</dt>
          <dd><code>{account.device}</code></dd>
        </dl>
      </div>
    </Dialog>
  )
}
