/** Does what the user asks: calls the node, listens to it, and tells the store. */
import { Api, exchangeCode, problemOf } from '../api/client'
import type { Invite, JoinTarget, LiveEvent, Message, Problem } from '../api/types'
import { Connection } from './connection'
import { followJoin } from './joining'
import { keptChat, keptRead, keptToken } from './kept'
import { firstPosition, lastPosition } from './messages'
import { Outbox } from './outbox'
import { keepQueues } from './queue'
import { loadPreviews } from './previews'
import { chatOf, lacks } from './room'
import { PAGE_LIMIT, type PageWhere, type Room, selectedRoom, TYPING_MS } from './state'
import type { Store } from './store'

/** An invite is shown again only if it stays good for this long. */
const INVITE_MARGIN_MS = 24 * 3_600_000

/** How often it is looked who has stopped typing. */
const CLOCK_MS = 1_000

export class Session {
  readonly store: Store
  #api: Api | null = null
  #outbox: Outbox | null = null
  #connection: Connection | null = null
  #loading = new Set<string>()
  readonly #invites = new Map<string, Invite>()

  constructor(store: Store) {
    this.store = store
    store.subscribe(() => this.#keepRead())
    keepQueues(store)
    store.subscribe(() => this.#loadSelected())
    store.subscribe(() => this.#chooseFirst())
    setInterval(() => store.dispatch({ type: 'clock', at: Date.now() }), CLOCK_MS)
  }

  get api(): Api {
    if (this.#api === null) throw new Error('the session is not open')
    return this.#api
  }

  /** Opens with what stands in the address's fragment, or with the token that this tab has. */
  async open(fragment: string): Promise<void> {
    const given = new URLSearchParams(fragment.replace(/^#/, ''))
    const code = given.get('code')
    try {
      const token = given.get('token') ?? (code === null ? keptToken.get() : await exchangeCode(code))
      if (token === null) return this.store.dispatch({ type: 'locked', problem: null })
      keptToken.set(token)
      this.#api = new Api(token)
      this.#outbox = new Outbox(this.store, this.#api)
      this.#connection?.close()
      this.#connection = new Connection(this.store, this.#api, {
        opened: () => this.#opened(),
        event: (event) => this.#event(event),
        passphrase: () => this.store.dispatch({ type: 'passphrase' }),
        locked: (problem) => this.#locked(problem),
      })
    } catch (error) {
      this.store.dispatch({ type: 'locked', problem: problemOf(error) })
    }
  }

  async #opened(): Promise<void> {
    await this.refetch()
    this.store.dispatch({ type: 'connection', to: 'open', at: Date.now() })
    this.#outbox?.flushAll()
    if (this.store.get().selected === null) this.select(keptChat.get(), 'quietly')
    this.quietly(loadPreviews(this.store, this.api))
  }

  #locked(problem: Problem): void {
    keptToken.set(null)
    this.store.dispatch({ type: 'locked', problem })
  }

  /** Opens a node that is locked; what went wrong otherwise. */
  async unlock(passphrase: string): Promise<Problem | null> {
    try {
      await this.api.unlock(passphrase)
    } catch (error) {
      return problemOf(error)
    }
    this.retryNow()
    return null
  }

  /** Locks the node: its socket closes, and this page forgets what it showed. */
  lock(): Promise<boolean> {
    return this.attempt(this.api.lockNow())
  }

  retryNow(): void {
    this.#connection?.retryNow()
  }

  async refetch(): Promise<void> {
    const asOf = this.store.get().seq
    const [node, chats] = await Promise.all([this.api.node(), this.api.chats()])
    this.store.dispatch({ type: 'opened', node, chats, asOf, read: keptRead.get(node.device), at: Date.now() })
    const { selected } = this.store.get()
    if (selected !== null) await this.#loadPage(selected, 'latest')
  }

  #event(event: LiveEvent): void {
    const { run, rooms } = this.store.get()
    this.store.dispatch({ type: 'live', event, at: Date.now() })
    const missing = run !== null && event.run !== run ? 'all' : lacks(event)
    if (missing === 'all') return this.quietly(this.refetch())
    if (!('chat' in event) || event.chat === undefined) return
    const unknown = rooms[event.chat] === undefined && chatOf(event) === null
    if (missing === 'chat' || unknown) this.quietly(this.#loadChat(event.chat))
    if (missing === 'messages') this.quietly(this.#loadPage(event.chat, 'latest'))
  }

  async #loadChat(id: string): Promise<void> {
    const asOf = this.store.get().seq
    const chat = await this.api.chat(id)
    this.store.dispatch({ type: 'chat', chat, asOf, at: Date.now() })
  }

  #range(room: Room, where: PageWhere) {
    if (where === 'latest') return { after: Math.max(0, room.chat.position - PAGE_LIMIT), limit: 2 * PAGE_LIMIT }
    if (where === 'newer') return { after: lastPosition(room.messages) ?? 0, limit: PAGE_LIMIT }
    const first = firstPosition(room.messages) ?? room.chat.position + 1
    return { after: Math.max(0, first - 1 - PAGE_LIMIT), before: first, limit: PAGE_LIMIT }
  }

  /** Brings a chat up to date that may have changed without an event: who holds what is told now and then only. */
  refresh(id: string): void {
    this.quietly(this.#loadChat(id))
  }

  #chats = 0
  /** The first chat of this node is what its user wants to see. */
  #chooseFirst(): void {
    const ids = Object.keys(this.store.get().rooms)
    const before = this.#chats
    this.#chats = ids.length
    if (before === 0 && ids.length === 1) this.select(ids[0] ?? null, 'quietly')
  }

  /** The chosen chat needs its messages, also when it leaves the lobby while it is on the screen. */
  #loadSelected(): void {
    const room = selectedRoom(this.store.get())
    if (room !== null && !room.loaded) this.quietly(this.#loadPage(room.chat.id, 'latest'))
  }

  async #loadPage(id: string, where: PageWhere): Promise<void> {
    const room = this.store.get().rooms[id]
    if (room === undefined || room.chat.phase === 'lobby' || this.#loading.has(id + where)) return
    this.#loading.add(id + where)
    try {
      const range = this.#range(room, where)
      const page = await this.api.messages(id, range)
      const full = where === 'older' ? range.after > 0 : page.messages.length >= PAGE_LIMIT
      this.store.dispatch({ type: 'page', chat: id, page, where, full })
    } finally {
      this.#loading.delete(id + where)
    }
  }

  loadOlder = (chat: string) => this.attempt(this.#loadPage(chat, 'older'))
  loadNewer = (chat: string) => this.attempt(this.#loadPage(chat, 'newer'))
  loadLatest = (chat: string) => this.attempt(this.#loadPage(chat, 'latest'))

  /** Shows a chat. `quietly` leaves the browser's history alone. */
  select(chat: string | null, how: 'quietly' | 'navigating' = 'navigating'): void {
    const known = chat !== null && this.store.get().rooms[chat] !== undefined ? chat : null
    if (known === this.store.get().selected) return
    this.store.dispatch({ type: 'selected', chat: known })
    keptChat.set(known)
    if (how === 'navigating') history.pushState({ chat: known }, '')
    else history.replaceState({ chat: known }, '')
  }

  /** What is on the screen now was read: the others may know. */
  seen(chat: string): void {
    this.store.dispatch({ type: 'seen', chat })
    const position = this.store.get().rooms[chat]?.read ?? 0
    if (position > 0) this.quietly(this.api.read(chat, position))
  }

  #typedAt = 0
  /** Tells the others now and then that somebody types here. */
  typing(chat: string): void {
    if (Date.now() - this.#typedAt < TYPING_MS / 2) return
    this.#typedAt = Date.now()
    this.quietly(this.api.typing(chat))
  }

  /** Never refuses: what the node cannot take now waits in this page. */
  send(chat: string, text: string, replyTo?: string): void {
    this.#outbox?.add(chat, text, replyTo)
  }

  edit(message: Message, text: string): Promise<boolean> {
    return this.attempt(this.api.edit(message.chat, message.id, text))
  }

  deleteMessage(message: Message): Promise<boolean> {
    return this.attempt(this.api.deleteMessage(message.chat, message.id))
  }

  react(message: Message, emoji: string, on: boolean): Promise<boolean> {
    return this.attempt(this.api.react(message.chat, message.id, emoji, on))
  }

  retrySend(chat: string, key: string): void {
    this.#outbox?.retry(chat, key)
  }

  async found(title: string): Promise<boolean> {
    return this.attempt(
      this.api.found(title).then((chat) => {
        this.store.dispatch({ type: 'chat', chat, asOf: this.store.get().seq, at: Date.now() })
        this.select(chat.id)
      }),
    )
  }

  /** An invite of this chat; the same again while it is good, for each one is written into the chat. */
  async invite(chat: string, history = false): Promise<Invite> {
    const kind = `${chat} ${history}`
    const known = this.#invites.get(kind)
    if (known !== undefined && Date.parse(known.expires_at) - Date.now() > INVITE_MARGIN_MS) return known
    const invite = await this.api.invite(chat, history)
    this.#invites.set(kind, invite)
    return invite
  }

  async rename(name: string): Promise<boolean> {
    return this.attempt(this.api.rename(name).then((node) => this.store.dispatch({ type: 'node', node })))
  }

  /** Follows a join until it ends; the state says how it stands. */
  async join(target: JoinTarget): Promise<void> {
    const chat = await followJoin(this.store, this.api, target)
    if (chat === null) return
    await this.refetch()
    this.forgetJoin()
    this.select(chat)
  }

  /** Stops following; the node goes on by itself. */
  forgetJoin(): void {
    this.store.dispatch({ type: 'join', join: null })
  }

  toast(title: string, detail?: string): void {
    this.store.dispatch({ type: 'toast', toast: { tone: 'good', title, detail } })
  }

  report(problem: Problem): void {
    this.store.dispatch({ type: 'toast', toast: { tone: 'problem', title: problem.title, detail: problem.detail } })
  }

  /** Waits for something the user asked for; a problem is shown. True if it worked. */
  attempt(work: Promise<unknown>): Promise<boolean> {
    return work.then(
      () => true,
      (error: unknown) => {
        this.report(problemOf(error))
        return false
      },
    )
  }

  /** For what the page does by itself: the connection pill already says what is wrong. */
  quietly(work: Promise<unknown>): void {
    work.catch(() => undefined)
  }

  #keptRead = ''
  #keepRead(): void {
    const { node, rooms } = this.store.get()
    if (node === null) return
    const positions = Object.fromEntries(Object.values(rooms).map((room) => [room.chat.id, room.read]))
    const text = JSON.stringify(positions)
    if (text === this.#keptRead) return
    this.#keptRead = text
    keptRead.set(node.device, positions)
  }
}
