/** The newest message of each chat, for the chat list. */
import type { Api } from '../api/client'
import type { Store } from './store'

/** The further chats show theirs when news come. */
const CHATS_LIMIT = 20
/** Behind the last settled one there may be a few that are not settled. */
const MESSAGES_LIMIT = 5

export async function loadPreviews(store: Store, api: Api): Promise<void> {
  const rooms = Object.values(store.get().rooms).filter((room) => room.last === null && room.chat.position > 0)
  for (const room of rooms.slice(0, CHATS_LIMIT)) {
    const after = Math.max(0, room.chat.position - 1)
    // One at a time: the list is a nicety and must not delay what the user asks for.
    // oxlint-disable-next-line no-await-in-loop
    const page = await api.messages(room.chat.id, { after, limit: MESSAGES_LIMIT })
    const message = page.messages.at(-1)
    if (message !== undefined) store.dispatch({ type: 'last', chat: room.chat.id, message, at: Date.now() })
  }
}
