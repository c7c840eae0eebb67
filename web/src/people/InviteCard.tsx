import { useEffect, useState } from 'react'
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

/** Makes an invite and shows it as link and QR code. `now` makes it at once. */
export function InviteCard({ chat, now = false }: { chat: string; now?: boolean }) {
  const session = useSession()
  const [invite, setInvite] = useState<Invite | null>(null)
  const [busy, setBusy] = useState(false)
  const make = async () => {
    setBusy(true)
    await session.attempt(session.invite(chat).then(setInvite))
    setBusy(false)
  }
  useEffect(() => {
    if (now) void make()
  }, [chat, now]) // oxlint-disable-line
  if (invite !== null) return <Ready invite={invite} />
  return (
    <Button icon="link" disabled={busy} onClick={() => void make()}>
      {busy ? 'Making a link …' : 'Make an invite link'}
    </Button>
  )
}
