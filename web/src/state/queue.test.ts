import { beforeEach, expect, it } from 'vitest'
import { chat, node } from '../testing/samples'
import { keepQueues } from './queue'
import { Store } from './store'

beforeEach(() => sessionStorage.clear())

function page() {
  const store = new Store()
  keepQueues(store)
  store.dispatch({ type: 'opened', node, chats: [chat()], asOf: 0, read: {}, at: 0 })
  return store
}
const item = (key: string) => ({ key, text: `text of ${key}`, at: '2026-01-01T00:00:00Z', sending: true })
const keys = (store: Store) => store.get().rooms['c1']?.outbox.map((each) => each.key)

it('brings back after a reload what the node has not stored yet', () => {
  const before = page()
  for (const key of ['a', 'b', 'c']) before.dispatch({ type: 'queued', chat: 'c1', item: item(key) })
  before.dispatch({ type: 'dropped', chat: 'c1', key: 'b' })
  const after = page()
  expect(keys(after)).toEqual(['a', 'c'])
  expect(after.get().rooms['c1']?.outbox[0]?.sending).toBe(false)
  after.dispatch({ type: 'dropped', chat: 'c1', key: 'a' })
  after.dispatch({ type: 'dropped', chat: 'c1', key: 'c' })
  expect(keys(page())).toEqual([])
})

it('keeps the queues of two devices apart, and forgives nonsense', () => {
  const store = page()
  store.dispatch({ type: 'queued', chat: 'c1', item: item('a') })
  const other = new Store()
  keepQueues(other)
  other.dispatch({ type: 'opened', node: { ...node, device: 'dev-other' }, chats: [chat()], asOf: 0, read: {}, at: 0 })
  expect(keys(other)).toEqual([])
  for (const kept of Object.keys(sessionStorage)) sessionStorage.setItem(kept, '[1, {"key": 2}, null')
  expect(keys(page())).toEqual([])
})

it('keeps what waits over a lock of the node', () => {
  const store = page()
  store.dispatch({ type: 'queued', chat: 'c1', item: item('a') })
  store.dispatch({ type: 'passphrase' })
  expect(store.get().rooms).toEqual({})
  store.dispatch({ type: 'opened', node, chats: [chat()], asOf: 0, read: {}, at: 0 })
  expect(keys(store)).toEqual(['a'])
})
