import { useState } from 'react'
import type { Chat } from '../api/types'
import { useSession } from '../shell/context'
import { shownName } from '../text/harmless'
import { delay } from '../text/time'
import { Button } from '../ui/Button'
import { Icon } from '../ui/Icon'
import { Name } from '../ui/Name'
import { Diagram } from './Diagram'
import { ranks, rttBetween } from './radial'

interface SuccessionProps {
  chat: Chat
  names: Map<string, string>
  me: string
}

/** Why this member hosts, in a sentence. */
function Why({ chat, names, me }: SuccessionProps) {
  const { host } = chat
  if (host === null) return <p>No host right now: the next in line is taking over.</p>
  const score = chat.succession.find((ranked) => ranked.device === host.device)?.score_ms ?? null
  const best = chat.succession[0]?.device === host.device
  const name = host.device === me ? 'You' : shownName(names, host)
  if (chat.mode === 'provisional') {
    return <p><bdi>{name}</bdi> {host.device === me ? 'relay' : 'relays'}: the best-placed member that can be reached.</p>
  }
  return (
    <p>
      <bdi><strong>{name}</strong></bdi> {host.device === me ? 'host' : 'hosts'}
      {score !== null && best && <>: {host.device === me ? 'your' : 'its'} ways to all others add up to {delay(score)}, the least of all</>}.
    </p>
  )
}

function HandOver({ chat, names, me }: SuccessionProps) {
  const session = useSession()
  const [busy, setBusy] = useState(false)
  if (chat.next === null || chat.mode === 'provisional') return null
  const name = chat.next.device === me ? 'yourself' : shownName(names, chat.next)
  const move = async () => {
    setBusy(true)
    if (await session.attempt(session.api.handover(chat.id))) session.toast(`Handing over to ${name}`)
    setBusy(false)
  }
  return (
    <Button icon="crown" disabled={busy} onClick={() => void move()}>
      <span>Hand over to <Name>{name}</Name></span>
    </Button>
  )
}

function Line({ chat, names, me }: SuccessionProps) {
  const line = ranks(chat)
  return (
    <table className="line">
      <caption className="unseen">Host and succession</caption>
      <thead>
        <tr>
          <th scope="col"><span className="unseen">Place</span></th>
          <th scope="col">Member</th>
          <th scope="col">To host</th>
          <th scope="col">To all</th>
        </tr>
      </thead>
      <tbody>
        {chat.succession.map((ranked) => {
          const host = ranked.device === chat.host?.device
          const rtt = chat.host === null ? null : rttBetween(chat, chat.host.device, ranked.device)
          const online = chat.members.find((member) => member.device === ranked.device)?.online ?? false
          return (
            <tr key={ranked.device} className={host ? 'line-host' : online ? '' : 'line-away'}>
              <td>
                {host ? <><Icon name="crown" className="host-sign" /><span className="unseen">host</span></> : line.get(ranked.device)}
              </td>
              <th scope="row"><Name you={ranked.device === me}>{shownName(names, ranked)}</Name></th>
              <td>{host ? 'host' : !online ? 'away' : rtt === null ? '–' : delay(rtt)}</td>
              <td>{ranked.score_ms === null || !online ? '–' : delay(ranked.score_ms)}</td>
            </tr>
          )
        })}
      </tbody>
    </table>
  )
}

/** Who hosts and why, who comes next, as a picture and as a table. */
export function Succession(props: SuccessionProps) {
  return (
    <section className="panel-part" aria-labelledby="succession">
      <h2 id="succession">Host and succession</h2>
      <Diagram {...props} />
      <Why {...props} />
      {props.chat.succession.length > 0 && <Line {...props} />}
      <p className="hint">“To host” is the round trip; “to all” the sum of the one-way delays, by which the line is ordered.</p>
      <HandOver {...props} />
    </section>
  )
}
