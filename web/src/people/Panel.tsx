import type { Chat } from '../api/types'
import { Members } from './Members'
import { Succession } from './Succession'

/** The numbers behind it, for who wants to compare two screens. */
function Facts({ chat }: { chat: Chat }) {
  const council = chat.members.filter((member) => member.council).length
  const facts: [string, string | number][] = [
    ['Settled messages', chat.position],
    ['Council', council],
    ['Generation', chat.generation],
    ['Term', chat.term],
    ['Head', `${chat.head.index} · ${chat.head.hash.slice(0, 8)}`],
  ]
  return (
    <section className="panel-part" aria-labelledby="order">
      <h2 id="order">Order</h2>
      <dl className="facts">
        {facts.map(([term, value]) => (
          <div key={term}><dt>{term}</dt><dd>{value}</dd></div>
        ))}
      </dl>
    </section>
  )
}

export function Panel(props: { chat: Chat; names: Map<string, string>; me: string }) {
  return (
    <div className="panel-parts">
      {props.chat.phase === 'live' && <Succession {...props} />}
      <Members {...props} />
      <Facts chat={props.chat} />
    </div>
  )
}
