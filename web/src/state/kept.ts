/**
 * What the browser keeps. The token, drafts and the chosen chat live as long as the tab; positions and
 * looks stay. Message texts are never written to storage that outlives the tab.
 */

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
