/** Keeps the live socket open: tries again when it closes, and tells a wrong token from a node that is gone. */
import { type Api, problemOf } from '../api/client'
import type { LiveEvent, Problem } from '../api/types'
import type { Store } from './store'

const RETRY_FIRST_MS = 300
const RETRY_LAST_MS = 5_000

interface ConnectionListener {
  /** The socket is open; the connection counts as open when this is done. */
  opened(): Promise<void>
  event(event: LiveEvent): void
  /** The node wants its passphrase first; it may be given elsewhere, so that trying goes on. */
  passphrase(): void
  /** The node refuses the token: trying again is of no use. */
  locked(problem: Problem): void
}

export class Connection {
  readonly #store: Store
  readonly #api: Api
  readonly #listener: ConnectionListener
  #closeSocket: (() => void) | null = null
  #retryMs = RETRY_FIRST_MS
  #retryTimer: ReturnType<typeof setTimeout> | undefined
  #ended = false

  constructor(store: Store, api: Api, listener: ConnectionListener) {
    this.#store = store
    this.#api = api
    this.#listener = listener
    this.#connect()
  }

  close(): void {
    this.#ended = true
    clearTimeout(this.#retryTimer)
    this.#closeSocket?.()
  }

  retryNow(): void {
    if (this.#retryTimer === undefined) return
    clearTimeout(this.#retryTimer)
    this.#connect()
  }

  #connect(): void {
    this.#retryTimer = undefined
    const { run, seq } = this.#store.get()
    this.#closeSocket = this.#api.live(run === null ? null : { run, seq }, {
      opened: () => void this.#opened(),
      event: (event) => this.#listener.event(event),
      closed: () => void this.#lost(),
    })
  }

  async #opened(): Promise<void> {
    this.#retryMs = RETRY_FIRST_MS
    await this.#listener.opened().catch(() => this.#closeSocket?.())
  }

  /** The socket does not say why it closed: a request does. */
  async #lost(): Promise<void> {
    if (this.#ended) return
    this.#store.dispatch({ type: 'connection', to: 'lost', at: Date.now() })
    const problem = await this.#api.node().then(() => null, problemOf)
    if (this.#ended) return
    if (problem?.status === 423) this.#listener.passphrase()
    if (problem?.status === 401 || problem?.status === 403) {
      this.close()
      return this.#listener.locked(problem)
    }
    this.#retryTimer = setTimeout(() => this.#connect(), this.#retryMs)
    this.#retryMs = Math.min(this.#retryMs * 2, RETRY_LAST_MS)
  }
}
