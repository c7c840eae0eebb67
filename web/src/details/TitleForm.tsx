import { type FormEvent, useState } from 'react'
import type { Chat } from '../api/types'
import { useSession } from '../shell/context'
import { harmlessName } from '../text/harmless'
import { Button } from '../ui/Button'
import { Field } from '../ui/Field'

/** The node refuses longer ones. */
const TITLE_LIMIT = 100

function Editable({ chat }: { chat: Chat }) {
  const session = useSession()
  const [title, setTitle] = useState(chat.title)
  const [busy, setBusy] = useState(false)
  const save = async (event: FormEvent) => {
    event.preventDefault()
    setBusy(true)
    if (await session.attempt(session.api.changeChat(chat.id, { title: title.trim() }))) session.toast('The new title is on its way')
    setBusy(false)
  }
  const same = title.trim() === chat.title || title.trim() === ''
  return (
    <form className="details-title" onSubmit={(event) => void save(event)}>
      <Field label="Title" value={title} onChange={setTitle} maxLength={TITLE_LIMIT} autoComplete="off" />
      <Button type="submit" disabled={same || busy}>Save</Button>
    </form>
  )
}

/** What the chat is called. When somebody else changes it, what is typed here makes way. */
export function TitleForm({ chat, may }: { chat: Chat; may: boolean }) {
  return (
    <section className="details-part" aria-label="Title">
      {may ? <Editable key={chat.title} chat={chat} /> : <p className="details-name"><bdi>{harmlessName(chat.title)}</bdi></p>}
    </section>
  )
}
