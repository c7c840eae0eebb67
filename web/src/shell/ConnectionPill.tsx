import { useEffect, useState } from 'react'
import { Button } from '../ui/Button'
import { useSession, useStore } from './context'

/** A short gap is not worth a word. */
const PATIENCE_MS = 700
/** What is shown is called old from then on. */
const STALE_MS = 5_000

/** Says that the node does not answer; nothing that is typed meanwhile is lost. */
export function ConnectionPill() {
  const session = useSession()
  const lostAt = useStore((state) => (state.gate.kind === 'locked' || state.gate.kind === 'passphrase' ? null : state.lostAt))
  const [shown, setShown] = useState(false)
  useEffect(() => {
    const root = document.documentElement
    if (lostAt === null) {
      setShown(false)
      delete root.dataset['stale']
      return
    }
    const show = setTimeout(() => setShown(true), PATIENCE_MS)
    const stale = setTimeout(() => (root.dataset['stale'] = ''), STALE_MS)
    return () => {
      clearTimeout(show)
      clearTimeout(stale)
    }
  }, [lostAt])
  return (
    <div className="pill-place" role="status">
      {shown && (
        <div className="pill">
          <span className="pill-dot" aria-hidden="true" />
          <span>Your node does not answer. Trying again …</span>
          <Button look="quiet" onClick={() => session.retryNow()}>Try now</Button>
        </div>
      )}
    </div>
  )
}
