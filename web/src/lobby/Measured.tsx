import type { Chat } from '../api/types'
import { delay } from '../text/time'

/** How many pairs of the members here have a measured round-trip time. */
export function measuredPairs(chat: Chat): { measured: number; pairs: number; slowest: number | null } {
  const { devices, rtt_ms } = chat.latency
  const here = chat.members.filter((member) => member.online).map((member) => member.device)
  const times: number[] = []
  let pairs = 0
  for (let a = 0; a < here.length; a++) {
    for (let b = a + 1; b < here.length; b++) {
      pairs++
      const [p, q] = [devices.indexOf(here[a] ?? ''), devices.indexOf(here[b] ?? '')]
      const time = rtt_ms[p]?.[q] ?? rtt_ms[q]?.[p] ?? null
      if (time !== null) times.push(time)
    }
  }
  return { measured: times.length, pairs, slowest: times.length === 0 ? null : Math.max(...times) }
}

export function Measured({ chat }: { chat: Chat }) {
  const { measured, pairs, slowest } = measuredPairs(chat)
  return (
    <div className="measured">
      <p>
        Everybody measures the way to everybody. At the start, the member with the shortest ways to all others
        becomes host, and the rest stand in line behind it.
      </p>
      {pairs > 0 && (
        <>
          <progress className="meter" max={pairs} value={measured} aria-label="Pairs measured" />
          <p className="hint">
            {measured} of {pairs} {pairs === 1 ? 'pair' : 'pairs'} measured
            {slowest !== null && ` · longest round trip ${delay(slowest)}`}
          </p>
        </>
      )}
    </div>
  )
}
