import { type FormEvent, useRef, useState } from 'react'
import type { Problem } from '../api/types'
import { Button } from '../ui/Button'
import { Field } from '../ui/Field'
import { Logo } from '../ui/Logo'
import { useSession } from './context'

/** The page of a node whose profile is locked. Nothing of its chats is in the page now. */
export function PassphraseScreen() {
  const session = useSession()
  const [passphrase, setPassphrase] = useState('')
  const [busy, setBusy] = useState(false)
  const [problem, setProblem] = useState<Problem | null>(null)
  const form = useRef<HTMLFormElement>(null)
  const unlock = async (event: FormEvent) => {
    event.preventDefault()
    if (busy || passphrase === '') return
    setBusy(true)
    setProblem(null)
    const wrong = await session.unlock(passphrase)
    setBusy(false)
    setProblem(wrong)
    if (wrong !== null) form.current?.querySelector('input')?.select()
  }
  return (
    <main className="welcome">
      <form className="card" ref={form} onSubmit={(event) => void unlock(event)} aria-busy={busy}>
        <Logo className={busy ? 'logo logo-turning' : 'logo'} />
        <h1>DeMes is locked</h1>
        <p className="hint">Your chats are encrypted on this computer. Your passphrase opens them.</p>
        <Field
          label="Passphrase"
          type="password"
          value={passphrase}
          onChange={setPassphrase}
          autoComplete="current-password"
          aria-invalid={problem !== null}
          autoFocus
        />
        {problem !== null && (
          <p className="inline-problem" role="alert">
            <strong>{problem.title}.</strong> {problem.detail}
          </p>
        )}
        <Button look="primary" type="submit" aria-disabled={busy || passphrase === ''}>
          {busy ? 'Opening …' : 'Unlock'}
        </Button>
        <p className="hint">
          Forgotten? Nobody can open this profile then. Your 24 words make you the same person in a new one:{' '}
          <code>demes recover</code>.
        </p>
      </form>
    </main>
  )
}
