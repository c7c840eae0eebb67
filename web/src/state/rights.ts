/** What this node's user may do, as everybody's node will judge it. */
import type { Chat, Member, Message } from '../api/types'

export interface Rights {
  reply: boolean
  react: boolean
  edit: boolean
  remove: boolean
}

const NONE: Rights = { reply: false, react: false, edit: false, remove: false }

function memberOf(chat: Chat, device: string): Member | undefined {
  return chat.members.find((member) => member.device === device)
}

/** Whether the user changes the title and the rules, and deletes what others wrote. */
export function leads(chat: Chat, me: string): boolean {
  const role = memberOf(chat, me)?.role
  return chat.phase === 'live' && (role === 'founder' || role === 'admin')
}

/** Whether a text is shown, and not a word about why there is none. */
export function isReadable(message: Message): boolean {
  return message.deleted !== true && (message.problem === undefined || message.state === 'failed')
}

export function rightsOn(chat: Chat, me: string, message: Message): Rights {
  if (chat.phase !== 'live' || message.deleted === true || message.state === 'failed') return NONE
  const own = message.author.device === me || isSamePerson(chat, me, message.author.device)
  const readable = isReadable(message)
  return { reply: readable, react: readable, edit: own && readable, remove: own || leads(chat, me) }
}

function isSamePerson(chat: Chat, a: string, b: string): boolean {
  const account = memberOf(chat, a)?.account
  return account !== undefined && account === memberOf(chat, b)?.account
}

/** Whom the user may take out of the chat: the founder and admins do, and never the founder or themselves. */
export function mayRemove(chat: Chat, me: string, member: Member): boolean {
  return leads(chat, me) && member.role !== 'founder' && !isSamePerson(chat, me, member.device)
}

/** Whom the user may make an admin, or a member again: the founder does. */
export function mayGiveRole(chat: Chat, me: string, member: Member): boolean {
  return chat.phase === 'live' && memberOf(chat, me)?.role === 'founder' && member.role !== 'founder'
}

/** The message that Arrow-Up edits: the user's last one that can be. */
export function lastOwn(chat: Chat, me: string, messages: readonly Message[]): Message | undefined {
  return messages.findLast((message) => message.author.device === me && rightsOn(chat, me, message).edit)
}
