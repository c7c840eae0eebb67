import { useEffect, useState } from 'react'
import type { OwnDevice } from '../api/types'
import { count, date, fullTime } from '../text/time'
import { Button } from '../ui/Button'
import { Icon } from '../ui/Icon'
import { AddDeviceDialog } from './AddDeviceDialog'
import { notAdding } from './adding'
import { DeviceHint } from './DeviceHint'
import { deviceName } from './deviceName'
import { RevokeDialog } from './RevokeDialog'
import type { DevicesState } from './useDevices'

/** Presence of one's devices may be this old on the screen. */
const LOOK_MS = 10_000

function seen(device: OwnDevice): string {
  if (device.this === true || device.online) return 'here'
  return device.last_seen === undefined ? 'away' : `last seen ${fullTime(device.last_seen)}`
}

function chatsWords(chats: number): string {
  if (chats === 0) return 'in no chat'
  return chats === 1 ? 'in 1 chat' : `in ${count(chats)} chats`
}

function DeviceRow({ device, leaving, onRevoke }: { device: OwnDevice; leaving: boolean; onRevoke: () => void }) {
  return (
    <li className={seen(device) === 'here' ? 'device' : 'device device-away'}>
      <Icon name="system" />
      <span className="member-words">
        <span className="member-name">{deviceName(device)}</span>
        <span className="hint">{leaving ? 'leaves your chats' : seen(device)} · {chatsWords(device.chats)}</span>
        <span className="hint" title={fullTime(device.added_at)}>added on {date(device.added_at)}</span>
      </span>
      {device.this !== true && !leaving && (
        <Button look="quiet" onClick={onRevoke}>
          Revoke<span className="unseen"> {deviceName(device)}</span>
        </Button>
      )}
    </li>
  )
}

/** The devices on which the user is the same person: adds one, and takes a lost one out of every chat. */
export function DevicesPart({ devices }: { devices: DevicesState }) {
  const { known, adding, setAdding, setKnown, refresh } = devices
  const { pending } = known
  const [open, setOpen] = useState(false)
  const [revoking, setRevoking] = useState<OwnDevice | null>(null)
  const [revoked, setRevoked] = useState<string[]>([])
  useEffect(() => {
    refresh()
    const look = setInterval(refresh, LOOK_MS)
    return () => clearInterval(look)
  }, [refresh])
  const add = () => {
    // A link that is still good is shown again: a new one would make it void.
    const good = adding.link !== null && Date.parse(adding.link.expires_at) > Date.now()
    setAdding(good ? { ...adding, refused: false } : notAdding)
    setOpen(true)
  }
  return (
    <section className="account-part" aria-labelledby="account-devices">
      <h3 id="account-devices">Your devices</h3>
      <ul className="devices">
        {known.devices.map((device) => (
          <DeviceRow
            key={device.device}
            device={device}
            leaving={revoked.includes(device.device)}
            onRevoke={() => setRevoking(device)}
          />
        ))}
      </ul>
      {pending !== undefined && !open && <DeviceHint pending={pending} onOpen={() => setOpen(true)} />}
      {known.can_add ? (
        <Button icon="plus" onClick={add}>Add a device</Button>
      ) : (
        <p className="hint">
          This device cannot add another: your account’s words are not on it. Add devices on the one where you began, or
          where you typed the 24 words.
        </p>
      )}
      <AddDeviceDialog devices={devices} open={open} onClose={() => setOpen(false)} />
      <RevokeDialog
        device={revoking}
        onClose={() => setRevoking(null)}
        onDone={(next) => {
          if (revoking !== null) setRevoked([...revoked, revoking.device])
          setKnown(next)
        }}
      />
    </section>
  )
}
