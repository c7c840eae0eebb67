import { useEffect, useId, useState } from 'react'
import type { Invite } from '../api/types'
import { useSession } from '../shell/context'
import { fullTime } from '../text/time'
import { Button } from '../ui/Button'
import { CopyButton } from '../ui/Copy'
import { Qr } from '../ui/Qr'

function Ready({ invite }: { invite: Invite }) {
  return (
    <div className="invite">
      <Qr svg={invite.qr_svg} label="The invite link as a QR code" />
      <div className="invite-words">
        <label className="unseen" htmlFor="invite-link">Invite link</label>
        <textarea
          id="invite-link"
          className="input invite-link"
          readOnly
          rows={3}
          value={invite.link}
          spellCheck={false}
          onFocus={(event) => event.target.select()}
        />
        <CopyButton text={invite.link} label="Copy the link" />
        <p className="hint">
          Whoever has it can join: give it only to people you want here. Good until {fullTime(invite.expires_at)}.
        </p>
      </div>
    </div>
  )
}

function ShareHistory({ shared, onChange }: { shared: boolean; onChange: (shared: boolean) => void }) {
  const hint = useId()
  return (
    <div className="share-history">
      <label className="check">
        <input type="checkbox" checked={shared} aria-describedby={hint} onChange={(event) => onChange(event.target.checked)} />
        <span>Share what was said before</span>
      </label>
      <p id={hint} className="hint">
        Who joins by this link can read everything that is still here, from the beginning. Everybody in the chat sees who can.
      </p>
    </div>
  )
}

interface InviteCardProps {
  chat: string
  /** Makes the link at once. */
  now?: boolean
  /** Something was said here: the user says whether newcomers may read it. */
  past?: boolean
}

/** Makes an invite and shows it as link and QR code. */
export function InviteCard({ chat, now = false, past = false }: InviteCardProps) {
  const session = useSession()
  const [invite, setInvite] = useState<Invite | null>(null)
  const [shared, setShared] = useState(false)
  const [busy, setBusy] = useState(false)
  const make = async (history: boolean) => {
    setBusy(true)
    const made = await session.attempt(session.invite(chat, history).then(setInvite))
    setBusy(false)
    return made
  }
  const share = async (history: boolean) => {
    if (busy) return // a link is on its way, and the box says of which kind
    setShared(history)
    if (invite !== null && !(await make(history))) setShared(!history)
  }
  useEffect(() => {
    if (now) void make(false)
  }, [chat, now]) // oxlint-disable-line
  return (
    <div className="invite-card">
      {invite !== null && (
        // The link of the other kind must not be copied by mistake while this one is made.
        <div className={busy ? 'invite-busy' : undefined}><Ready invite={invite} /></div>
      )}
      {invite === null && (
        <Button icon="link" disabled={busy} onClick={() => void make(shared)}>
          {busy ? 'Making a link …' : 'Make an invite link'}
        </Button>
      )}
      {past && <ShareHistory shared={shared} onChange={(history) => void share(history)} />}
    </div>
  )
}
