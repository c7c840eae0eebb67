import { Popover as Base } from '@base-ui/react/popover'
import type { ReactElement, ReactNode } from 'react'

interface PopoverProps {
  trigger: ReactElement
  title: string
  onOpen?: () => void
  children: ReactNode
}

/** A small card beside what was clicked. */
export function Popover({ trigger, title, onOpen, children }: PopoverProps) {
  return (
    <Base.Root onOpenChange={(open) => open && onOpen?.()}>
      <Base.Trigger render={trigger} />
      <Base.Portal>
        <Base.Positioner side="top" align="end" sideOffset={6} collisionPadding={12} className="positioner">
          <Base.Popup className="popover">
            <Base.Title className="popover-title">{title}</Base.Title>
            {children}
          </Base.Popup>
        </Base.Positioner>
      </Base.Portal>
    </Base.Root>
  )
}

interface BesideProps {
  open: boolean
  /** What it stands beside and gives the focus back to. */
  anchor: HTMLElement | null
  title: string
  onClose: () => void
  children: ReactNode
}

/** A card of which there is one for many places: it opens beside whatever asked for it. */
export function PopoverBeside({ open, anchor, title, onClose, children }: BesideProps) {
  return (
    <Base.Root open={open} onOpenChange={(next) => !next && onClose()}>
      <Base.Portal>
        <Base.Positioner anchor={anchor} side="top" align="center" sideOffset={6} collisionPadding={12} className="positioner">
          <Base.Popup className="popover" finalFocus={() => anchor ?? true}>
            <Base.Title className="popover-title">{title}</Base.Title>
            {children}
          </Base.Popup>
        </Base.Positioner>
      </Base.Portal>
    </Base.Root>
  )
}
