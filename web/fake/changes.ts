/** The calls of a simulated node that change what was said, and the chat itself. */
import { type Handler, Refusal } from './call.ts'
import type { Room, World } from './world.ts'

export function changes(world: World, device: string, find: (id: string | undefined) => Room): [string, RegExp, Handler][] {
  const amend = (id: string | undefined, message: string | undefined, change: Parameters<World['amend']>[2]): [number, unknown] => {
    const room = find(id)
    const sent = room.sent.find((each) => each.id === message && each.deleted !== true)
    if (sent === undefined) throw new Refusal(404, 'unknown-message', 'There is no such message', 'Look at the chat again.')
    world.amend(room, sent, change)
    return [202, {}]
  }
  return [
    ['PATCH', /^\/chats\/([^/]+)\/messages\/([^/]+\/\d+)$/, ([id, message], body) => amend(id, message, (sent) => {
      Object.assign(sent, { text: String(body['text']), edited_at: new Date().toISOString() })
    })],
    ['DELETE', /^\/chats\/([^/]+)\/messages\/([^/]+\/\d+)$/, ([id, message]) => amend(id, message, (sent) => { sent.deleted = true })],
    ['PUT', /^\/chats\/([^/]+)\/messages\/([^/]+\/\d+)\/reactions\/([^/]+)$/, ([id, message, emoji = '']) => amend(id, message, (sent) => {
      sent.reactions.set(emoji, (sent.reactions.get(emoji) ?? new Set()).add(device))
    })],
    ['DELETE', /^\/chats\/([^/]+)\/messages\/([^/]+\/\d+)\/reactions\/([^/]+)$/, ([id, message, emoji = '']) => amend(id, message, (sent) => {
      sent.reactions.get(emoji)?.delete(device)
    })],
    ['PATCH', /^\/chats\/([^/]+)$/, ([id], body) => {
      const room = find(id)
      if (typeof body['title'] === 'string') room.title = body['title']
      room.settings = { ...room.settings, ...(body['settings'] as Partial<Room['settings']> | undefined) }
      world.tell(room, 'members')
      return [202, {}]
    }],
    ['PUT', /^\/chats\/([^/]+)\/members\/([^/]+)\/role$/, ([id, account = ''], body) => {
      const room = find(id)
      if (body['role'] === 'admin') room.admins.add(account)
      else room.admins.delete(account)
      world.tell(room, 'members')
      return [202, {}]
    }],
    ['DELETE', /^\/chats\/([^/]+)\/members\/([^/]+)$/, ([id, device = '']) => {
      world.leave(find(id), device)
      return [202, {}]
    }],
  ]
}
