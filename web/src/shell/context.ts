/** How components reach the state and the session. */
import { createContext, useContext, useMemo, useSyncExternalStore } from 'react'
import type { Chat, Member } from '../api/types'
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

/**
 * The harmless names of a chat's members, by device. The map stays the same while the names do: chats arrive
 * anew with every measurement, and all messages are drawn with it.
 */
export function useNames(chat: Chat): Map<string, string> {
  const people = JSON.stringify(chat.members.map(({ device, account, name }) => ({ device, account, name })))
  return useMemo(() => shownNames(JSON.parse(people) as Pick<Member, 'device' | 'account' | 'name'>[]), [people])
}
