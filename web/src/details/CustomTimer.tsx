import { type FormEvent, useState } from 'react'
import { Button } from '../ui/Button'

const UNITS: readonly [string, number][] = [['minutes', 60], ['hours', 3_600], ['days', 86_400], ['weeks', 604_800]]

/** The node refuses longer ones: a year. */
const SECONDS_LIMIT = 31_536_000

/** A time in its own unit. Whole units only: nobody wants messages to go after 1.5 weeks. */
export function CustomTimer({ seconds, onSave }: { seconds: number; onSave: (seconds: number) => void }) {
  const [, begin] = UNITS.findLast(([, length]) => seconds > 0 && seconds % length === 0) ?? ['hours', 3_600]
  const [count, setCount] = useState(seconds === 0 ? '' : String(Math.max(1, Math.round(seconds / begin))))
  const [unit, setUnit] = useState(begin)
  const wanted = Number(count) * unit
  const good = Number.isInteger(Number(count)) && wanted > 0 && wanted <= SECONDS_LIMIT
  const save = (event: FormEvent) => {
    event.preventDefault()
    if (good) onSave(wanted)
  }
  return (
    <form className="custom-timer" onSubmit={save}>
      <input className="input" aria-label="How many" type="number" inputMode="numeric" min="1" step="1" value={count} onChange={(event) => setCount(event.target.value)} />
      <select className="input" aria-label="Unit of time" value={unit} onChange={(event) => setUnit(Number(event.target.value))}>
        {UNITS.map(([words, length]) => <option key={words} value={length}>{words}</option>)}
      </select>
      <Button type="submit" disabled={!good || wanted === seconds}>Set</Button>
    </form>
  )
}
