import { type FormEvent, useState } from 'react'
import type { Problem } from '../api/types'
import { Button } from '../ui/Button'
import { Field } from '../ui/Field'
import { Logo } from '../ui/Logo'
import { useSession } from './context'

/** The page without a valid token: it says where the right address is. */
export function Locked({ problem }: { problem: Problem | null }) {
  const session = useSession()
  const [address, setAddress] = useState('')
  const open = (event: FormEvent) => {
    event.preventDefault()
    const fragment = address.slice(address.indexOf('#') + 1).trim()
    void session.open(/^(token|code)=/.test(fragment) ? fragment : `token=${fragment}`)
  }
  // What a missing token means, the words above say in full.
  return (
    <main className="welcome">
      <form className="card" onSubmit={open}>
        <Logo />
        <h1>This page needs its key</h1>
        <p>
          Only the address that your node printed opens it: the line that begins with <code>demes:</code>. After a
          restart there is a new one. What you typed here is kept.
        </p>
        {problem !== null && problem.code !== 'unauthorized' && (
          <p className="inline-problem" role="alert">
            <strong>{problem.title}.</strong> {problem.detail}
          </p>
        )}
        <Field
          label="Address"
          placeholder="http://127.0.0.1:3000/#token=…"
          value={address}
          onChange={setAddress}
          autoComplete="off"
          spellCheck={false}
        />
        <Button look="primary" type="submit" disabled={address.trim() === ''}>Open</Button>
      </form>
    </main>
  )
}
