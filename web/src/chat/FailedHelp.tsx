import type { Problem } from '../api/types'
import { Button } from '../ui/Button'

interface FailedHelpProps {
  problem: Problem | undefined
  text: string
  onRetry: () => void
  /** A message that the node has stored cannot be discarded. */
  onDiscard?: () => void
}

/** Why a message failed and what can be done with it. */
export function FailedHelp({ problem, text, onRetry, onDiscard }: FailedHelpProps) {
  return (
    <div className="failed-help" role="alert">
      <p><strong>{problem?.title ?? 'The chat did not take this message'}.</strong> {problem?.detail}</p>
      <Button onClick={onRetry}>Send again</Button>
      <Button look="quiet" onClick={() => void navigator.clipboard.writeText(text)}>Copy</Button>
      {onDiscard !== undefined && <Button look="quiet" onClick={onDiscard}>Discard</Button>}
    </div>
  )
}
