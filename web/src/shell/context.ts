/** How components reach the state and the session. */
import { createContext, useContext, useMemo, useSyncExternalStore } from 'react'
import type { Chat } from '../api/types'
import type { Session } from '../state/session'
import type { State } from '../state/state'
import { shownNames } from '../text/harmless'

export const SessionContext = createContext<Session | null>(null)

export function useSession(): Session {
  const session = useContext(SessionContext)
  if (session === null) throw new Error('no session around this component')
  return session
}

/** The part of the state that `select` picks. It must pick what is there, not make something new. */
export function useStore<T>(select: (state: State) => T): T {
  const { store } = useSession()
  return useSyncExternalStore(store.subscribe, () => select(store.get()))
}

/** The harmless names of a chat's members, by device. */
export function useNames(chat: Chat): Map<string, string> {
  return useMemo(() => shownNames(chat.members), [chat.members])
}
