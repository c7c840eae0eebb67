// A member as a script: its node's API, and waiting for what it brings.
import assert from 'node:assert/strict'

const SOON_MS = 20_000

/** What a member can do with its own node's API. */
export function member(url) {
  const { origin, hash } = new URL(url)
  const headers = { Authorization: `Bearer ${hash.slice('#token='.length)}`, 'Content-Type': 'application/json' }
  const call = async (method, path, body) => {
    const answer = await fetch(`${origin}/api/v1${path}`, { method, headers, ...(body === undefined ? {} : { body: JSON.stringify(body) }) })
    assert.ok(answer.ok, `${method} ${path} ${JSON.stringify(body)}: ${answer.status} ${answer.ok ? '' : await answer.text()}`)
    const text = await answer.text()
    return text === '' ? undefined : JSON.parse(text)
  }
  return { origin, call }
}

export async function until(what, holds) {
  const end = Date.now() + SOON_MS
  while (Date.now() < end) {
    if (await holds()) return
    await new Promise((resolve) => setTimeout(resolve, 100))
  }
  throw new Error(`waited in vain: ${what}`)
}
