import { useId, useState } from 'react'
import type { Chat, Settings } from '../api/types'
import { useSession } from '../shell/context'
import { lasting } from '../text/time'
import { CustomTimer } from './CustomTimer'

/** The times that most people want, in seconds. */
const TIMERS: readonly number[] = [0, 3_600, 86_400, 604_800]

function timerWords(seconds: number): string {
  return seconds === 0 ? 'Off' : `After ${lasting(seconds)}`
}

interface RulesProps {
  chat: Chat
  may: boolean
}

/** Which rule is asked for and not settled yet is shown as it will be. */
function useRules(chat: Chat) {
  const session = useSession()
  const [asked, setAsked] = useState<Partial<Settings>>({})
  const settled = JSON.stringify(chat.settings)
  const [seen, setSeen] = useState(settled)
  if (seen !== settled) {
    setSeen(settled)
    setAsked({})
  }
  const change = async (part: Partial<Settings>) => {
    const next = { ...asked, ...part }
    setAsked(next)
    if (!(await session.attempt(session.api.changeChat(chat.id, { settings: next })))) setAsked({})
  }
  return { rules: { ...chat.settings, ...asked }, change }
}

function Timer({ seconds, onChange }: { seconds: number; onChange: (seconds: number) => void }) {
  const id = useId()
  const [custom, setCustom] = useState(!TIMERS.includes(seconds))
  const choose = (value: string) => {
    setCustom(value === 'custom')
    if (value !== 'custom') onChange(Number(value))
  }
  return (
    <div className="field">
      <label htmlFor={id}>Messages disappear</label>
      <select id={id} className="input" value={custom ? 'custom' : seconds} onChange={(event) => choose(event.target.value)}>
        {TIMERS.map((each) => <option key={each} value={each}>{timerWords(each)}</option>)}
        <option value="custom">{TIMERS.includes(seconds) ? 'Another time …' : timerWords(seconds)}</option>
      </select>
      {custom && <CustomTimer key={seconds} seconds={seconds} onSave={onChange} />}
      <p className="hint">From all devices, so long after they settled. It counts for messages that are sent from now on.</p>
    </div>
  )
}

/** Who invites, and how long messages stay. */
export function Rules({ chat, may }: RulesProps) {
  const { rules, change } = useRules(chat)
  return (
    <section className="details-part" aria-labelledby="rules">
      <h3 id="rules">Rules</h3>
      {may ? (
        <>
          <Timer key={rules.disappear_after_s} seconds={rules.disappear_after_s} onChange={(seconds) => void change({ disappear_after_s: seconds })} />
          <label className="check">
            <input type="checkbox" checked={rules.admins_invite} onChange={(event) => void change({ admins_invite: event.target.checked })} />
            <span>Only the founder and admins invite</span>
          </label>
        </>
      ) : (
        <dl className="facts">
          <div><dt>Messages disappear</dt><dd>{timerWords(rules.disappear_after_s)}</dd></div>
          <div><dt>Invites</dt><dd>{rules.admins_invite ? 'by the founder and admins' : 'by everybody'}</dd></div>
        </dl>
      )}
    </section>
  )
}
