import { type FormEvent, useState } from 'react'
import { AccountDialog } from '../account/AccountDialog'
import { AddDeviceDialog } from '../account/AddDeviceDialog'
import { DeviceHint } from '../account/DeviceHint'
import { useAccount } from '../account/useAccount'
import { useDevices } from '../account/useDevices'
import { WordsHint } from '../account/WordsHint'
import { keptTheme, type Theme } from '../state/kept'
import { harmlessName } from '../text/harmless'
import { Avatar } from '../ui/Avatar'
import { Button } from '../ui/Button'
import { Dialog } from '../ui/Dialog'
import { Field } from '../ui/Field'
import { Icon } from '../ui/Icon'
import { Menu, MenuChoice, MenuItem, MenuLine } from '../ui/Menu'
import { useSession, useStore } from './context'
import { chooseTheme } from './theme'
import type { Sheet } from './useKeys'

const THEMES = [
  { value: 'system', label: 'As the system', icon: 'system' },
  { value: 'light', label: 'Light', icon: 'sun' },
  { value: 'dark', label: 'Dark', icon: 'moon' },
] as const

function RenameForm({ name, onDone }: { name: string; onDone: () => void }) {
  const session = useSession()
  const [next, setNext] = useState(name)
  const save = async (event: FormEvent) => {
    event.preventDefault()
    if (await session.rename(next.trim())) onDone()
  }
  return (
    <form onSubmit={(event) => void save(event)} className="stack">
      <Field label="Your name" value={next} onChange={setNext} maxLength={64} autoComplete="off" />
      <Button look="primary" type="submit" disabled={next.trim() === ''}>Save</Button>
    </form>
  )
}

/** Who this node is, and what belongs to the page as a whole. */
export function Me({ onSheet }: { onSheet: (sheet: Sheet) => void }) {
  const session = useSession()
  const node = useStore((state) => state.node)
  const known = useAccount()
  const devices = useDevices()
  const [account, setAccount] = useState(false)
  const [comparing, setComparing] = useState(false)
  const [later, setLater] = useState(false)
  const [renaming, setRenaming] = useState(false)
  const [theme, setTheme] = useState<Theme>(keptTheme.get())
  if (node === null) return null
  const choose = (next: Theme) => {
    setTheme(next)
    chooseTheme(next)
  }
  const pending = devices?.known.pending
  return (
    <footer className="me">
      {pending !== undefined && !account && !comparing && <DeviceHint pending={pending} onOpen={() => setComparing(true)} />}
      {known !== null && known.account.has_words && !known.account.words_saved && !later && (
        <WordsHint onOpen={() => setAccount(true)} onLater={() => setLater(true)} />
      )}
      <Menu
        side="top"
        align="start"
        trigger={
          <button type="button" className="me-button">
            <Avatar account={node.account} name={harmlessName(node.name)} />
            <span className="me-words">
              <bdi className="me-name">{harmlessName(node.name)}</bdi>
              <span className="me-version">demes {node.version}</span>
            </span>
            <Icon name="menu" />
            <span className="unseen">, you and your settings</span>
          </button>
        }
      >
        <MenuItem icon="pen" onClick={() => setRenaming(true)}>Change your name</MenuItem>
        {known !== null && <MenuItem icon="people" onClick={() => setAccount(true)}>Your account</MenuItem>}
        {known?.lock.has_passphrase === true && <MenuItem icon="lock" onClick={() => void session.lock()}>Lock now</MenuItem>}
        <MenuItem icon="keyboard" keys="Ctrl /" onClick={() => onSheet('shortcuts')}>Keyboard shortcuts</MenuItem>
        <MenuLine />
        <MenuChoice label="Look" value={theme} options={THEMES} onChange={choose} />
      </Menu>
      <Dialog
        open={renaming}
        onClose={() => setRenaming(false)}
        title="Change your name"
        description="How others see you."
      >
        <RenameForm name={node.name} onDone={() => setRenaming(false)} />
      </Dialog>
      {devices !== null && <AddDeviceDialog devices={devices} open={comparing} onClose={() => setComparing(false)} />}
      {known !== null && <AccountDialog known={known} devices={devices} open={account} onClose={() => setAccount(false)} />}
    </footer>
  )
}
