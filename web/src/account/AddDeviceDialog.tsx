import { type RefObject, useCallback, useEffect, useRef, useState } from 'react'
import { problemOf } from '../api/client'
import type { Invite, Problem } from '../api/types'
import { useSession } from '../shell/context'
import { harmlessName } from '../text/harmless'
import { count, countdown } from '../text/time'
import { Button } from '../ui/Button'
import { CopyButton } from '../ui/Copy'
import { Dialog } from '../ui/Dialog'
import { Icon } from '../ui/Icon'
import { Qr } from '../ui/Qr'
import { needsLink, notAdding, stepOf } from './adding'
import { AskingDevice } from './AskingDevice'
import type { DevicesState } from './useDevices'

const CLOCK_MS = 1_000
/** While somebody waits for the other device, its state is asked for this often. */
const LOOK_MS = 2_000

function ReadyLink({ link, now }: { link: Invite; now: number }) {
  const command = `demes run --link ${link.link}`
  return (
    <>
      <div className="invite">
        <Qr svg={link.qr_svg} label="The device link as a QR code" />
        <div className="invite-words">
          <label htmlFor="device-command">Run this on the new device</label>
          <textarea
            id="device-command"
            className="input invite-link"
            readOnly
            rows={4}
            value={command}
            spellCheck={false}
            onFocus={(event) => event.target.select()}
          />
          <div className="account-buttons">
            <CopyButton text={command} label="Copy the command" />
            <CopyButton text={link.link} label="Copy only the link" />
          </div>
        </div>
      </div>
      <p className="hint">
        For one device, and good for <span role="timer" className="countdown">{countdown(link.expires_at, now)}</span>. It lets nobody in
        before you confirm: when the new device asks, both show the same code.
      </p>
    </>
  )
}

function Coming({ label, chats, of }: { label: string; chats: number; of: number }) {
  const words = `In ${count(chats)} of ${count(of)} of your chats`
  return (
    <div className="stack-small" role="status">
      <p><strong><bdi>{harmlessName(label)}</bdi></strong> is yours now, and comes into your chats.</p>
      <progress className="meter" max={of} value={chats} aria-label={words} />
      <p className="hint">{words}. It goes on by itself: a chat waits until enough of its members are online.</p>
    </div>
  )
}

/** What is done to add a device, and what became of it. */
function useActs({ known, adding, setAdding, setKnown, refresh }: DevicesState) {
  const session = useSession()
  const [problem, setProblem] = useState<Problem | null>(null)
  const [busy, setBusy] = useState(false)
  const attempt = async (work: () => Promise<void>) => {
    setBusy(true)
    setProblem(null)
    await work().catch((error: unknown) => setProblem(problemOf(error)))
    setBusy(false)
  }
  const make = useCallback(
    (refused: boolean) => attempt(async () => {
      const link = await session.api.addDevice()
      setAdding({ ...notAdding, link, refused })
      refresh()
    }),
    [session], // oxlint-disable-line
  )
  const confirm = () => attempt(async () => {
    const now = await session.api.devices()
    // Another page may have made a link since: what asks now is not what the user has looked at.
    if (now.pending === undefined || now.pending.device !== known.pending?.device) return setKnown(now)
    const devices = await session.api.confirmDevice()
    setAdding({ ...notAdding, taken: now.pending })
    setKnown(devices)
  })
  return { problem, busy, make, confirm, show: () => setAdding({ ...adding, refused: false }) }
}

interface AddDeviceProps {
  devices: DevicesState
  asking: RefObject<HTMLDivElement | null>
  onClose: () => void
}

function AddDevice({ devices, asking, onClose }: AddDeviceProps) {
  const { known, adding, refresh } = devices
  const { problem, busy, make, confirm, show } = useActs(devices)
  const [now, setNow] = useState(() => Date.now())
  const step = stepOf(adding, known, now)
  const needs = needsLink(step)
  useEffect(() => {
    if (needs) void make(false)
  }, [needs, make])
  useEffect(() => {
    const clock = setInterval(() => setNow(Date.now()), CLOCK_MS)
    const look = setInterval(refresh, LOOK_MS)
    return () => {
      clearInterval(clock)
      clearInterval(look)
    }
  }, [refresh])
  return (
    <div className="stack">
      {step.kind === 'making' && problem === null && <p className="hint" role="status">Making a link …</p>}
      {step.kind === 'link' && <ReadyLink link={step.link} now={now} />}
      {step.kind === 'asks' && (
        <AskingDevice asking={asking} pending={step.pending} busy={busy} onConfirm={() => void confirm()} onRefuse={() => void make(true)} />
      )}
      {step.kind === 'comes' && <Coming {...step} />}
      {step.kind === 'in' && (
        <p className="device-done" role="status">
          <Icon name="check" /> <span><strong><bdi>{harmlessName(step.label)}</bdi></strong> is yours now{step.of > 0 && ', and in all of your chats'}.</span>
        </p>
      )}
      {step.kind === 'refused' && <p role="status">The device was refused, and the link that it used is void. Nothing of yours went to it.</p>}
      {step.kind === 'over' && <p role="status">The ten minutes are over, and the link is void.</p>}
      {problem !== null && <p className="inline-problem" role="alert"><strong>{problem.title}.</strong> {problem.detail}</p>}
      {step.kind !== 'asks' && (
        <div className="dialog-actions">
          {step.kind === 'refused' && <Button onClick={show}>Show a new link</Button>}
          {(step.kind === 'over' || (step.kind === 'making' && problem !== null)) && <Button disabled={busy} onClick={() => void make(false)}>Make a new link</Button>}
          <Button look={step.kind === 'in' || step.kind === 'comes' ? 'primary' : 'plain'} onClick={onClose}>Close</Button>
        </div>
      )}
    </div>
  )
}

/** Makes a link for a further device, and takes the device in once the user has compared the codes. */
export function AddDeviceDialog({ devices, open, onClose }: { devices: DevicesState; open: boolean; onClose: () => void }) {
  const asking = useRef<HTMLDivElement>(null)
  return (
    <Dialog
      open={open}
      onClose={onClose}
      first={asking}
      title="Add a device"
      description="It becomes you on another computer: it reads and writes in all of your chats, with keys of its own."
    >
      <AddDevice devices={devices} asking={asking} onClose={onClose} />
    </Dialog>
  )
}
