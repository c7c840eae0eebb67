import { useEffect, useState } from 'react'
import type { Problem } from '../api/types'
import { useSession } from '../shell/context'
import { Button } from '../ui/Button'

/** Whether this device can be renewed; null until the node has said so. */
function useCanRenew(): boolean | null {
  const session = useSession()
  const [can, setCan] = useState<boolean | null>(null)
  useEffect(() => {
    let gone = false
    session.quietly(session.api.devices().then((devices) => !gone && setCan(devices.can_add)))
    return () => {
      gone = true
    }
  }, [session])
  return can
}

/** This device is an older copy of itself: the way on, where there is one from here. */
export function StaleCopy({ problem }: { problem: Pick<Problem, 'title'> }) {
  const session = useSession()
  const can = useCanRenew()
  const [busy, setBusy] = useState(false)
  const renew = async () => {
    setBusy(true)
    const done = await session.attempt(session.api.renewDevice())
    if (done) session.toast('This is a new device now', 'It comes back into your chats as soon as members are online.')
    setBusy(false)
  }
  return (
    <div className="banner-words">
      <p>
        <strong>{problem.title}.</strong> Others hold something that it wrote and does not remember: a backup was
        restored, or a copy of it runs elsewhere. What you write is not sent.
      </p>
      {can === true && (
        <>
          <p>Stop the other copy if there is one. Then this device gets new keys and takes its old place in all of your chats; your messages stay.</p>
          <Button look="primary" disabled={busy} onClick={() => void renew()}>
            {busy ? 'Becoming a new device …' : 'Go on as a new device'}
          </Button>
        </>
      )}
      {can === false && (
        <p>
          It cannot get new keys here, for your account’s words are on another device. There, choose “Add a device” under “Your account”
          and run its command here with <code>--profile</code> and a new name; then revoke this one.
        </p>
      )}
    </div>
  )
}
