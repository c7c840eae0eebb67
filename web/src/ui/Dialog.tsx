/** A modal dialog: it takes the focus, gives it back, and closes on Escape. */
import { Dialog as Base } from '@base-ui/react/dialog'
import type { ReactNode, RefObject } from 'react'
import { IconButton } from './Button'

interface DialogProps {
  open: boolean
  onClose: () => void
  title: string
  description?: string
  /** `side` slides in from the edge and fills a narrow screen. */
  shape?: 'card' | 'side'
  /** What takes the focus if it is there; else the first control does. */
  first?: RefObject<HTMLElement | null>
  children: ReactNode
}

export function Dialog({ open, onClose, title, description, shape = 'card', first, children }: DialogProps) {
  return (
    <Base.Root open={open} onOpenChange={(next) => !next && onClose()}>
      <Base.Portal>
        <Base.Backdrop className="backdrop" />
        <Base.Popup className={`dialog dialog-${shape}`} initialFocus={() => first?.current ?? true}>
          <header className="dialog-head">
            <Base.Title className="dialog-title">{title}</Base.Title>
            <Base.Close render={<IconButton label="Close" icon="close" />} />
          </header>
          {description !== undefined && (
            <Base.Description className="dialog-description">{description}</Base.Description>
          )}
          {children}
        </Base.Popup>
      </Base.Portal>
    </Base.Root>
  )
}
