/**
 * Names come from peers. These functions take away what a name could use to pretend to be something
 * else: direction overrides, invisible characters, towers of accents, and letters that look like others.
 */
import type { Device, Member } from '../api/types'

/** Longer names are cut: they would push the state and the time out of sight. */
const NAME_LIMIT = 40

/** More combining marks than this on one letter paint over neighbouring lines. */
const MARKS_LIMIT = 2

// Direction marks, embeddings, overrides and isolates; they reorder what stands around them.
const DIRECTION = /[\u061C\u200E\u200F\u202A-\u202E\u2066-\u2069]/gu
// Controls and characters that take no place, one by one on purpose. U+200D stays: emoji are joined with it.
// oxlint-disable-next-line no-misleading-character-class
const INVISIBLE = /[\u00AD\u034F\u115F\u1160\u17B4\u17B5\u180B-\u180F\u200B\u200C\u2060-\u2065\u206A-\u206F\u3164\uFEFF\uFFA0\uFFF9-\uFFFB\u{E0000}-\u{E0FFF}]/gu
const MARKS = new RegExp(`(\\p{M}{${MARKS_LIMIT}})\\p{M}+`, 'gu')

/** A name as it may stand in the interface; never empty. */
export function harmlessName(name: string): string {
  const plain = name
    .normalize('NFKC')
    .replace(DIRECTION, '')
    .replace(/[\p{Cc}\u2028\u2029]/gu, ' ')
    .replace(INVISIBLE, '')
    .replace(MARKS, '$1')
    .replace(/\s+/gu, ' ')
    .trim()
  const letters = [...plain]
  if (letters.length === 0) return 'nameless'
  return letters.length <= NAME_LIMIT ? plain : letters.slice(0, NAME_LIMIT - 1).join('').trimEnd() + '…'
}

/** Message text keeps its line breaks and marks; only what overrides the reading direction goes. */
export function harmlessText(text: string): string {
  return text.replace(/[\u202A-\u202E]/gu, '').replace(/[^\P{Cc}\n\t]/gu, '')
}

/** Longer reactions are cut: an emoji is one letter, and the node allows a little more. */
const EMOJI_LIMIT = 4

/** A reaction as it may stand in the interface: what would reorder or hide the words around it goes. */
export function harmlessEmoji(emoji: string): string {
  const plain = emoji.replace(DIRECTION, '').replace(/[\p{Cc}\u2028\u2029]/gu, '').replace(MARKS, '$1')
  return [...new Intl.Segmenter().segment(plain)].slice(0, EMOJI_LIMIT).map((part) => part.segment).join('')
}

// Cyrillic and Greek letters, and digits, that are read as a Latin letter.
const LOOKALIKES: Record<string, string> = {
  а: 'a', в: 'b', с: 'c', ԁ: 'd', е: 'e', һ: 'h', і: 'i', ј: 'j', к: 'k', ӏ: 'l', м: 'm', н: 'h', о: 'o',
  р: 'p', ԛ: 'q', ѕ: 's', т: 't', у: 'y', ѵ: 'v', ԝ: 'w', х: 'x', α: 'a', β: 'b', ε: 'e', ι: 'i', κ: 'k',
  ν: 'v', ο: 'o', ρ: 'p', τ: 't', υ: 'u', χ: 'x', '0': 'o', '1': 'l', ı: 'i', '|': 'l',
}

/** Two names with the same skeleton are easily taken for each other. */
export function skeleton(name: string): string {
  const plain = harmlessName(name).toLowerCase().normalize('NFD').replace(/\p{M}/gu, '')
  return [...plain].map((letter) => LOOKALIKES[letter] ?? letter).join('').replaceAll(/i/g, 'l')
}

/**
 * The name to show for each device. Where two people's names could be taken for each other, the end of
 * the device id tells them apart.
 */
export function shownNames(members: readonly Pick<Member, 'device' | 'account' | 'name'>[]): Map<string, string> {
  const owners = new Map<string, Set<string>>()
  for (const member of members) {
    const key = skeleton(member.name)
    owners.set(key, (owners.get(key) ?? new Set()).add(member.account))
  }
  return new Map(
    members.map((member) => {
      const shared = (owners.get(skeleton(member.name))?.size ?? 0) > 1
      const name = harmlessName(member.name)
      return [member.device, shared ? `${name} · ${member.device.slice(-4)}` : name]
    }),
  )
}

export function shownName(names: ReadonlyMap<string, string>, device: Device): string {
  return names.get(device.device) ?? harmlessName(device.name)
}
