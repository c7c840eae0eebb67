import { type RefObject, useEffect } from 'react'
import type { PendingDevice } from '../api/types'
import { harmlessName, harmlessText } from '../text/harmless'
import { Button } from '../ui/Button'

interface AskingDeviceProps {
  pending: PendingDevice
  asking: RefObject<HTMLDivElement | null>
  busy: boolean
  onConfirm: () => void
  onRefuse: () => void
}

/**
 * The device that asks, and the code to compare. The focus goes to the code and not to a button: a key that
 * was meant for something else must take nobody in.
 */
export function AskingDevice({ pending, asking, busy, onConfirm, onRefuse }: AskingDeviceProps) {
  useEffect(() => asking.current?.focus(), [asking, pending.device])
  const name = harmlessName(pending.label)
  return (
    <div className="stack">
      <div ref={asking} className="device-asks" role="group" tabIndex={-1} aria-label={`${name} asks, with the code ${[...pending.code].join(' ')}`}>
        <p><strong><bdi>{name}</bdi></strong> asks to be a device of yours</p>
        <p className="device-code">{pending.code.slice(0, 3)}<span aria-hidden="true"> </span>{pending.code.slice(3)}</p>
        <p className="hint">from {harmlessText(pending.address)}</p>
      </div>
      <p>Does the new device show the same code? If it shows another one, or you did not start it, refuse.</p>
      <div className="dialog-actions">
        <Button disabled={busy} onClick={onRefuse}>Refuse</Button>
        <Button look="primary" icon="check" disabled={busy} onClick={onConfirm}>Confirm</Button>
      </div>
    </div>
  )
}
