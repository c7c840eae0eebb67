import { useCallback, useEffect, useState } from 'react'
import type { Devices } from '../api/types'
import { useSession, useStore } from '../shell/context'
import { type Adding, notAdding } from './adding'

export interface DevicesState {
  known: Devices
  adding: Adding
  setAdding: (adding: Adding) => void
  setKnown: (devices: Devices) => void
  refresh: () => void
}

/**
 * The devices of the account, and how far adding one has come; null until the node has said so. They are
 * asked for again when a device asks, and as often as somebody looks at them.
 */
export function useDevices(): DevicesState | null {
  const session = useSession()
  const device = useStore((state) => state.node?.device)
  const asked = useStore((state) => state.asked)
  const connection = useStore((state) => state.connection)
  const [known, setKnown] = useState<Devices | null>(null)
  const [adding, setAdding] = useState(notAdding)
  const refresh = useCallback(() => session.quietly(session.api.devices().then(setKnown)), [session])
  useEffect(() => {
    if (device !== undefined && connection === 'open') refresh()
  }, [device, connection, asked, refresh])
  return known === null ? null : { known, adding, setAdding, setKnown, refresh }
}
