import type { Chat } from '../api/types'
import { leads } from '../state/rights'
import { Dialog } from '../ui/Dialog'
import { Encryption } from './Encryption'
import { People } from './People'
import { Rules } from './Rules'
import { TitleForm } from './TitleForm'

interface DetailsProps {
  chat: Chat
  names: Map<string, string>
  me: string
}

/** What a chat is called, who may do what in it, its rules and its encryption. */
export function DetailsDialog({ open, onClose, ...props }: DetailsProps & { open: boolean; onClose: () => void }) {
  const { chat, me } = props
  const may = leads(chat, me)
  return (
    <Dialog open={open} onClose={onClose} title="Chat details" shape="side">
      <div className="details">
        <TitleForm chat={chat} may={may} />
        <Encryption chat={chat} />
        <Rules chat={chat} may={may} />
        <People {...props} />
        {!may && chat.phase === 'live' && <p className="hint">The founder and admins change the title and the rules.</p>}
      </div>
    </Dialog>
  )
}
