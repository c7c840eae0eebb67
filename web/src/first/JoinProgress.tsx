import type { Join, JoinState } from '../api/types'
import { harmlessName } from '../text/harmless'
import { useSession } from '../shell/context'
import { Button } from '../ui/Button'
import { Icon } from '../ui/Icon'

const STEPS = ['connecting', 'knocking', 'waiting', 'joined'] as const

const WORDS: Record<JoinState, { title: string; detail: string }> = {
  connecting: { title: 'Connecting …', detail: 'Trying every known address, one member is enough.' },
  knocking: { title: 'Knocking …', detail: 'Waiting for the founder to let you in.' },
  waiting: { title: 'Admitted', detail: 'Waiting for the members to agree that you are in.' },
  joined: { title: 'You are in', detail: '' },
  refused: { title: 'Not let in', detail: 'The founder refused, or the invite is no longer good.' },
  failed: { title: 'That did not work', detail: '' },
}

function waitsFor(names: string): string {
  return `You are final when more than half of the chat's electors have it. Waiting for ${harmlessName(names)}.`
}

function Code({ code }: { code: string }) {
  return (
    <div className="code-card">
      <span>The other screen must show the same code</span>
      <strong className="code">{code.slice(0, 3)} {code.slice(3)}</strong>
    </div>
  )
}

function Addresses({ join }: { join: Join }) {
  const { tried } = join
  if (tried.length === 0) return null
  return (
    <div className="stack-small">
      <h3 className="small-title">Addresses tried</h3>
      <ul className="tried">
        {tried.map((attempt) => (
          <li key={attempt.address}>
            <code>{attempt.address}</code>
            <span>{attempt.result === '' ? 'trying …' : attempt.result}</span>
          </li>
        ))}
      </ul>
    </div>
  )
}

/** How far a join has come, each address that was tried, and what to do if it ended. */
export function JoinProgress({ join }: { join: Join }) {
  const session = useSession()
  const over = join.state === 'failed' || join.state === 'refused'
  const at = STEPS.findIndex((step) => step === join.state)
  const words = WORDS[join.state]
  const detail = join.state === 'waiting' && join.waits_for ? waitsFor(join.waits_for) : words.detail
  return (
    <div className="stack join">
      <div role="status" className="join-state">
        <span className={over ? 'join-sign join-over' : 'join-sign'} aria-hidden="true">
          {over ? <Icon name="failed" /> : <span className="ripple" />}
        </span>
        <div>
          <strong>{join.problem?.title ?? words.title}</strong>
          <p className="hint">{join.problem?.detail ?? detail}</p>
        </div>
      </div>
      {!over && (
        <ol className="steps" aria-hidden="true">
          {STEPS.map((step, place) => <li key={step} className={place <= at ? 'step-done' : ''} />)}
        </ol>
      )}
      {join.state === 'knocking' && join.code !== undefined && join.code !== '' && <Code code={join.code} />}
      <Addresses join={join} />
      <Button onClick={() => session.forgetJoin()}>{over ? 'Try something else' : 'Stop waiting'}</Button>
    </div>
  )
}
