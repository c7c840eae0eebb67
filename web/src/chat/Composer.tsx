import { type KeyboardEvent, useEffect, useLayoutEffect, useRef, useState } from 'react'
import type { Chat, Message } from '../api/types'
import { useSession } from '../shell/context'
import { keptDraft } from '../state/kept'
import { harmlessName } from '../text/harmless'
import { IconButton } from '../ui/Button'
import { ComposerAbout } from './ComposerAbout'

/** The node refuses more: 16 KiB of UTF-8. */
const TEXT_LIMIT_BYTES = 16_384
/** From here on the composer counts what is left. */
const WARN_BYTES = 15_000

interface ComposerProps {
  chat: Chat
  names: Map<string, string>
  replyTo: Message | null
  onReplyEnd: () => void
  /** The message that gets another text here. */
  editing: Message | null
  onEditEnd: () => void
  /** Arrow-Up in an empty field. */
  onEditLast: () => void
}

/** What will happen to a message that is sent now. */
function placeholder(chat: Chat): string {
  if (chat.host !== null) return 'Message'
  if (chat.next === null) return 'No host right now. Your message goes out when somebody takes over'
  return `No host right now. Your message goes out when ${harmlessName(chat.next.name)} takes over`
}

function useAutoGrow(text: string) {
  const field = useRef<HTMLTextAreaElement>(null)
  useLayoutEffect(() => {
    const area = field.current
    if (area === null) return
    area.style.height = 'auto'
    area.style.height = `${area.scrollHeight + area.offsetHeight - area.clientHeight}px`
  }, [text])
  return field
}

/** The draft, or while a message is edited its text. The draft waits for the end of that. */
function useText(chat: string, editing: Message | null) {
  const [text, setText] = useState(() => editing?.text ?? keptDraft.get(chat))
  const [about, setAbout] = useState(editing?.id)
  if (about !== editing?.id) {
    setAbout(editing?.id)
    setText(editing?.text ?? keptDraft.get(chat))
  }
  const change = (next: string) => {
    setText(next)
    if (editing === null) keptDraft.set(chat, next)
  }
  return { text, change }
}

function Count({ bytes }: { bytes: number }) {
  if (bytes <= WARN_BYTES) return null
  const over = bytes > TEXT_LIMIT_BYTES
  return (
    <p role="status" className={over ? 'composer-count composer-over' : 'composer-count'}>
      {over ? `${bytes - TEXT_LIMIT_BYTES} bytes too long. Send it in parts.` : `${TEXT_LIMIT_BYTES - bytes} bytes left`}
    </p>
  )
}

/** Never refuses: without a host the message waits and says so. */
export function Composer(props: ComposerProps) {
  const { chat, names, replyTo, onReplyEnd, editing, onEditEnd, onEditLast } = props
  const session = useSession()
  const { text, change } = useText(chat.id, editing)
  const field = useAutoGrow(text)
  const bytes = text.length < WARN_BYTES / 4 ? 0 : new TextEncoder().encode(text.trim()).length

  useEffect(() => {
    if (replyTo !== null || editing !== null) field.current?.focus()
  }, [replyTo, editing, field])
  useEffect(() => {
    // On a touch screen the focus would open the keyboard over the messages.
    if (matchMedia('(hover: hover)').matches) field.current?.focus()
  }, [field])

  const changed = (next: string) => {
    change(next)
    if (next !== '') session.typing(chat.id)
  }
  const save = async (message: Message, next: string) => {
    if (next === message.text || (await session.edit(message, next))) onEditEnd()
  }
  const send = () => {
    const words = text.trim()
    if (words === '' || bytes > TEXT_LIMIT_BYTES) return
    field.current?.focus()
    if (editing !== null) return void save(editing, words)
    session.send(chat.id, words, replyTo?.id)
    changed('')
    onReplyEnd()
  }
  const cancel = () => {
    if (editing !== null) onEditEnd()
    else onReplyEnd()
    field.current?.focus()
  }
  const pressed = (event: KeyboardEvent) => {
    // While an input method composes, Enter chooses a word. Some browsers only say so by key code 229.
    if (event.nativeEvent.isComposing || event.keyCode === 229) return
    if (event.key === 'Enter' && !event.shiftKey) send()
    else if (event.key === 'Escape' && (replyTo !== null || editing !== null)) cancel()
    else if (event.key === 'ArrowUp' && text === '' && editing === null && !event.altKey) onEditLast()
    else return
    event.preventDefault()
  }
  return (
    <div className={editing === null ? 'composer' : 'composer composer-editing'}>
      <ComposerAbout names={names} replyTo={replyTo} editing={editing} onCancel={cancel} />
      <div className="composer-line">
        <textarea
          ref={field}
          className="composer-field"
          rows={1}
          dir="auto"
          aria-label={editing === null ? 'Message' : 'New text of the message'}
          placeholder={editing === null ? placeholder(chat) : 'New text'}
          value={text}
          onChange={(event) => changed(event.target.value)}
          onKeyDown={pressed}
          enterKeyHint={editing === null ? 'send' : 'done'}
        />
        <IconButton
          label={editing === null ? 'Send' : 'Save the new text'} keys="Enter" icon={editing === null ? 'send' : 'check'}
          className="composer-send" disabled={text.trim() === ''} onClick={send}
        />
      </div>
      <Count bytes={bytes} />
    </div>
  )
}
