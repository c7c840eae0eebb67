import { useEffect, useState } from 'react'
import { Button } from './Button'

const COPIED_MS = 2_000

/** Copies a text and says so. Where the browser forbids it, the text beside it can be selected. */
export function CopyButton({ text, label }: { text: string; label: string }) {
  const [state, setState] = useState<'ready' | 'copied' | 'refused'>('ready')
  useEffect(() => {
    if (state === 'ready') return
    const timer = setTimeout(() => setState('ready'), COPIED_MS)
    return () => clearTimeout(timer)
  }, [state])
  const copy = () => navigator.clipboard.writeText(text).then(() => setState('copied'), () => setState('refused'))
  const words = { ready: label, copied: 'Copied', refused: 'Select it and copy' }[state]
  return (
    <>
      <Button icon={state === 'copied' ? 'check' : 'copy'} onClick={() => void copy()}>{words}</Button>
      <span className="unseen" role="status">{state === 'ready' ? '' : words}</span>
    </>
  )
}
