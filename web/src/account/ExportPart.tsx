import { type FormEvent, useState } from 'react'
import { problemOf } from '../api/client'
import type { Lock, Problem } from '../api/types'
import { useSession } from '../shell/context'
import { Button } from '../ui/Button'
import { Field } from '../ui/Field'
import { isGood, NewPassphrase } from './PassphrasePart'

/** Hands a file to the browser's downloads. */
function download(name: string, base64: string): void {
  const bytes = Uint8Array.from(atob(base64), (letter) => letter.charCodeAt(0))
  const url = URL.createObjectURL(new Blob([bytes], { type: 'application/octet-stream' }))
  const link = document.createElement('a')
  link.href = url
  link.download = name
  link.click()
  URL.revokeObjectURL(url)
}

/** Writes the account to a file that a passphrase of its own opens. */
export function ExportPart({ lock }: { lock: Lock }) {
  const session = useSession()
  const [open, setOpen] = useState(false)
  const [current, setCurrent] = useState('')
  const [next, setNext] = useState('')
  const [again, setAgain] = useState('')
  const [problem, setProblem] = useState<Problem | null>(null)
  const [busy, setBusy] = useState(false)
  const close = () => {
    setOpen(false)
    setCurrent('')
    setNext('')
    setAgain('')
    setProblem(null)
  }
  const save = async (event: FormEvent) => {
    event.preventDefault()
    setBusy(true)
    setProblem(null)
    try {
      const file = await session.api.exportAccount(next, lock.has_passphrase ? current : undefined)
      download(file.name, file.file)
      close()
    } catch (error) {
      setProblem(problemOf(error))
    }
    setBusy(false)
  }
  return (
    <section className="account-part" aria-labelledby="account-export">
      <h3 id="account-export">A copy in a file</h3>
      <p>
        Who you are, whom you have verified and which chats you are in, encrypted. No messages. On another computer,{' '}
        <code>demes import</code> makes you the same person with it.
      </p>
      {!open && <Button icon="down" onClick={() => setOpen(true)}>Export the account</Button>}
      {open && (
        <form className="stack" onSubmit={(event) => void save(event)}>
          {lock.has_passphrase && (
            <Field label="Your passphrase now" type="password" value={current} onChange={setCurrent} autoComplete="current-password" />
          )}
          <NewPassphrase label="Passphrase of the file" value={next} again={again} onChange={setNext} onAgain={setAgain} />
          {problem !== null && <p className="inline-problem" role="alert"><strong>{problem.title}.</strong> {problem.detail}</p>}
          <div className="account-buttons">
            <Button look="primary" type="submit" disabled={busy || !isGood(next, again) || (lock.has_passphrase && current === '')}>Save the file</Button>
            <Button look="quiet" onClick={close}>Cancel</Button>
          </div>
        </form>
      )}
    </section>
  )
}
