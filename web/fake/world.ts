/**
 * A simulated group for developing and testing the interface: it has hosts, hand-overs, knocks, lost
 * members and a provisional mode, and speaks in the contract's shapes. It proves nothing about DeMes itself.
 */
import type { Chat, Join, Knock, LiveEvent, Member, Message, Node } from '../src/api/types.ts'

const HELD_MS = 60
const SETTLE_MS = 180
const SUSPECT_MS = 350
const ELECT_MS = 700
const SHRINK_MS = 8_000

interface Person { device: string; account: string; name: string; online: boolean; at: [number, number] }
interface Sent {
  id: string; author: string; text: string; sent_at: string; reply_to?: string
  holders: Set<string>; position: number | null; problem?: Message['problem']
  edited_at?: string; deleted?: boolean; reactions: Map<string, Set<string>>
}
export interface Room {
  id: string; title: string; phase: 'lobby' | 'live'; founder: string; host: string | null; term: number
  generation: number; members: string[]; council: string[]; sent: Sent[]; knocks: Knock[]; position: number; left: Set<string>
  admins: Set<string>; settings: Chat['settings']
}
type WithoutPlace<E> = E extends LiveEvent ? Omit<E, 'seq' | 'run'> : never
type News = WithoutPlace<LiveEvent>
type Listener = (device: string, news: News) => void

export class World {
  people: Person[] = []
  rooms: Room[] = []
  joins = new Map<string, Join & { device: string }>()
  listeners = new Set<Listener>()
  /** Accounts whose safety number somebody compared; one list for all nodes is enough here. */
  readonly verified = new Set<string>()
  #count = 0

  person(name: string, at: [number, number]): Person {
    const id = `${name}${'k7q2m9x4'.slice(0, 4)}${(this.people.length + 11) * 7919}`
    const person = { device: `d-${id}`, account: `a-${id}`, name, online: true, at }
    this.people.push(person)
    return person
  }

  by(device: string): Person {
    const person = this.people.find((other) => other.device === device || other.name === device)
    if (person === undefined) throw new Error(`nobody is called ${device}`)
    return person
  }

  rtt(a: string, b: string): number | null {
    const [p, q] = [this.by(a), this.by(b)]
    if (!p.online || !q.online) return null
    return Math.round((0.3 + Math.hypot(p.at[0] - q.at[0], p.at[1] - q.at[1])) * 10) / 10
  }

  node(device: string): Node {
    const { account, name } = this.by(device)
    return {
      device, account, name, version: '0.1.0-fake', peer_id: `12D3KooW${name}`, addresses: ['127.0.0.1:4001'],
      data_dir: `/tmp/demes/${name}`,
    }
  }

  found(device: string, title: string): Room {
    const room: Room = {
      id: `chat-${++this.#count}-${title.replaceAll(/\W+/g, '').toLowerCase()}`, title, phase: 'lobby', founder: device,
      host: device, term: 1, generation: 0, members: [device], council: [device], sent: [], knocks: [], position: 0, left: new Set(),
      admins: new Set(), settings: { admins_invite: false, disappear_after_s: 0 },
    }
    this.rooms.push(room)
    this.tell(room, 'members')
    return room
  }

  ranked(room: Room): { device: string; name: string; score_ms: number | null }[] {
    const score = (device: string) => {
      const others = room.members.filter((other) => other !== device && this.by(other).online)
      return others.reduce((sum, other) => sum + (this.rtt(device, other) ?? 0) / 2, 0)
    }
    return room.members
      .map((device) => ({ device, name: this.by(device).name, score_ms: this.by(device).online ? score(device) : null }))
      .sort((a, b) => (a.score_ms ?? Infinity) - (b.score_ms ?? Infinity))
  }

  quorum(room: Room): boolean {
    return room.council.filter((device) => this.by(device).online).length > room.council.length / 2
  }

  view(room: Room, me: string): Chat {
    const provisional = room.phase === 'live' && !this.quorum(room)
    const ranked = this.ranked(room)
    const missing = room.council.filter((device) => !this.by(device).online).map((device) => this.by(device).name)
    const needed = Math.floor(room.council.length / 2) + 1 - (room.council.length - missing.length)
    const next = ranked.find((other) => other.device !== room.host && other.score_ms !== null)
    const named = (device: string | null) => (device === null ? null : { device, name: this.by(device).name })
    return {
      id: room.id, title: room.title, phase: room.left.has(me) ? 'left' : room.phase, mode: provisional ? 'provisional' : 'settled',
      host: named(room.host), next: room.phase === 'live' && next ? named(next.device) : null,
      term: room.term, generation: room.generation, position: room.position,
      head: { generation: room.generation, index: room.position * 2, hash: `h${room.position}` },
      members: room.members.map((device) => this.member(room, device, me)),
      succession: ranked,
      latency: { devices: room.members, rtt_ms: room.members.map((a) => room.members.map((b) => (a === b ? 0 : this.rtt(a, b)))) },
      epoch: room.members.length, suite: 'XWing', post_quantum: true, keys: { state: 'good' }, epoch_code: String(room.members.length).repeat(30),
      settings: room.settings, final: room.position * 2, me, founder: room.founder, knocks: room.founder === me ? room.knocks : [],
      ...(provisional ? { waiting_for: missing, waiting_text: `${needed} of ${missing.join(', ')}` } : {}),
    }
  }

  member(room: Room, device: string, me: string): Member {
    const { account, name, online } = this.by(device)
    const held = room.sent.filter((sent) => sent.position !== null && sent.holders.has(device)).length
    return {
      device, account, name, online, role: device === room.founder ? 'founder' : room.admins.has(account) ? 'admin' : 'member', council: room.council.includes(device), elector: true,
      held, read: held, rtt_ms: device === me ? 0 : this.rtt(me, device), verified: this.verified.has(account),
    }
  }

  message(room: Room, sent: Sent, me: string): Message {
    const others = sent.holders.size
    const state = sent.problem ? 'failed' : sent.position !== null ? 'settled' : others > 1 || sent.author !== me ? 'sent' : 'pending'
    return {
      id: sent.id, chat: room.id, position: sent.position, author: { device: sent.author, name: this.by(sent.author).name }, text: sent.deleted === true ? '' : sent.text,
      sent_at: sent.sent_at, state, held_by: others, members: room.members.length, problem: sent.problem,
      ...(sent.deleted === true ? { deleted: true } : { reply_to: sent.reply_to, edited_at: sent.edited_at, reactions: this.reactions(sent, me) }),
    }
  }

  send(room: Room, author: string, text: string, reply_to?: string, sent_at = new Date().toISOString()): Sent {
    const sent: Sent = { id: `${author}/${++this.#count}`, author, text, sent_at, reply_to, holders: new Set([author]), position: null, reactions: new Map() }
    room.sent.push(sent)
    this.#tellMessage(room, sent)
    setTimeout(() => this.relay(room), HELD_MS)
    return sent
  }

  reactions(sent: Sent, me: string): Message['reactions'] {
    const told = [...sent.reactions].filter(([, by]) => by.size > 0)
    return told.map(([emoji, by]) => ({ emoji, mine: by.has(me), by: [...by].map((device) => ({ device, name: this.by(device).name })) }))
  }

  /** Changes a message everywhere at once. */
  amend(room: Room, sent: Sent, change: (sent: Sent) => void): void {
    change(sent)
    this.#tellMessage(room, sent)
  }

  /** Hands on and settles what it can; called whenever something changed. */
  relay(room: Room): void {
    if (room.host === null || !this.by(room.host).online) return
    for (const sent of room.sent.filter((each) => each.position === null && this.by(each.author).online && !each.problem)) {
      const before = sent.holders.size
      for (const device of room.members) if (this.by(device).online) sent.holders.add(device)
      if (sent.holders.size !== before) this.#tellMessage(room, sent)
    }
    if (this.quorum(room)) setTimeout(() => this.settle(room), SETTLE_MS - HELD_MS)
  }

  settle(room: Room): void {
    if (room.host === null || !this.quorum(room)) return
    const ready = room.sent.filter((sent) => sent.position === null && sent.holders.size > room.council.length / 2 && !sent.problem)
    for (const sent of ready) sent.position = ++room.position
    if (ready.length === 0) return
    for (const device of room.members) {
      if (!this.by(device).online) continue
      this.say(device, { type: 'settled', chat: room.id, messages: ready.map((sent) => this.message(room, sent, device)) })
    }
  }

  #tellMessage(room: Room, sent: Sent): void {
    for (const device of sent.holders) this.say(device, { type: 'message', chat: room.id, message: this.message(room, sent, device) })
  }

  say(device: string, news: News): void {
    for (const listener of this.listeners) listener(device, news)
  }

  tell(room: Room, type: 'host' | 'members' | 'mode' | 'latency'): void {
    for (const device of room.members) this.say(device, { type, chat: room.id, detail: this.view(room, device) })
  }

  start(room: Room): void {
    room.phase = 'live'
    room.generation = 1
    room.council = room.members.slice(0, room.members.length < 3 ? 1 : room.members.length < 5 ? 3 : 5)
    this.tell(room, 'mode')
    const best = this.ranked(room)[0]
    if (best && best.device !== room.host) setTimeout(() => this.move(room, best.device), 400)
  }

  move(room: Room, device: string): void {
    room.host = device
    room.term += 1
    if (!room.council.includes(device)) room.council = [device, ...room.council.slice(1)]
    this.tell(room, 'host')
    this.relay(room)
  }

  elect(room: Room): void {
    if (room.host !== null && this.by(room.host).online) return
    const best = this.ranked(room).find((other) => this.by(other.device).online)
    if (best) this.move(room, best.device)
  }

  kill(device: string): void {
    this.by(device).online = false
    for (const room of this.rooms.filter((each) => each.members.includes(device))) {
      this.tell(room, 'members')
      if (room.phase === 'live') setTimeout(() => this.#shrink(room), SHRINK_MS)
      if (room.host !== device || room.phase === 'lobby') continue
      setTimeout(() => { room.host = null; this.tell(room, 'host') }, SUSPECT_MS)
      setTimeout(() => this.elect(room), ELECT_MS)
    }
  }

  #shrink(room: Room): void {
    if (!this.quorum(room)) return
    const present = room.council.filter((device) => this.by(device).online)
    room.council = present.slice(0, present.length % 2 === 0 ? present.length - 1 : present.length)
    this.tell(room, 'members')
  }

  revive(device: string): void {
    this.by(device).online = true
    for (const room of this.rooms.filter((each) => each.members.includes(device))) {
      for (const sent of room.sent) if (sent.position !== null) sent.holders.add(device)
      this.tell(room, 'members')
      this.elect(room)
      this.relay(room)
    }
  }

  knock(device: string, address: string): string {
    const join = `join-${++this.#count}`
    const room = this.rooms.findLast((each) => each.phase === 'lobby')
    const tried = [{ address, result: room ? 'connected' : 'no lobby takes knocks here' }]
    this.joins.set(join, { join, device, state: room ? 'knocking' : 'failed', code: '482913', tried })
    if (room === undefined) {
      this.joins.set(join, { join, device, state: 'failed', tried, problem: { code: 'no_lobby', title: 'Nobody opens there', detail: 'No lobby at that address takes knocks. Ask for an invite link.' } })
      return join
    }
    const knock = { device, name: this.by(device).name, code: '482913', address }
    room.knocks.push(knock)
    this.say(room.founder, { type: 'knock', chat: room.id, detail: knock })
    return join
  }

  answer(room: Room, device: string, admit: boolean): void {
    room.knocks = room.knocks.filter((knock) => knock.device !== device)
    const join = [...this.joins.values()].find((each) => each.device === device && each.state === 'knocking')
    if (join) Object.assign(join, admit ? { state: 'joined', chat: room.id } : { state: 'refused', problem: { code: 'refused', title: 'Not let in', detail: `${this.by(room.founder).name} did not admit you.` } })
    if (admit) this.add(room, device)
    else this.tell(room, 'members')
  }

  add(room: Room, device: string): void {
    if (!room.members.includes(device)) room.members.push(device)
    for (const sent of room.sent) if (sent.position !== null) sent.holders.add(device)
    this.tell(room, 'members')
  }

  leave(room: Room, device: string): void {
    room.left.add(device)
    this.say(device, { type: 'members', chat: room.id, detail: this.view(room, device) })
    room.members = room.members.filter((other) => other !== device)
    room.council = room.council.filter((other) => other !== device)
    this.tell(room, 'members')
    if (room.host === device) { room.host = null; setTimeout(() => this.elect(room), 50) }
  }

  typing(room: Room, device: string): void {
    const detail = { device, name: this.by(device).name }
    for (const other of room.members) if (other !== device) this.say(other, { type: 'typing', chat: room.id, detail })
  }

  rename(device: string, name: string): void {
    this.by(device).name = name
    for (const room of this.rooms) this.tell(room, 'members')
  }
}
