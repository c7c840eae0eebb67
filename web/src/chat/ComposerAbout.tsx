import type { Message } from '../api/types'
import { harmlessText, shownName } from '../text/harmless'
import { IconButton } from '../ui/Button'
import { Name } from '../ui/Name'

interface ComposerAboutProps {
  names: Map<string, string>
  replyTo: Message | null
  editing: Message | null
  onCancel: () => void
}

/** The message that the composer is about: one that is edited, or else one that is answered. */
export function ComposerAbout({ names, replyTo, editing, onCancel }: ComposerAboutProps) {
  const about = editing ?? replyTo
  if (about === null) return null
  return (
    <div className="composer-reply">
      <span className="composer-quote">
        {editing !== null ? 'Edit your message' : <>Reply to <Name>{shownName(names, about.author)}</Name></>}
        <bdi className="quote-text">{harmlessText(about.text)}</bdi>
      </span>
      <IconButton label={editing !== null ? 'Cancel the edit' : 'Cancel the reply'} keys="Esc" icon="close" onClick={onCancel} />
    </div>
  )
}
