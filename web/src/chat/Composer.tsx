import { type KeyboardEvent, useEffect, useLayoutEffect, useRef, useState } from 'react'
import type { Chat, Message } from '../api/types'
import { useSession } from '../shell/context'
import { keptDraft } from '../state/kept'
import { harmlessName, harmlessText, shownName } from '../text/harmless'
import { IconButton } from '../ui/Button'
import { Name } from '../ui/Name'

/** The node refuses more: 16 KiB of UTF-8. */
const TEXT_LIMIT_BYTES = 16_384
/** From here on the composer counts what is left. */
const WARN_BYTES = 15_000

interface ComposerProps {
  chat: Chat
  names: Map<string, string>
  replyTo: Message | null
  onReplyEnd: () => void
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

/** Never refuses: without a host the message waits and says so. */
export function Composer({ chat, names, replyTo, onReplyEnd }: ComposerProps) {
  const session = useSession()
  const [text, setText] = useState(() => keptDraft.get(chat.id))
  const field = useAutoGrow(text)
  const bytes = text.length < WARN_BYTES / 4 ? 0 : new TextEncoder().encode(text.trim()).length

  useEffect(() => {
    if (replyTo !== null) field.current?.focus()
  }, [replyTo, field])
  useEffect(() => {
    // On a touch screen the focus would open the keyboard over the messages.
    if (matchMedia('(hover: hover)').matches) field.current?.focus()
  }, [field])

  const change = (next: string) => {
    setText(next)
    keptDraft.set(chat.id, next)
    if (next !== '') session.typing(chat.id)
  }
  const send = () => {
    if (text.trim() === '' || bytes > TEXT_LIMIT_BYTES) return
    session.send(chat.id, text.trim(), replyTo?.id)
    change('')
    onReplyEnd()
    field.current?.focus()
  }
  const pressed = (event: KeyboardEvent) => {
    // While an input method composes, Enter chooses a word. Some browsers only say so by key code 229.
    if (event.nativeEvent.isComposing || event.keyCode === 229) return
    if (event.key === 'Enter' && !event.shiftKey) {
      event.preventDefault()
      send()
    }
    if (event.key === 'Escape' && replyTo !== null) {
      event.preventDefault()
      onReplyEnd()
    }
  }
  return (
    <div className="composer">
      {replyTo !== null && (
        <div className="composer-reply">
          <span className="composer-quote">
            Reply to <Name>{shownName(names, replyTo.author)}</Name>
            <bdi className="quote-text">{harmlessText(replyTo.text)}</bdi>
          </span>
          <IconButton label="Cancel the reply" keys="Esc" icon="close" onClick={onReplyEnd} />
        </div>
      )}
      <div className="composer-line">
        <textarea
          ref={field}
          className="composer-field"
          rows={1}
          dir="auto"
          aria-label="Message"
          placeholder={placeholder(chat)}
          value={text}
          onChange={(event) => change(event.target.value)}
          onKeyDown={pressed}
          enterKeyHint="send"
        />
        <IconButton label="Send" keys="Enter" icon="send" className="composer-send" disabled={text.trim() === ''} onClick={send} />
      </div>
      {bytes > WARN_BYTES && (
        <p role="status" className={bytes > TEXT_LIMIT_BYTES ? 'composer-count composer-over' : 'composer-count'}>
          {bytes > TEXT_LIMIT_BYTES
            ? `${bytes - TEXT_LIMIT_BYTES} bytes too long. Send it in parts.`
            : `${TEXT_LIMIT_BYTES - bytes} bytes left`}
        </p>
      )}
    </div>
  )
}
