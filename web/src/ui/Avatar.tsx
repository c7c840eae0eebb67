/** A round initial in a colour that stays the same for an account on every screen. */
const HUES = 8

function hueOf(account: string): number {
  let sum = 0
  for (const letter of account) sum = (sum * 31 + (letter.codePointAt(0) ?? 0)) % 65521
  return sum % HUES
}

function initial(name: string): string {
  const [first = '?'] = [...new Intl.Segmenter().segment(name)].map((part) => part.segment)
  return first.toLocaleUpperCase()
}

interface AvatarProps {
  account: string
  name: string
  size?: 'small' | 'normal' | 'large'
  online?: boolean
}

/** Decoration: the name always stands beside it. */
export function Avatar({ account, name, size = 'normal', online }: AvatarProps) {
  const presence = online === undefined ? '' : online ? ' avatar-online' : ' avatar-away'
  return (
    <span className={`avatar avatar-${size} hue-${hueOf(account)}${presence}`} aria-hidden="true">
      {initial(name)}
    </span>
  )
}
