/** Joins a chat and follows how it goes. */
import { type Api, problemOf } from '../api/client'
import type { JoinTarget } from '../api/types'
import type { Store } from './store'

const POLL_MS = 500

const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms))

/** Asks until the join has ended or nobody wants to know any more. The chat, if it ended well. */
async function follow(store: Store, api: Api, id: string): Promise<string | null> {
  for (;;) {
    // Each answer decides whether there is another question.
    // oxlint-disable-next-line no-await-in-loop
    const join = await api.joinState(id)
    if (store.get().join === null) return null
    store.dispatch({ type: 'join', join })
    if (join.state === 'joined') return join.chat ?? null
    if (join.state === 'refused' || join.state === 'failed') return null
    // oxlint-disable-next-line no-await-in-loop
    await pause(POLL_MS)
  }
}

export async function followJoin(store: Store, api: Api, target: JoinTarget): Promise<string | null> {
  store.dispatch({ type: 'join', join: { join: '', state: 'connecting', tried: [] } })
  try {
    const { join } = await api.join(target)
    return await follow(store, api, join)
  } catch (error) {
    store.dispatch({ type: 'join', join: { join: '', state: 'failed', tried: [], problem: problemOf(error) } })
    return null
  }
}
