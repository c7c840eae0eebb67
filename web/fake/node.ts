/** One simulated node's local HTTP API and page, with the headers that the real node sends. */
import { readFile } from 'node:fs/promises'
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import { extname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { type WebSocket, WebSocketServer } from 'ws'
import { type Body, type Handler, Refusal } from './call.ts'
import { changes } from './changes.ts'
import { qrSvg } from './qr.ts'
import type { Room, World } from './world.ts'

const dist = fileURLToPath(new URL('../dist', import.meta.url))
const POLICY =
  "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' blob: data:; font-src 'self'; " +
  "frame-ancestors 'none'; base-uri 'none'; form-action 'none'; require-trusted-types-for 'script'; trusted-types 'none'"
const MIME: Record<string, string> = {
  '.html': 'text/html; charset=utf-8', '.js': 'text/javascript', '.css': 'text/css', '.svg': 'image/svg+xml',
  '.woff2': 'font/woff2', '.txt': 'text/plain; charset=utf-8',
}
/** As much as the event history keeps for a page that comes back. */
const HISTORY_LIMIT = 200

async function bodyOf(request: IncomingMessage): Promise<Body> {
  const chunks: Buffer[] = []
  for await (const chunk of request) chunks.push(chunk as Buffer)
  const text = Buffer.concat(chunks).toString()
  return text === '' ? {} : (JSON.parse(text) as Body)
}

export class FakeNode {
  readonly token: string
  readonly ready: Promise<void>
  readonly #world: World
  readonly #device: string
  readonly #server: Server
  readonly #sockets = new Set<WebSocket>()
  readonly #history: string[] = []
  readonly #keys = new Map<string, string>()
  readonly #run = Math.random().toString(36).slice(2, 8)
  #seq = 0
  #codes = 0

  constructor(world: World, device: string, port: number) {
    this.#world = world
    this.#device = device
    this.token = `token-${world.by(device).name}-${this.#run}`
    this.#server = createServer((request, response) => void this.#answer(request, response))
    const live = new WebSocketServer({ server: this.#server, path: '/api/v1/live', handleProtocols: () => 'demes.v1' })
    live.on('connection', (socket, request) => this.#live(socket, request))
    world.listeners.add((to, news) => {
      if (to !== device) return
      const frame = JSON.stringify({ seq: ++this.#seq, run: this.#run, ...news })
      this.#history.push(frame)
      for (const each of this.#sockets) each.send(frame)
    })
    this.ready = new Promise((resolve) => this.#server.listen(port, '127.0.0.1', resolve))
  }

  close(): void {
    for (const socket of this.#sockets) socket.terminate()
    this.#server.closeAllConnections()
    this.#server.close()
  }

  #live(socket: WebSocket, request: IncomingMessage): void {
    const given = (request.headers['sec-websocket-protocol'] ?? '').split(/,\s*/).find((each) => each.startsWith('token.'))
    if (Buffer.from((given ?? '').slice(6), 'base64url').toString() !== this.token) return socket.close(4401)
    this.#sockets.add(socket)
    socket.on('close', () => this.#sockets.delete(socket))
    const query = new URL(request.url ?? '', 'http://x').searchParams
    const since = query.get('since')
    if (since === null) return socket.send(JSON.stringify({ seq: this.#seq, run: this.#run, type: 'hello' }))
    const missed = this.#seq - Number(since)
    const reset = JSON.stringify({ seq: this.#seq, run: this.#run, type: 'reset' })
    if (query.get('run') !== this.#run || missed > HISTORY_LIMIT) socket.send(reset)
    else for (const frame of missed > 0 ? this.#history.slice(-missed) : []) socket.send(frame)
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const url = new URL(request.url ?? '/', 'http://x')
    if (!url.pathname.startsWith('/api/')) return this.#file(url.pathname, response)
    try {
      const [status, body] = this.#route(request, url, await bodyOf(request))
      response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body))
    } catch (error) {
      const { status = 500, code = 'bug', message, detail = '' } = error as Refusal
      response.writeHead(status, { 'content-type': 'application/problem+json' })
      response.end(JSON.stringify({ status, code, title: message, detail }))
    }
  }

  async #file(path: string, response: ServerResponse): Promise<void> {
    const name = path === '/' ? '/index.html' : path
    const content = await readFile(join(dist, name)).catch(() => null)
    response.writeHead(content === null ? 404 : 200, {
      'content-type': MIME[extname(name)] ?? 'application/octet-stream',
      'content-security-policy': POLICY,
      'x-content-type-options': 'nosniff',
    })
    response.end(content ?? 'not found')
  }

  #route(request: IncomingMessage, url: URL, body: Body): [number, unknown] {
    const path = url.pathname.slice('/api/v1'.length)
    if (path === '/session') return [200, this.#session()]
    if (request.headers.authorization !== `Bearer ${this.token}`) {
      throw new Refusal(401, 'unauthorized', 'This page is not signed in', 'Open the address that demes printed when it started.')
    }
    const more = changes(this.#world, this.#device, (id) => this.#room(id))
    for (const [method, pattern, handler] of [...more, ...this.#routes]) {
      const match = method === request.method ? pattern.exec(path) : null
      if (match) return handler(match.slice(1).map(decodeURIComponent), body, request, url.searchParams)
    }
    throw new Refusal(404, 'not_found', 'No such thing')
  }

  #session(): { token: string } {
    if (this.#codes++ > 0) throw new Refusal(403, 'code_used', 'This link was used already', 'Open the address that demes printed.')
    return { token: this.token }
  }

  #room(id: string | undefined): Room {
    const room = this.#world.rooms.find((each) => each.id === id && (each.members.includes(this.#device) || each.left.has(this.#device)))
    if (room === undefined) throw new Refusal(404, 'unknown_chat', 'No such chat', 'This node is not in that chat.')
    return room
  }

  #send(room: Room, body: Body, key: string): [number, unknown] {
    const text = String(body['text'] ?? '')
    if (room.phase === 'lobby') throw new Refusal(409, 'in_lobby', 'The chat has not started', 'Messages can be sent once its founder starts it.')
    if (text.trim() === '') throw new Refusal(400, 'empty', 'An empty message')
    if (text.length > 16_384) throw new Refusal(400, 'too_long', 'That message is too long', 'A message holds 16 KiB. Send it in parts.')
    const known = room.sent.find((sent) => sent.id === this.#keys.get(key))
    const sent = known ?? this.#world.send(room, this.#device, text, body['reply_to'] as string | undefined)
    this.#keys.set(key, sent.id)
    return [202, this.#world.message(room, sent, this.#device)]
  }

  #page(room: Room, query: URLSearchParams): unknown {
    const after = Number(query.get('after') ?? 0)
    const before = Number(query.get('before') ?? Infinity)
    const shown = room.sent.filter((sent) => sent.position !== null || sent.holders.has(this.#device))
    const settled = shown
      .filter((sent) => sent.position !== null && sent.position > after && sent.position < before)
      .sort((a, b) => (a.position ?? 0) - (b.position ?? 0))
    const tail = query.has('before') ? [] : shown.filter((sent) => sent.position === null)
    const page = [...settled, ...tail].slice(0, Number(query.get('limit') ?? 100))
    const head = { generation: room.generation, position: room.position, hash: `h${room.position}` }
    return { messages: page.map((sent) => this.#world.message(room, sent, this.#device)), head }
  }

  #account(): unknown {
    const { account, device } = this.#world.node(this.#device)
    return { account, device, device_number: 1_700_000_000, has_words: true, words_saved: true }
  }

  #safety(account: string): unknown {
    const digits = '39875 10583 02493 14537 37883 46649 40553 99420 31079 83736 43567 91903'
    const verified = this.#world.verified.has(account)
    return { account, name: account, digits, qr_svg: qrSvg(digits), verified, changed: false }
  }

  #join(body: Body): [number, unknown] {
    const address = String(body['address'] ?? '')
    if (address !== '') return [202, { join: this.#world.knock(this.#device, address) }]
    const room = this.#world.rooms.find((each) => String(body['link']).endsWith(each.id))
    if (room === undefined) throw new Refusal(400, 'bad_link', 'That is not an invite link', 'Copy the whole link, from demes: to its end.')
    const tried = [{ address: '203.0.113.7:4001', result: 'timed out' }, { address: '192.168.1.20:4001', result: 'connected' }]
    const join = { join: `join-link-${room.id}`, device: this.#device, state: 'joined' as const, chat: room.id, tried }
    this.#world.joins.set(join.join, join)
    this.#world.add(room, this.#device)
    return [202, { join: join.join }]
  }

  readonly #routes: [string, RegExp, Handler][] = [
    ['GET', /^\/node$/, () => [200, this.#world.node(this.#device)]],
    ['PATCH', /^\/node$/, (_, body) => {
      this.#world.rename(this.#device, String(body['name']))
      return [200, this.#world.node(this.#device)]
    }],
    ['GET', /^\/lock$/, () => [200, { locked: false, has_passphrase: false, key: 'key-file' }]],
    ['GET', /^\/account$/, () => [200, this.#account()]],
    ['PATCH', /^\/account$/, () => [200, this.#account()]],
    ['POST', /^\/account\/words$/, () => [200, { words: [...Array<string>(23).fill('abandon'), 'art'] }]],
    ['GET', /^\/chats\/([^/]+)\/safety\/([^/]+)$/, ([, account]) => [200, this.#safety(account ?? '')]],
    ['PUT', /^\/chats\/([^/]+)\/safety\/([^/]+)$/, ([, account], body) => {
      if (body['verified'] === true) this.#world.verified.add(account ?? '')
      else this.#world.verified.delete(account ?? '')
      return [200, this.#safety(account ?? '')]
    }],
    ['GET', /^\/chats$/, () => {
      const mine = this.#world.rooms.filter((room) => room.members.includes(this.#device) || room.left.has(this.#device))
      return [200, { chats: mine.map((room) => this.#world.view(room, this.#device)) }]
    }],
    ['POST', /^\/chats$/, (_, body) => [201, this.#world.view(this.#world.found(this.#device, String(body['title'])), this.#device)]],
    ['GET', /^\/chats\/([^/]+)$/, ([id]) => [200, this.#world.view(this.#room(id), this.#device)]],
    ['POST', /^\/chats\/([^/]+)\/start$/, ([id]) => {
      const room = this.#room(id)
      if (room.founder !== this.#device) throw new Refusal(409, 'not_founder', 'Only the founder starts the chat')
      this.#world.start(room)
      return [202, {}]
    }],
    ['POST', /^\/chats\/([^/]+)\/invites$/, ([id]) => {
      const link = `demes://join/#k3WqXv9TzB7mJ2nLr5cYhD8sGfA1pEoU6i4tNwMxQ0yRvKbZlHjCgSdFaPeTuIoX.${this.#room(id).id}`
      return [201, { link, qr_svg: qrSvg(link), expires_at: new Date(Date.now() + 7 * 864e5).toISOString() }]
    }],
    ['POST', /^\/joins$/, (_, body) => this.#join(body)],
    ['GET', /^\/joins\/([^/]+)$/, ([id]) => [200, this.#world.joins.get(id ?? '') ?? {}]],
    ['POST', /^\/chats\/([^/]+)\/knocks\/([^/]+)$/, ([id, device], body) => {
      this.#world.answer(this.#room(id), device ?? '', body['admit'] === true)
      return [202, {}]
    }],
    ['POST', /^\/chats\/([^/]+)\/messages$/, ([id], body, request) =>
      this.#send(this.#room(id), body, String(request.headers['idempotency-key']))],
    ['GET', /^\/chats\/([^/]+)\/messages$/, ([id], _body, _request, query) => [200, this.#page(this.#room(id), query)]],
    ['POST', /^\/chats\/([^/]+)\/handover$/, ([id], body) => {
      const room = this.#room(id)
      const to = body['device'] ?? this.#world.view(room, this.#device).next?.device
      this.#world.move(room, String(to))
      return [202, {}]
    }],
    ['POST', /^\/chats\/([^/]+)\/typing$/, ([id]) => {
      this.#world.typing(this.#room(id), this.#device)
      return [202, {}]
    }],
    ['POST', /^\/chats\/([^/]+)\/read$/, () => [202, {}]],
    ['POST', /^\/chats\/([^/]+)\/leave$/, ([id]) => {
      this.#world.leave(this.#room(id), this.#device)
      return [202, {}]
    }],
  ]
}
