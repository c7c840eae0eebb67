/** Small worlds for tests, in the contract's shapes. */
import type { Chat, LiveEvent, Member, Message, Node } from '../api/types'
import { reduce } from '../state/reduce'
import { type Action, initialState, type Room, type State } from '../state/state'

export const node: Node = {
  device: 'dev-alice', account: 'acc-alice', name: 'alice', version: '0', peer_id: 'p', addresses: [], data_dir: '/d',
}

export function member(name: string, more: Partial<Member> = {}): Member {
  return {
    device: `dev-${name}`, account: `acc-${name}`, name, online: true, role: 'member', council: true, elector: true,
    held: 0, read: 0, rtt_ms: 10, verified: false, ...more,
  }
}

export function chat(more: Partial<Chat> = {}): Chat {
  const members = more.members ?? [member('alice', { role: 'founder' }), member('bob'), member('carol')]
  return {
    id: 'c1', title: 'Hike', phase: 'live', mode: 'settled', host: who('alice'), next: who('bob'), term: 1, generation: 1,
    position: 0, head: { generation: 1, index: 0, hash: '' }, final: 0, members,
    succession: members.map((each) => ({ device: each.device, name: each.name, score_ms: 10 })),
    latency: { devices: members.map((each) => each.device), rtt_ms: members.map(() => members.map(() => 10)) },
    epoch: 0, suite: 's', post_quantum: false, keys: { state: 'good' }, settings: { admins_invite: false, disappear_after_s: 0 },
    me: 'dev-alice', founder: 'dev-alice', ...more,
  }
}

export const who = (name: string) => ({ device: `dev-${name}`, name })

export function message(author: string, seq: number, more: Partial<Message> = {}): Message {
  return {
    id: `dev-${author}/${seq}`, chat: 'c1', position: null, author: who(author), text: `${author} ${seq}`,
    sent_at: '2026-11-22T10:00:00Z', state: 'sent', held_by: 2, members: 3, ...more,
  }
}

export const settled = (author: string, seq: number, position: number): Message =>
  message(author, seq, { position, state: 'settled', held_by: 3 })

/** Runs actions one after another, from a page that has just opened with one chat. */
export function after(first: Chat, ...actions: Action[]): State {
  const opened: Action = { type: 'opened', node, chats: [first], asOf: 0, read: {}, at: 0 }
  return [opened, ...actions].reduce(reduce, initialState)
}

type Said<E> = E extends LiveEvent ? Omit<E, 'seq' | 'run' | 'chat'> & { chat?: string } : never

let seq = 0
/** A live event of chat c1 in run r1, each with the next number. */
export function live(event: Said<LiveEvent>, at = 1_000): Action {
  seq += 1
  return { type: 'live', event: { seq, run: 'r1', chat: 'c1', ...event } as LiveEvent, at }
}

export function roomOf(state: State): Room {
  const room = state.rooms['c1']
  if (room === undefined) throw new Error('chat c1 is not there')
  return room
}

export const loaded = (...messages: Message[]): Action => ({
  type: 'page', chat: 'c1', where: 'latest', full: false,
  page: { messages, head: { generation: 1, position: messages.length, hash: '' } },
})
