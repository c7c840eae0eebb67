import { Menu as Base } from '@base-ui/react/menu'
import type { ReactElement, ReactNode } from 'react'
import { Icon, type IconName } from './Icon'

interface MenuProps {
  trigger: ReactElement
  side?: 'top' | 'bottom'
  align?: 'start' | 'end'
  children: ReactNode
}

export function Menu({ trigger, side = 'bottom', align = 'end', children }: MenuProps) {
  return (
    <Base.Root>
      <Base.Trigger render={trigger} />
      <Base.Portal>
        <Base.Positioner side={side} align={align} sideOffset={6} className="positioner">
          <Base.Popup className="menu">{children}</Base.Popup>
        </Base.Positioner>
      </Base.Portal>
    </Base.Root>
  )
}

interface ItemProps {
  icon: IconName
  danger?: boolean
  onClick: () => void
  keys?: string
  children: ReactNode
}

export function MenuItem({ icon, danger = false, onClick, keys, children }: ItemProps) {
  return (
    <Base.Item className={danger ? 'menu-item menu-danger' : 'menu-item'} onClick={onClick}>
      <Icon name={icon} />
      <span className="menu-words">{children}</span>
      {keys !== undefined && <kbd>{keys}</kbd>}
    </Base.Item>
  )
}

interface ChoiceProps<T extends string> {
  label: string
  value: T
  options: readonly { value: T; label: string; icon: IconName }[]
  onChange: (value: T) => void
}

/** One of a few, as items of a menu. */
export function MenuChoice<T extends string>({ label, value, options, onChange }: ChoiceProps<T>) {
  return (
    <Base.RadioGroup value={value} onValueChange={(next: T) => onChange(next)} aria-label={label}>
      <div className="menu-label" aria-hidden="true">{label}</div>
      {options.map((option) => (
        <Base.RadioItem key={option.value} value={option.value} className="menu-item" closeOnClick>
          <Icon name={option.icon} />
          <span className="menu-words">{option.label}</span>
          <Base.RadioItemIndicator className="menu-chosen">
            <Icon name="check" />
          </Base.RadioItemIndicator>
        </Base.RadioItem>
      ))}
    </Base.RadioGroup>
  )
}

export function MenuLine() {
  return <div className="menu-line" />
}
