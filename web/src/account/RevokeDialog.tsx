import { useState } from 'react'
import type { Devices, OwnDevice } from '../api/types'
import { useSession } from '../shell/context'
import { Button } from '../ui/Button'
import { Dialog } from '../ui/Dialog'
import { useKept } from '../ui/useKept'
import { deviceName } from './deviceName'

interface RevokeDialogProps {
  device: OwnDevice | null
  onClose: () => void
  onDone: (devices: Devices) => void
}

/** Asks before a device of the user's is taken out of every chat. */
export function RevokeDialog({ device, onClose, onDone }: RevokeDialogProps) {
  const session = useSession()
  const [busy, setBusy] = useState(false)
  const shown = useKept(device)
  const revoke = async () => {
    if (device === null) return
    setBusy(true)
    if (await session.attempt(session.api.revokeDevice(device.device).then(onDone))) onClose()
    setBusy(false)
  }
  return (
    <Dialog
      open={device !== null}
      onClose={onClose}
      title={shown === null ? '' : `Revoke ${deviceName(shown)}?`}
      description="It leaves all of your chats for ever, and the keys change: it reads nothing that is said afterwards. What it has read stays on it."
    >
      <div className="dialog-actions">
        <Button onClick={onClose}>Keep</Button>
        <Button look="danger" icon="trash" disabled={busy} onClick={() => void revoke()}>Revoke</Button>
      </div>
    </Dialog>
  )
}
