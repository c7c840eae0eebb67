/** Shortcuts that work everywhere. Single letters are left to the lists that have the focus. */
import { useEffect } from 'react'
import type { Session } from '../state/session'
import { listedRooms, unreadOf } from '../state/state'
import { useSession } from './context'

export type Sheet = 'shortcuts' | 'switcher' | 'new'

const REGIONS = '[data-region]'

/** Whether the key belongs to what is being typed. */
function typing(target: EventTarget | null): boolean {
  return target instanceof HTMLElement && target.closest('input, textarea, [contenteditable]') !== null
}

function step(session: Session, by: 1 | -1, unreadOnly: boolean): void {
  const state = session.store.get()
  const rooms = listedRooms(state).filter((room) => !unreadOnly || unreadOf(room) > 0 || room.chat.id === state.selected)
  if (rooms.length === 0) return
  const at = rooms.findIndex((room) => room.chat.id === state.selected)
  const next = at < 0 ? rooms[0] : rooms[(at + by + rooms.length) % rooms.length]
  if (next !== undefined) session.select(next.chat.id)
}

function nextRegion(by: 1 | -1): void {
  const regions = [...document.querySelectorAll<HTMLElement>(REGIONS)].filter((region) => region.offsetParent !== null)
  const at = regions.findIndex((region) => region.contains(document.activeElement))
  regions.at((at + by + regions.length) % Math.max(1, regions.length))?.focus()
}

/** What a key means, or null if it means nothing here. */
function meaning(event: KeyboardEvent, session: Session, show: (sheet: Sheet) => void): (() => void) | null {
  const control = event.ctrlKey || event.metaKey
  if (control && !event.altKey && event.key.toLowerCase() === 'k') return () => show('switcher')
  if (control && event.key === '/') return () => show('shortcuts')
  if (event.key === '?' && !typing(event.target)) return () => show('shortcuts')
  if (event.key === 'F6') return () => nextRegion(event.shiftKey ? -1 : 1)
  if (!event.altKey || control) return null
  if (event.key === 'ArrowDown') return () => step(session, 1, event.shiftKey)
  if (event.key === 'ArrowUp') return () => step(session, -1, event.shiftKey)
  if (event.code === 'KeyN') return () => show('new')
  return null
}

export function useKeys(show: (sheet: Sheet) => void): void {
  const session = useSession()
  useEffect(() => {
    const pressed = (event: KeyboardEvent) => {
      if (event.isComposing || event.defaultPrevented) return
      const act = meaning(event, session, show)
      if (act === null) return
      event.preventDefault()
      act()
    }
    addEventListener('keydown', pressed)
    return () => removeEventListener('keydown', pressed)
  }, [session, show])
}
