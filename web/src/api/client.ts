/** The one file that talks to the node. It knows paths and errors, and nothing of the interface. */
import type {
  Account, Chat, ChatChange, Devices, Invite, Join, JoinTarget, LiveEvent, Lock, Message, MessagePage, Node, Problem, Safety,
} from './types'

const BASE = '/api/v1'

/** How long a request may take before the page says that the node does not answer. */
const REQUEST_TIMEOUT_MS = 15_000
/** A passphrase takes longer: the node makes attempts slow, and opens every chat when it is the right one. */
const UNLOCK_TIMEOUT_MS = 45_000

/** An answer that is not a success, as RFC 9457 tells it. `unreachable` means that there was no answer. */
export class ApiError extends Error {
  readonly problem: Problem
  constructor(problem: Problem) {
    super(problem.title)
    this.name = 'ApiError'
    this.problem = problem
  }
}

export const unreachable: Problem = {
  code: 'unreachable',
  title: 'Your node does not answer',
  detail: 'Nothing is lost. Check that demes is still running on this computer.',
}

export function problemOf(error: unknown): Problem {
  if (error instanceof ApiError) return error.problem
  return { code: 'page', title: 'Something went wrong in this page', detail: String(error) }
}

async function readProblem(response: Response): Promise<Problem> {
  const fallback: Problem = {
    code: `http_${response.status}`,
    title: response.statusText || `The node answered with status ${response.status}`,
    detail: '',
    status: response.status,
  }
  try {
    const body = (await response.json()) as Partial<Problem>
    return { ...fallback, ...body, status: response.status }
  } catch {
    return fallback
  }
}

interface Call {
  method?: string
  body?: unknown
  headers?: Record<string, string>
  timeoutMs?: number
}

/** Exchanges the single-use code of the opened address for a token. */
export async function exchangeCode(code: string, base = BASE): Promise<string> {
  const answer = await send<{ token: string }>(base + '/session', undefined, { method: 'POST', body: { code } })
  return answer.token
}

async function send<T>(url: string, token: string | undefined, call: Call): Promise<T> {
  const headers: Record<string, string> = { Accept: 'application/json', ...call.headers }
  if (token !== undefined) headers['Authorization'] = `Bearer ${token}`
  if (call.body !== undefined) headers['Content-Type'] = 'application/json'
  let response: Response
  try {
    response = await fetch(url, {
      method: call.method ?? 'GET',
      headers,
      body: call.body === undefined ? undefined : JSON.stringify(call.body),
      signal: AbortSignal.timeout(call.timeoutMs ?? REQUEST_TIMEOUT_MS),
      credentials: 'omit',
      cache: 'no-store',
    })
  } catch {
    throw new ApiError(unreachable)
  }
  if (!response.ok) throw new ApiError(await readProblem(response))
  const text = await response.text()
  return (text === '' ? undefined : JSON.parse(text)) as T
}

function base64url(text: string): string {
  const bytes = new TextEncoder().encode(text)
  return btoa(String.fromCharCode(...bytes)).replaceAll('+', '-').replaceAll('/', '_').replace(/=+$/, '')
}

const part = encodeURIComponent

/** The id of a message has two parts, of the author's device and of its place in that device's log. */
const messagePath = (chat: string, message: string) => `/chats/${part(chat)}/messages/${message.split('/').map(part).join('/')}`

export interface PageRange {
  after?: number
  before?: number
  limit: number
}

export class Api {
  readonly #token: string
  readonly #base: string

  constructor(token: string, base = BASE) {
    this.#token = token
    this.#base = base
  }

  #call<T>(path: string, call: Call = {}): Promise<T> {
    return send<T>(this.#base + path, this.#token, call)
  }

  #post<T>(path: string, body: unknown = {}, headers?: Record<string, string>): Promise<T> {
    return this.#call<T>(path, { method: 'POST', body, headers })
  }

  #slow<T>(method: string, path: string, body: unknown = {}): Promise<T> {
    return this.#call<T>(path, { method, body, timeoutMs: UNLOCK_TIMEOUT_MS })
  }

  lock = () => this.#call<Lock>('/lock')
  lockNow = () => this.#slow<Lock>('POST', '/lock')
  unlock = (passphrase: string) => this.#slow<Lock>('POST', '/unlock', { passphrase })
  /** Without an old one it is set, without a new one removed. */
  setPassphrase = (change: { old?: string; new?: string }) => this.#slow<Lock>('PUT', '/lock', change)
  account = () => this.#call<Account>('/account')
  noteWords = (saved: boolean) => this.#call<Account>('/account', { method: 'PATCH', body: { words_saved: saved } })
  words = async (passphrase?: string) =>
    (await this.#slow<{ words: string[] | null }>('POST', '/account/words', { passphrase })).words ?? []
  exportAccount = (passphrase: string, current?: string) =>
    this.#slow<{ name: string; file: string }>('POST', '/account/export', { passphrase, current })
  devices = () => this.#call<Devices>('/account/devices')
  /** Makes the only link that is good now: those before it are void, and who asks by them is refused. */
  addDevice = () => this.#post<Invite>('/account/devices')
  confirmDevice = () => this.#post<Devices>('/account/devices/confirm')
  revokeDevice = (device: string) => this.#call<Devices>(`/account/devices/${part(device)}`, { method: 'DELETE' })
  /** The node starts again as a new device, or waits locked for its passphrase. */
  renewDevice = () => this.#slow<Lock>('POST', '/account/devices/renew')
  safety = (chat: string, account: string) => this.#call<Safety>(`/chats/${part(chat)}/safety/${part(account)}`)
  setVerified = (chat: string, account: string, verified: boolean) =>
    this.#call<Safety>(`/chats/${part(chat)}/safety/${part(account)}`, { method: 'PUT', body: { verified } })

  node = () => this.#call<Node>('/node')
  rename = (name: string) => this.#call<Node>('/node', { method: 'PATCH', body: { name } })
  chats = async () => (await this.#call<{ chats: Chat[] | null }>('/chats')).chats ?? []
  chat = (chat: string) => this.#call<Chat>(`/chats/${part(chat)}`)
  found = (title: string) => this.#post<Chat>('/chats', { title })
  start = (chat: string) => this.#post<void>(`/chats/${part(chat)}/start`)
  leave = (chat: string) => this.#post<void>(`/chats/${part(chat)}/leave`)
  invite = (chat: string, history = false) =>
    this.#post<Invite>(`/chats/${part(chat)}/invites`, history ? { history } : {})
  join = (target: JoinTarget) => this.#post<{ join: string }>('/joins', target)
  typing = (chat: string) => this.#post<void>(`/chats/${part(chat)}/typing`)
  read = (chat: string, position: number) => this.#post<void>(`/chats/${part(chat)}/read`, { position })
  joinState = (join: string) => this.#call<Join>(`/joins/${part(join)}`)

  handover = (chat: string, device?: string) =>
    this.#post<void>(`/chats/${part(chat)}/handover`, device === undefined ? {} : { device })

  answerKnock = (chat: string, device: string, admit: boolean) =>
    this.#post<void>(`/chats/${part(chat)}/knocks/${part(device)}`, { admit })

  /** The key makes a repeated send harmless: the node stores one message per key. */
  send = (chat: string, key: string, text: string, replyTo?: string) =>
    this.#post<Message>(
      `/chats/${part(chat)}/messages`,
      replyTo === undefined ? { text } : { text, reply_to: replyTo },
      { 'Idempotency-Key': key },
    )

  edit = (chat: string, message: string, text: string) =>
    this.#call<void>(messagePath(chat, message), { method: 'PATCH', body: { text } })

  deleteMessage = (chat: string, message: string) => this.#call<void>(messagePath(chat, message), { method: 'DELETE' })

  react = (chat: string, message: string, emoji: string, on: boolean) =>
    this.#call<void>(`${messagePath(chat, message)}/reactions/${part(emoji)}`, { method: on ? 'PUT' : 'DELETE' })

  changeChat = (chat: string, change: ChatChange) =>
    this.#call<void>(`/chats/${part(chat)}`, { method: 'PATCH', body: change })

  setRole = (chat: string, account: string, role: 'admin' | 'member') =>
    this.#call<void>(`/chats/${part(chat)}/members/${part(account)}/role`, { method: 'PUT', body: { role } })

  removeMember = (chat: string, device: string) =>
    this.#call<void>(`/chats/${part(chat)}/members/${part(device)}`, { method: 'DELETE' })

  messages = async (chat: string, range: PageRange): Promise<MessagePage> => {
    const query = new URLSearchParams({ limit: String(range.limit) })
    if (range.after !== undefined) query.set('after', String(range.after))
    if (range.before !== undefined) query.set('before', String(range.before))
    const page = await this.#call<MessagePage>(`/chats/${part(chat)}/messages?${query}`)
    return { ...page, messages: page.messages ?? [] }
  }

  /** Opens the live socket. Without `from` it begins with what happens from now on. */
  live(from: { run: string; seq: number } | null, listener: LiveListener): () => void {
    const url = new URL(this.#base + '/live', location.href)
    url.protocol = url.protocol === 'https:' ? 'wss:' : 'ws:'
    if (from !== null) url.search = new URLSearchParams({ since: String(from.seq), run: from.run }).toString()
    const socket = new WebSocket(url, ['demes.v1', `token.${base64url(this.#token)}`])
    socket.addEventListener('open', () => listener.opened())
    socket.addEventListener('message', (frame) => listener.event(JSON.parse(String(frame.data)) as LiveEvent))
    socket.addEventListener('close', () => listener.closed())
    return () => socket.close()
  }
}

export interface LiveListener {
  opened(): void
  event(event: LiveEvent): void
  closed(): void
}
