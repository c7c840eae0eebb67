import { type FormEvent, useState } from 'react'
import { useSession, useStore } from '../shell/context'
import { harmlessName } from '../text/harmless'
import { Avatar } from '../ui/Avatar'
import { Button } from '../ui/Button'
import { Field } from '../ui/Field'
import { Logo } from '../ui/Logo'
import { JoinForm } from './JoinForm'
import { StartForm } from './StartForm'

function NameStep({ name, onDone }: { name: string; onDone: () => void }) {
  const session = useSession()
  const [next, setNext] = useState(name)
  const save = async (event: FormEvent) => {
    event.preventDefault()
    if (next.trim() === name || (await session.rename(next.trim()))) onDone()
  }
  return (
    <form className="card" onSubmit={(event) => void save(event)}>
      <Field
        label="What should others call you?"
        value={next}
        onChange={setNext}
        maxLength={64}
        autoComplete="nickname"
        autoFocus
      />
      <Button look="primary" type="submit" disabled={next.trim() === ''}>Continue</Button>
    </form>
  )
}

function ChooseStep({ account, name, onRename }: { account: string; name: string; onRename: () => void }) {
  return (
    <>
      <p className="welcome-me">
        <Avatar account={account} name={name} size="small" />
        <span>You are <bdi><strong>{name}</strong></bdi></span>
        <Button look="quiet" onClick={onRename}>Change</Button>
      </p>
      <div className="choices">
        <section className="card choice">
          <h2>Start a chat</h2>
          <p className="hint">You open a lobby and invite the others. Your computer hosts until the chat starts.</p>
          <StartForm />
        </section>
        <section className="card choice">
          <h2>Join a chat</h2>
          <p className="hint">Somebody gave you a link, or a lobby is open nearby.</p>
          <JoinForm />
        </section>
      </div>
    </>
  )
}

/** The first minute: a name, then start or join. */
export function Welcome() {
  const node = useStore((state) => state.node)
  const [named, setNamed] = useState<boolean | null>(null)
  if (node === null) return null
  const choosing = named ?? node.name !== ''
  return (
    <main className="welcome">
      <header className="welcome-head">
        <Logo className="logo logo-large" />
        <h1>DeMes</h1>
        <p>Private group chat that its own members host. No server, no sign-up.</p>
      </header>
      {choosing ? (
        <ChooseStep account={node.account} name={harmlessName(node.name)} onRename={() => setNamed(false)} />
      ) : (
        <NameStep name={node.name} onDone={() => setNamed(true)} />
      )}
    </main>
  )
}
