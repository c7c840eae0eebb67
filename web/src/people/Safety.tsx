import { useEffect, useState } from 'react'
import { problemOf } from '../api/client'
import type { Problem, Safety as SafetyNumber } from '../api/types'
import { useSession } from '../shell/context'
import { Button } from '../ui/Button'
import { Dialog } from '../ui/Dialog'
import { Qr } from '../ui/Qr'

interface SafetyProps {
  chat: string
  account: string
  name: string
  onClose: () => void
}

function Standing({ safety }: { safety: SafetyNumber }) {
  if (safety.verified) return <p className="safety-good" role="status">You have compared them: verified.</p>
  if (safety.changed) {
    return (
      <p className="inline-problem" role="status">
        <strong>There is a new device.</strong> You compared these numbers before it came. Ask whether it is theirs,
        and compare again.
      </p>
    )
  }
  return <p role="status">Not compared yet.</p>
}

/** The digits in lines of four groups, so that they can be read out. */
function Digits({ digits }: { digits: string }) {
  return (
    <ol className="digits" aria-label="Safety number">
      {digits.split(' ').map((group, place) => (
        // Groups may repeat.
        // oxlint-disable-next-line react/no-array-index-key
        <li key={place}>{group}</li>
      ))}
    </ol>
  )
}

/** Compares two accounts: both people see the same digits, unless somebody sits in between. */
export function Safety({ chat, account, name, onClose }: SafetyProps) {
  const session = useSession()
  const [safety, setSafety] = useState<SafetyNumber | null>(null)
  const [problem, setProblem] = useState<Problem | null>(null)
  useEffect(() => {
    let gone = false
    session.api.safety(chat, account).then(
      (known) => !gone && setSafety(known),
      (error: unknown) => !gone && setProblem(problemOf(error)),
    )
    return () => {
      gone = true
    }
  }, [session, chat, account])
  const mark = (verified: boolean) =>
    void session.attempt(session.api.setVerified(chat, account, verified).then(setSafety))
  return (
    <Dialog
      open
      onClose={onClose}
      title={`Safety number with ${name}`}
      description="Compare it when you meet, or on the telephone: both of you see the same digits, unless somebody sits in between."
    >
      {problem !== null && <p className="inline-problem" role="alert"><strong>{problem.title}.</strong> {problem.detail}</p>}
      {safety !== null && (
        <div className="safety">
          <Digits digits={safety.digits} />
          <Qr svg={safety.qr_svg} label="The same number as a QR code" />
          <Standing safety={safety} />
          <div className="dialog-actions">
            {safety.verified
              ? <Button onClick={() => mark(false)}>Take the mark away</Button>
              : <Button look="primary" icon="check" onClick={() => mark(true)}>They match</Button>}
          </div>
        </div>
      )}
    </Dialog>
  )
}
