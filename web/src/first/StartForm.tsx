import { type FormEvent, useState } from 'react'
import { useSession } from '../shell/context'
import { Button } from '../ui/Button'
import { Field } from '../ui/Field'

/** Founds a chat: its lobby opens at once. */
export function StartForm({ onDone }: { onDone?: () => void }) {
  const session = useSession()
  const [title, setTitle] = useState('')
  const [busy, setBusy] = useState(false)
  const found = async (event: FormEvent) => {
    event.preventDefault()
    setBusy(true)
    if (await session.found(title.trim())) onDone?.()
    setBusy(false)
  }
  return (
    <form className="stack" onSubmit={(event) => void found(event)}>
      <Field
        label="Name of the chat"
        placeholder="Saturday hike"
        value={title}
        onChange={setTitle}
        maxLength={80}
        autoComplete="off"
      />
      <Button look="primary" type="submit" disabled={busy || title.trim() === ''}>Open the lobby</Button>
    </form>
  )
}
