/** Keeps each room's queued messages for as long as the tab lives, and brings them back after a reload. */
import { keptQueue } from './kept'
import type { Queued } from './state'
import type { Store } from './store'

export function keepQueues(store: Store): () => void {
  const seen = new Map<string, readonly Queued[]>()
  return store.subscribe(() => {
    const { node, rooms } = store.get()
    if (node === null) return seen.clear() // a locked page has forgotten its rooms; what is kept stays
    for (const [chat, room] of Object.entries(rooms)) {
      const before = seen.get(chat)
      if (before === room.outbox) continue
      seen.set(chat, room.outbox)
      if (before !== undefined) keptQueue.set(node.device, chat, room.outbox)
      else for (const item of keptQueue.get(node.device, chat)) store.dispatch({ type: 'queued', chat, item: { ...item, sending: false, echo: undefined } })
    }
  })
}
