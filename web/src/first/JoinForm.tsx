import { type FormEvent, useState } from 'react'
import type { JoinTarget } from '../api/types'
import { useSession, useStore } from '../shell/context'
import { Button } from '../ui/Button'
import { Field } from '../ui/Field'
import { JoinProgress } from './JoinProgress'

/** `localhost:3000`, `192.168.1.20:4001` and the like are knocked at; everything else is an invite link. */
function targetOf(words: string): JoinTarget {
  return /^(\[[0-9a-f:]+\]|[\w.-]+):\d{1,5}$/iu.test(words) ? { address: words } : { link: words }
}

export function JoinForm() {
  const session = useSession()
  const join = useStore((state) => state.join)
  const [words, setWords] = useState('')
  const submit = (event: FormEvent) => {
    event.preventDefault()
    void session.join(targetOf(words.trim()))
  }
  if (join !== null) return <JoinProgress join={join} />
  return (
    <form className="stack" onSubmit={submit}>
      <Field
        label="Invite link, or address"
        hint="An address such as localhost:3000 knocks at a lobby on this computer or your network."
        placeholder="demes://join#… or localhost:3000"
        value={words}
        onChange={setWords}
        autoComplete="off"
        spellCheck={false}
      />
      <Button look="primary" type="submit" disabled={words.trim() === ''}>Join</Button>
    </form>
  )
}
