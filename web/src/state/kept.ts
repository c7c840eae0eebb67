/**
 * What the browser keeps. The token, drafts and the chosen chat live as long as the tab; positions and
 * looks stay. Message texts are never written to storage that outlives the tab.
 */
import type { Queued } from './state'

function read(storage: Storage, key: string): string | null {
  try {
    return storage.getItem(key)
  } catch {
    return null
  }
}

/** Storage may be full or forbidden; the page works without it. */
function write(storage: Storage, key: string, value: string | null): void {
  try {
    if (value === null) storage.removeItem(key)
    else storage.setItem(key, value)
  } catch {
    return
  }
}

export const keptToken = {
  get: () => read(sessionStorage, 'token'),
  set: (token: string | null) => write(sessionStorage, 'token', token),
}

export const keptChat = {
  get: () => read(sessionStorage, 'chat'),
  set: (chat: string | null) => write(sessionStorage, 'chat', chat),
}

export const keptDraft = {
  get: (chat: string) => read(sessionStorage, `draft ${chat}`) ?? '',
  set: (chat: string, text: string) => write(sessionStorage, `draft ${chat}`, text === '' ? null : text),
}

/** What was typed and is not stored by the node yet, by device and chat: a reload must not lose it. */
export const keptQueue = {
  get: (device: string, chat: string): Queued[] => {
    try {
      const kept: unknown = JSON.parse(read(sessionStorage, `queue ${device} ${chat}`) ?? '[]')
      return Array.isArray(kept) ? kept.filter(isQueued) : []
    } catch {
      return []
    }
  },
  set: (device: string, chat: string, queue: readonly Queued[]) =>
    write(sessionStorage, `queue ${device} ${chat}`, queue.length === 0 ? null : JSON.stringify(queue)),
}

function isQueued(item: unknown): item is Queued {
  return typeof item === 'object' && item !== null && 'key' in item && typeof item.key === 'string' &&
    'text' in item && typeof item.text === 'string' && 'at' in item && typeof item.at === 'string'
}

export type Theme = 'system' | 'light' | 'dark'

export const keptTheme = {
  get: (): Theme => {
    const theme = read(localStorage, 'theme')
    return theme === 'light' || theme === 'dark' ? theme : 'system'
  },
  set: (theme: Theme) => write(localStorage, 'theme', theme === 'system' ? null : theme),
}

export const keptPanel = {
  get: () => read(localStorage, 'panel') !== 'closed',
  set: (open: boolean) => write(localStorage, 'panel', open ? null : 'closed'),
}

/** The last position seen, by chat. */
export const keptRead = {
  get: (device: string): Record<string, number> => {
    try {
      const kept: unknown = JSON.parse(read(localStorage, `read ${device}`) ?? '{}')
      if (typeof kept !== 'object' || kept === null) return {}
      return Object.fromEntries(Object.entries(kept).filter(([, position]) => typeof position === 'number'))
    } catch {
      return {}
    }
  },
  set: (device: string, positions: Record<string, number>) =>
    write(localStorage, `read ${device}`, JSON.stringify(positions)),
}
