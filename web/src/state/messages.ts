/** The message window of one room: merging pages and live messages in their one order. */
import type { Message, MessageState } from '../api/types'
import { WINDOW_DROP, WINDOW_LIMIT } from './state'

const RANK: Record<MessageState, number> = { pending: 0, sent: 1, failed: 2, settled: 3 }

/** The newer of two states of one message: a late answer must not take a settled message back. */
function newer(known: Message, told: Message): Message {
  if (known.deleted === true && told.deleted !== true) return known
  if (RANK[told.state] < RANK[known.state]) return known
  if (told.state !== known.state || told.position !== known.position) return told
  return told.held_by >= known.held_by ? told : { ...told, held_by: known.held_by }
}

/** Settled by position, failed where their time puts them, the rest in the order given. */
function inOrder(messages: Iterable<Message>): Message[] {
  const settled: Message[] = []
  const failed: Message[] = []
  const tail: Message[] = []
  for (const message of messages) {
    if (message.position !== null) settled.push(message)
    else if (message.state === 'failed') failed.push(message)
    else tail.push(message)
  }
  settled.sort((a, b) => (a.position ?? 0) - (b.position ?? 0))
  for (const message of failed) {
    const before = settled.findLastIndex((other) => other.sent_at <= message.sent_at)
    settled.splice(before + 1, 0, message)
  }
  return [...settled, ...tail]
}

/** Adds what was told to what is known. `told` decides the order of what is not settled yet. */
export function mergePage(known: readonly Message[], told: readonly Message[]): Message[] {
  const before = new Map(known.map((message) => [message.id, message]))
  const merged = new Map<string, Message>()
  for (const message of told) {
    const old = before.get(message.id)
    merged.set(message.id, old === undefined ? message : newer(old, message))
  }
  for (const message of known) if (!merged.has(message.id)) merged.set(message.id, message)
  return inOrder(merged.values())
}

/** Adds live news: new messages go behind the known ones. */
export function mergeLive(known: readonly Message[], told: readonly Message[]): Message[] {
  const merged = new Map(known.map((message) => [message.id, message]))
  for (const message of told) {
    const old = merged.get(message.id)
    merged.set(message.id, old === undefined ? message : newer(old, message))
  }
  return inOrder(merged.values())
}

export interface Window {
  messages: Message[]
  cutOlder: boolean
  cutNewer: boolean
}

/** Keeps a window within its limit by dropping at the end that is not being read. */
export function cutWindow(messages: Message[], reading: 'older' | 'newer'): Window {
  if (messages.length <= WINDOW_LIMIT) return { messages, cutOlder: false, cutNewer: false }
  const keep = WINDOW_LIMIT - WINDOW_DROP
  return reading === 'older'
    ? { messages: messages.slice(0, keep), cutOlder: false, cutNewer: true }
    : { messages: messages.slice(-keep), cutOlder: true, cutNewer: false }
}

export function firstPosition(messages: readonly Message[]): number | null {
  return messages.find((message) => message.position !== null)?.position ?? null
}

export function lastPosition(messages: readonly Message[]): number | null {
  return messages.findLast((message) => message.position !== null)?.position ?? null
}
