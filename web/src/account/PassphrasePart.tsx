import { type FormEvent, useState } from 'react'
import { problemOf } from '../api/client'
import type { Lock, Problem } from '../api/types'
import { useSession } from '../shell/context'
import { Button } from '../ui/Button'
import { Field } from '../ui/Field'

/** The node refuses shorter ones. */
export const PASSPHRASE_MIN = 8

type Doing = 'set' | 'change' | 'remove'

const DONE: Record<Doing, string> = {
  set: 'The passphrase is set',
  change: 'The passphrase is changed',
  remove: 'The passphrase is removed',
}

/** Two fields that have to agree, since nobody sees what is typed. */
export function NewPassphrase({ value, again, onChange, onAgain, label }: {
  value: string
  again: string
  onChange: (value: string) => void
  onAgain: (value: string) => void
  label: string
}) {
  const differ = again !== '' && again !== value
  return (
    <>
      <Field
        label={label}
        type="password"
        value={value}
        onChange={onChange}
        autoComplete="new-password"
        hint={`At least ${PASSPHRASE_MIN} characters. Four or five random words are best.`}
      />
      <Field
        label="The same again"
        type="password"
        value={again}
        onChange={onAgain}
        autoComplete="new-password"
        aria-invalid={differ}
        hint={differ ? 'The two are not the same.' : undefined}
      />
    </>
  )
}

export const isGood = (value: string, again: string) => [...value].length >= PASSPHRASE_MIN && value === again

function PassphraseForm({ doing, onClose, onDone }: { doing: Doing; onClose: () => void; onDone: () => void }) {
  const session = useSession()
  const [old, setOld] = useState('')
  const [next, setNext] = useState('')
  const [again, setAgain] = useState('')
  const [problem, setProblem] = useState<Problem | null>(null)
  const [busy, setBusy] = useState(false)
  const ready = (doing === 'set' || old !== '') && (doing === 'remove' || isGood(next, again))
  const save = async (event: FormEvent) => {
    event.preventDefault()
    setBusy(true)
    setProblem(null)
    try {
      await session.api.setPassphrase({ ...(doing !== 'set' && { old }), ...(doing !== 'remove' && { new: next }) })
      session.toast(DONE[doing])
      onDone()
      onClose()
    } catch (error) {
      setProblem(problemOf(error))
      setBusy(false)
    }
  }
  return (
    <form className="stack" onSubmit={(event) => void save(event)}>
      {doing !== 'set' && (
        <Field label="Your passphrase now" type="password" value={old} onChange={setOld} autoComplete="current-password" autoFocus />
      )}
      {doing !== 'remove' && (
        <NewPassphrase label="New passphrase" value={next} again={again} onChange={setNext} onAgain={setAgain} />
      )}
      {doing === 'set' && <p className="hint">Nobody can open your chats on this computer without it, not even you.</p>}
      {problem !== null && <p className="inline-problem" role="alert"><strong>{problem.title}.</strong> {problem.detail}</p>}
      <div className="account-buttons">
        <Button look={doing === 'remove' ? 'danger' : 'primary'} type="submit" disabled={busy || !ready}>
          {doing === 'remove' ? 'Remove the passphrase' : 'Save'}
        </Button>
        <Button look="quiet" onClick={onClose}>Cancel</Button>
      </div>
    </form>
  )
}

/** Sets, changes and removes the passphrase. */
export function PassphrasePart({ lock, onDone }: { lock: Lock; onDone: () => void }) {
  const [doing, setDoing] = useState<Doing | null>(null)
  if (doing !== null) return <PassphraseForm doing={doing} onClose={() => setDoing(null)} onDone={onDone} />
  return (
    <div className="account-buttons">
      {lock.has_passphrase ? (
        <>
          <Button onClick={() => setDoing('change')}>Change the passphrase</Button>
          <Button look="quiet" onClick={() => setDoing('remove')}>Remove it</Button>
        </>
      ) : (
        <Button onClick={() => setDoing('set')}>Set a passphrase</Button>
      )}
    </div>
  )
}
