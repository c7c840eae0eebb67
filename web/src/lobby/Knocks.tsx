import type { Chat, Knock } from '../api/types'
import { useSession } from '../shell/context'
import { harmlessName } from '../text/harmless'
import { Avatar } from '../ui/Avatar'
import { Button } from '../ui/Button'
import { Name } from '../ui/Name'

function OneKnock({ chat, knock }: { chat: string; knock: Knock }) {
  const session = useSession()
  const answer = (admit: boolean) => void session.attempt(session.api.answerKnock(chat, knock.device, admit))
  const name = harmlessName(knock.name)
  return (
    <li className="knock">
      <Avatar account={knock.device} name={name} />
      <div className="knock-words">
        <span><Name>{name}</Name> is knocking</span>
        <span className="hint">
          from {knock.address}
          {knock.code !== '' && <> · code <strong className="code-small">{knock.code.slice(0, 3)} {knock.code.slice(3)}</strong></>}
        </span>
      </div>
      <div className="knock-actions">
        <Button onClick={() => answer(false)}>Refuse<span className="unseen"> {name}</span></Button>
        <Button look="primary" onClick={() => answer(true)}>Admit<span className="unseen"> {name}</span></Button>
      </div>
    </li>
  )
}

/** Who waits at the door. Both screens show the code: the founder compares before admitting. */
export function Knocks({ chat }: { chat: Chat }) {
  const knocks = chat.knocks ?? []
  return (
    <div role="status" className="knocks-place">
      {knocks.length > 0 && (
        <section className="card knocks" aria-label="At the door">
          <ul>{knocks.map((knock) => <OneKnock key={knock.device} chat={chat.id} knock={knock} />)}</ul>
          <p className="hint">Admit only if the other screen shows the same code.</p>
        </section>
      )}
    </div>
  )
}
