import { useState } from 'react'
import type { Chat, Member } from '../api/types'
import { date, delay, fullTime } from '../text/time'
import { Avatar } from '../ui/Avatar'
import { Name } from '../ui/Name'
import { ranks } from './radial'
import { Safety } from './Safety'

/** What members hold is told now and then: who is only a few messages behind is not behind. */
const BEHIND_LIMIT = 20

interface MembersProps {
  chat: Chat
  names: Map<string, string>
  me: string
}

/** The host, then the line, then who is away. */
function sorted(chat: Chat): Member[] {
  const line = ranks(chat)
  const weight = (member: Member) => {
    if (member.device === chat.host?.device) return 0
    return (member.online ? 1 : 10_000) + (line.get(member.device) ?? 5_000)
  }
  return [...chat.members].sort((a, b) => weight(a) - weight(b))
}

function presence(member: Member, you: boolean): string {
  if (member.leaving === true) return 'leaving'
  if (!member.online) return 'away'
  if (you) return 'here'
  return member.rtt_ms === null ? 'here' : `here · ${delay(member.rtt_ms)}`
}

interface OneMemberProps {
  member: Member
  chat: Chat
  name: string
  me: string
  /** Compares safety numbers; null for one's own devices. */
  onSafety: (() => void) | null
}

function OneMember({ member, chat, name, me, onSafety }: OneMemberProps) {
  const you = member.device === me
  const behind = chat.position - member.held
  return (
    <li className={member.online ? 'member' : 'member member-away'}>
      <Avatar account={member.account} name={name} online={member.online} />
      <span className="member-words">
        <span className="member-name">
          <Name you={you}>{name}</Name>
        </span>
        <span className="hint">
          {presence(member, you)}
          {behind > BEHIND_LIMIT && chat.phase === 'live' && ` · ${behind} behind`}
          {onSafety !== null && (
            <>
              {' · '}
              <button type="button" className="member-safety" onClick={onSafety}>
                {member.verified ? 'verified' : 'verify'}
                <span className="unseen">, safety number with {name}</span>
              </button>
            </>
          )}
        </span>
        {member.rejoined_at !== undefined && (
          <span className="hint member-back" title={fullTime(member.rejoined_at)}>came back with new keys on {date(member.rejoined_at)}</span>
        )}
      </span>
      <span className="tags">
        {member.device === chat.host?.device && <span className="tag tag-host">host</span>}
        {member.council && <span className="tag" title="Votes on the order of messages">council</span>}
        {member.history === true && <span className="tag" title="May read what was said before it came">history</span>}
        {member.role !== 'member' && <span className="tag">{member.role}</span>}
      </span>
    </li>
  )
}

export function Members({ chat, names, me }: MembersProps) {
  const [comparing, setComparing] = useState<string | null>(null)
  const mine = chat.members.find((member) => member.device === me)?.account
  const other = chat.members.find((member) => member.device === comparing)
  const here = chat.members.filter((member) => member.online).length
  return (
    <section className="panel-part" aria-labelledby="members">
      <h2 id="members">Members <span className="hint">{here} of {chat.members.length} here</span></h2>
      <ul className="members">
        {sorted(chat).map((member) => (
          <OneMember
            key={member.device}
            member={member}
            chat={chat}
            name={names.get(member.device) ?? ''}
            me={me}
            onSafety={member.account === mine ? null : () => setComparing(member.device)}
          />
        ))}
      </ul>
      {other !== undefined && (
        <Safety chat={chat.id} account={other.account} name={names.get(other.device) ?? ''} onClose={() => setComparing(null)} />
      )}
    </section>
  )
}
