/** Finds the links in plain text. Only http, https and mailto become links; everything else stays text. */

export type Piece = { kind: 'text'; text: string } | { kind: 'link'; text: string; href: string }

const CANDIDATE = /\b(?:https?:\/\/|mailto:)[^\s<>"'`\u2018-\u201F]+/giu
const SCHEMES = new Set(['http:', 'https:', 'mailto:'])

/** Leaves out what ends the sentence, not the address: dots, commas and unopened brackets. */
function trimEnd(candidate: string): string {
  let link = candidate.replace(/[.,;:!?*_~…]+$/u, '')
  for (const [open, close] of [['(', ')'], ['[', ']'], ['{', '}']] as const) {
    while (link.endsWith(close) && link.split(close).length > link.split(open).length) {
      link = link.slice(0, -1).replace(/[.,;:!?]+$/u, '')
    }
  }
  return link
}

/** The parsed link, or null if it must stay text. A host in foreign letters is shown as it is looked up. */
function parse(text: string): { text: string; href: string } | null {
  let url: URL
  try {
    url = new URL(text)
  } catch {
    return null
  }
  if (!SCHEMES.has(url.protocol) || url.username !== '' || url.password !== '') return null
  if (url.protocol === 'mailto:' && !url.pathname.includes('@')) return null
  const authority = text.replace(/^[a-z]+:\/\//iu, '').split(/[/?#]/u, 1)[0] ?? ''
  const plain = /^[\u0021-\u007E]*$/u.test(authority)
  return { text: plain ? text : url.href, href: url.href }
}

export function linkify(text: string): Piece[] {
  const pieces: Piece[] = []
  let end = 0
  for (const match of text.matchAll(CANDIDATE)) {
    const candidate = trimEnd(match[0])
    const link = parse(candidate)
    if (link === null) continue
    if (match.index > end) pieces.push({ kind: 'text', text: text.slice(end, match.index) })
    pieces.push({ kind: 'link', ...link })
    end = match.index + candidate.length
  }
  if (end < text.length) pieces.push({ kind: 'text', text: text.slice(end) })
  return pieces
}
