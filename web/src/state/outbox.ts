/** Sends a room's queued messages one by one, in their order, each under its own idempotency key. */
import { type Api, problemOf } from '../api/client'
import type { Store } from './store'

/** While the socket is open an unanswered send is tried again after this. */
const AGAIN_MS = 2_000

/** These pass by themselves: the message waits and is sent again under its key. */
const FOR_NOW = new Set(['unreachable', 'storage-full', 'locked'])

export class Outbox {
  readonly #store: Store
  readonly #api: Api
  readonly #busy = new Set<string>()

  constructor(store: Store, api: Api) {
    this.#store = store
    this.#api = api
  }

  add(chat: string, text: string, replyTo?: string): void {
    const item = { key: crypto.randomUUID(), text, replyTo, at: new Date().toISOString(), sending: false }
    this.#store.dispatch({ type: 'queued', chat, item })
    void this.#flush(chat)
  }

  retry(chat: string, key: string): void {
    this.#store.dispatch({ type: 'sending', chat, key, sending: false })
    void this.#flush(chat)
  }

  flushAll(): void {
    for (const chat of Object.keys(this.#store.get().rooms)) void this.#flush(chat)
  }

  #next(chat: string) {
    return this.#store.get().rooms[chat]?.outbox.find((item) => item.problem === undefined)
  }

  async #flush(chat: string): Promise<void> {
    if (this.#busy.has(chat)) return
    this.#busy.add(chat)
    let answered = true
    while (answered) {
      const item = this.#next(chat)
      if (item === undefined) break
      // The order of one's own messages is the order of these requests.
      // oxlint-disable-next-line no-await-in-loop
      answered = await this.#sendOne(chat, item.key, item.text, item.replyTo)
    }
    this.#busy.delete(chat)
    if (!answered && this.#store.get().connection === 'open') setTimeout(() => void this.#flush(chat), AGAIN_MS)
  }

  /** True if the node answered something that lasts. */
  async #sendOne(chat: string, key: string, text: string, replyTo?: string): Promise<boolean> {
    this.#store.dispatch({ type: 'sending', chat, key, sending: true })
    try {
      const message = await this.#api.send(chat, key, text, replyTo)
      this.#store.dispatch({ type: 'accepted', chat, key, message })
      return true
    } catch (error) {
      const problem = problemOf(error)
      if (FOR_NOW.has(problem.code)) {
        this.#store.dispatch({ type: 'sending', chat, key, sending: false })
        return false
      }
      this.#store.dispatch({ type: 'rejected', chat, key, problem })
      return true
    }
  }
}
