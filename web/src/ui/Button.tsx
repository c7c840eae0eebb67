import type { ComponentProps } from 'react'
import { Icon, type IconName } from './Icon'

type Look = 'plain' | 'primary' | 'quiet' | 'danger'

type ButtonProps = ComponentProps<'button'> & { look?: Look; icon?: IconName }

export function Button({ look = 'plain', icon, className = '', children, type = 'button', ...rest }: ButtonProps) {
  return (
    <button type={type} className={`button button-${look} ${className}`} {...rest}>
      {icon !== undefined && <Icon name={icon} />}
      {children}
    </button>
  )
}

type IconButtonProps = ComponentProps<'button'> & { label: string; icon: IconName; keys?: string }

/** A button that shows only an icon; its label is what it is called and what the tooltip says. */
export function IconButton({ label, icon, keys, className = '', ...rest }: IconButtonProps) {
  const title = keys === undefined ? label : `${label} (${keys})`
  return (
    <button type="button" className={`icon-button ${className}`} aria-label={label} title={title} {...rest}>
      <Icon name={icon} />
    </button>
  )
}
