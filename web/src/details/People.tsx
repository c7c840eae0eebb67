import { useState } from 'react'
import type { Chat, Member } from '../api/types'
import { useSession } from '../shell/context'
import { mayGiveRole, mayRemove } from '../state/rights'
import { Avatar } from '../ui/Avatar'
import { Button, IconButton } from '../ui/Button'
import { Dialog } from '../ui/Dialog'
import { Menu, MenuItem } from '../ui/Menu'
import { Name } from '../ui/Name'
import { useKept } from '../ui/useKept'

interface PeopleProps {
  chat: Chat
  names: Map<string, string>
  me: string
}

const RANK: Record<Member['role'], number> = { founder: 0, admin: 1, member: 2 }

/** One member for each account, the founder first: roles belong to people, not to devices. */
function people(chat: Chat): { member: Member; devices: number }[] {
  const shown = new Map<string, { member: Member; devices: number }>()
  for (const member of chat.members) {
    const known = shown.get(member.account)
    const face = known === undefined || member.device === chat.me ? member : known.member
    shown.set(member.account, { member: face, devices: (known?.devices ?? 0) + 1 })
  }
  return [...shown.values()].sort((a, b) => RANK[a.member.role] - RANK[b.member.role])
}

interface PersonProps {
  member: Member
  devices: number
  chat: Chat
  name: string
  me: string
  onRemove: (member: Member) => void
}

function Person({ member, devices, chat, name, me, onRemove }: PersonProps) {
  const session = useSession()
  const give = async (role: 'admin' | 'member') => {
    if (await session.attempt(session.api.setRole(chat.id, member.account, role))) session.toast(role === 'admin' ? `${name} becomes an admin` : `${name} becomes a member again`)
  }
  const role = mayGiveRole(chat, me, member)
  const remove = mayRemove(chat, me, member)
  return (
    <li className="member">
      <Avatar account={member.account} name={name} />
      <span className="member-words">
        <span className="member-name"><Name you={member.device === me}>{name}</Name></span>
        <span className="hint">{member.role}{devices > 1 && ` · ${devices} devices`}</span>
      </span>
      {(role || remove) && (
        <Menu trigger={<IconButton label={`What to do with ${name}`} icon="menu" />}>
          {role && member.role === 'member' && <MenuItem icon="crown" onClick={() => void give('admin')}>Make admin</MenuItem>}
          {role && member.role === 'admin' && <MenuItem icon="people" onClick={() => void give('member')}>Make member again</MenuItem>}
          {remove && <MenuItem icon="leave" danger onClick={() => onRemove(member)}>Remove from the chat</MenuItem>}
        </Menu>
      )}
    </li>
  )
}

function RemoveDialog({ chat, member, name, onClose }: { chat: string; member: Member | null; name: string; onClose: () => void }) {
  const session = useSession()
  const [busy, setBusy] = useState(false)
  const remove = async () => {
    if (member === null) return
    setBusy(true)
    if (await session.attempt(session.api.removeMember(chat, member.device))) onClose()
    setBusy(false)
  }
  return (
    <Dialog
      open={member !== null}
      onClose={onClose}
      title={`Remove ${name}?`}
      description="All devices of theirs leave the chat, and the keys change: they read nothing that is said afterwards. What they have read stays with them."
    >
      <div className="dialog-actions">
        <Button onClick={onClose}>Keep</Button>
        <Button look="danger" icon="leave" disabled={busy} onClick={() => void remove()}>Remove</Button>
      </div>
    </Dialog>
  )
}

/** Who may do what. */
export function People({ chat, names, me }: PeopleProps) {
  const [removing, setRemoving] = useState<Member | null>(null)
  const shown = useKept(removing)
  return (
    <section className="details-part" aria-labelledby="people">
      <h3 id="people">People and roles</h3>
      <ul className="members">
        {people(chat).map(({ member, devices }) => (
          <Person key={member.account} member={member} devices={devices} chat={chat} name={names.get(member.device) ?? ''} me={me} onRemove={setRemoving} />
        ))}
      </ul>
      <p className="hint">Admins change the title and the rules, delete messages and remove members. The founder makes admins.</p>
      <RemoveDialog chat={chat.id} member={removing} name={names.get(shown?.device ?? '') ?? ''} onClose={() => setRemoving(null)} />
    </section>
  )
}
