import { Button } from '../ui/Button'

/** Reminds of the words until they are written down; it stands in nobody's way. */
export function WordsHint({ onOpen, onLater }: { onOpen: () => void; onLater: () => void }) {
  return (
    <aside className="words-hint" aria-label="Your 24 words">
      <p><strong>Write down your 24 words.</strong> Without them nobody can bring your account back.</p>
      <div className="account-buttons">
        <Button look="primary" onClick={onOpen}>Show them</Button>
        <Button look="quiet" onClick={onLater}>Later</Button>
      </div>
    </aside>
  )
}
