import { type FormEvent, useState } from 'react'
import type { Message } from '../api/types'
import { useSession } from '../shell/context'
import { Button } from '../ui/Button'
import { PopoverBeside } from '../ui/Popover'
import { useKept } from '../ui/useKept'

/** What people mostly say with an emoji. */
const QUICK: readonly [string, string][] = [
  ['👍', 'Thumbs up'], ['❤️', 'Heart'], ['😂', 'Laughing'], ['🎉', 'Celebration'],
  ['😮', 'Surprised'], ['😢', 'Sad'], ['🙏', 'Thanks'], ['👀', 'Looking'],
]

/** A message and the button that asks for an emoji to it. */
export interface Picking {
  message: Message
  beside: HTMLElement
}

function Choices({ message, onDone }: { message: Message; onDone: () => void }) {
  const session = useSession()
  const [other, setOther] = useState('')
  const mine = new Set(message.reactions?.filter((reaction) => reaction.mine).map((reaction) => reaction.emoji))
  const choose = (emoji: string) => {
    onDone()
    void session.react(message, emoji, !mine.has(emoji))
  }
  const typed = (event: FormEvent) => {
    event.preventDefault()
    if (other.trim() !== '') choose(other.trim())
  }
  return (
    <>
      <div className="picker">
        {QUICK.map(([emoji, words]) => (
          <button key={emoji} type="button" className="picker-emoji" aria-label={words} title={words} aria-pressed={mine.has(emoji)} onClick={() => choose(emoji)}>
            {emoji}
          </button>
        ))}
      </div>
      <form className="picker-other" onSubmit={typed}>
        <input
          className="input" aria-label="Another emoji" placeholder="Another emoji" maxLength={32} autoComplete="off"
          value={other} onChange={(event) => setOther(event.target.value)}
        />
        <Button type="submit" disabled={other.trim() === ''}>React</Button>
      </form>
    </>
  )
}

/** Asks for an emoji. There is one of it for all messages. */
export function ReactionPicker({ picking, onClose }: { picking: Picking | null; onClose: () => void }) {
  const shown = useKept(picking)
  return (
    <PopoverBeside open={picking !== null} anchor={shown?.beside ?? null} title="React" onClose={onClose}>
      {shown !== null && <Choices key={shown.message.id} message={shown.message} onDone={onClose} />}
    </PopoverBeside>
  )
}
