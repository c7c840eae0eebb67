import { type FormEvent, useEffect, useState } from 'react'
import { problemOf } from '../api/client'
import type { Account, Lock, Problem } from '../api/types'
import { useSession } from '../shell/context'
import { Button } from '../ui/Button'
import { Field } from '../ui/Field'

/** Words do not stay on a screen that nobody looks at any more. */
const SHOWN_MS = 5 * 60_000

interface WordsPartProps {
  account: Account
  lock: Lock
  onDone: () => void
}

function ShownWords({ words, onSaved, onHide }: { words: string[]; onSaved: () => void; onHide: () => void }) {
  useEffect(() => {
    const timer = setTimeout(onHide, SHOWN_MS)
    return () => clearTimeout(timer)
  }, [onHide])
  return (
    <>
      <p>Write them down in this order, on paper. Whoever has them is you: never type them into a web page.</p>
      <ol className="words">
        {words.map((word, place) => (
          // The same word may stand in two places.
          // oxlint-disable-next-line react/no-array-index-key
          <li key={place}>{word}</li>
        ))}
      </ol>
      <div className="account-buttons">
        <Button look="primary" onClick={onSaved}>I have written them down</Button>
        <Button look="quiet" onClick={onHide}>Hide</Button>
      </div>
    </>
  )
}

/** The 24 words: shown when asked for, and gone with the dialog. */
export function WordsPart({ account, lock, onDone }: WordsPartProps) {
  const session = useSession()
  const [passphrase, setPassphrase] = useState('')
  const [words, setWords] = useState<string[] | null>(null)
  const [problem, setProblem] = useState<Problem | null>(null)
  const [busy, setBusy] = useState(false)
  const show = async (event: FormEvent) => {
    event.preventDefault()
    setBusy(true)
    setProblem(null)
    try {
      setWords(await session.api.words(lock.has_passphrase ? passphrase : undefined))
      setPassphrase('')
    } catch (error) {
      setProblem(problemOf(error))
    }
    setBusy(false)
  }
  const saved = async () => {
    if (!(await session.attempt(session.api.noteWords(true)))) return
    setWords(null)
    onDone()
  }
  return (
    <section className="account-part" aria-labelledby="account-words">
      <h3 id="account-words">24 words</h3>
      {!account.has_words && <p>They are not on this device: another one added it to your account. Look there.</p>}
      {account.has_words && words === null && (
        <form className="stack" onSubmit={(event) => void show(event)}>
          <p>
            {account.words_saved
              ? 'You have written them down. With them you are the same person on another computer.'
              : 'If this computer is lost, they alone make you the same person on another one. They are not written down yet.'}
          </p>
          {lock.has_passphrase && (
            <Field label="Your passphrase" type="password" value={passphrase} onChange={setPassphrase} autoComplete="current-password" />
          )}
          {problem !== null && <p className="inline-problem" role="alert"><strong>{problem.title}.</strong> {problem.detail}</p>}
          <Button look={account.words_saved ? 'plain' : 'primary'} type="submit" disabled={busy || (lock.has_passphrase && passphrase === '')}>
            Show the words
          </Button>
        </form>
      )}
      {words !== null && <ShownWords words={words} onSaved={() => void saved()} onHide={() => setWords(null)} />}
    </section>
  )
}
