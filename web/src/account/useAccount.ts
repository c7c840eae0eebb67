import { useCallback, useEffect, useState } from 'react'
import type { Account, Lock } from '../api/types'
import { useSession, useStore } from '../shell/context'

export interface AccountState {
  account: Account
  lock: Lock
  refresh: () => void
}

/** The account and how it is protected; null until the node has said so. They change only by this page's own calls. */
export function useAccount(): AccountState | null {
  const session = useSession()
  const device = useStore((state) => state.node?.device)
  const [known, setKnown] = useState<Omit<AccountState, 'refresh'> | null>(null)
  const [asked, setAsked] = useState(0)
  const refresh = useCallback(() => setAsked((count) => count + 1), [])
  useEffect(() => {
    if (device === undefined) return
    let gone = false
    // Without an answer the page goes on without the account's corner.
    const load = async () => {
      const [account, lock] = await Promise.all([session.api.account(), session.api.lock()])
      if (!gone) setKnown({ account, lock })
    }
    load().catch(() => undefined)
    return () => {
      gone = true
    }
  }, [session, device, asked])
  return known === null ? null : { ...known, refresh }
}
