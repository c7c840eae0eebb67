// Pages of other origins against a node on the same machine: they read nothing and change nothing.
import assert from 'node:assert/strict'
import { createServer } from 'node:http'
import { launch } from './browser.mjs'
import { member } from './member.mjs'

const SOON_MS = 20_000

/** Serves on a free port of this machine. */
async function serve(answer) {
  const server = createServer(answer)
  await new Promise((resolve) => { server.listen(0, '127.0.0.1', resolve) })
  return { port: server.address().port, close: () => server.close() }
}

const serveAttack = (target) => serve((_request, answer) => answer.setHeader('Content-Type', 'text/html').end(attack(target)))

/** A page of another origin, which tries what pages can try and tells what it got. */
const attack = (target) => `<!doctype html><meta charset=utf-8><title>a page about cats</title>
<img src="${target}/api/v1/chats" onload="got.push('an image')"><img src="${target}/icon.svg" onload="got.push('the icon')">
<script>var got = []</script><script src="${target}/assets/app.js" onload="got.push('a script')"></script>
<script src="${target}/api/v1/contact" onload="got.push('a contact script')"></script><link rel=stylesheet href="${target}/assets/app.css" onload="got.push('a style')">
<iframe src="${target}/" name=frame></iframe><iframe name=sink></iframe>
${['/chats', '/joins', '/shutdown', '/session'].map((path) => `<form target=sink method=post enctype=text/plain action="${target}/api/v1${path}"><input name='{"title":"forged","address":"localhost:1","code":"x","a":"' value='"}'></form>`).join('')}
<script type=module>
const base = '${target}/api/v1'
for (const path of ['/node', '/chats', '/contact', '/session', '/openapi.json', '/../../healthz', '/../../'])
  for (const mode of ['cors', 'no-cors'])
    try {
      const answer = await fetch(base + path, { mode, credentials: 'include' })
      const text = await answer.text()
      if (text !== '') got.push(mode + ' ' + path + ': ' + text.slice(0, 60))
    } catch {}
for (const [path, init] of [['/shutdown', {}], ['/chats', { body: '{"title":"forged"}', headers: { 'Content-Type': 'application/json' } }], ['/chats', { body: '{"title":"forged"}', mode: 'no-cors' }], ['/session', { body: '{"code":"x"}', mode: 'no-cors' }]])
  try { const answer = await fetch(base + path, { method: 'POST', ...init }); got.push('POST ' + path + ' ' + answer.status + answer.type); if (answer.type === 'opaque') got.pop() } catch {}
navigator.sendBeacon(base + '/shutdown', 'x')
for (const form of document.forms) form.submit()
for (const protocols of [[], ['demes.v1'], ['demes.v1', 'token.AAAA']])
  await new Promise((done) => {
    const socket = new WebSocket(base.replace('http', 'ws') + '/live', protocols)
    socket.onopen = () => { got.push('a socket'); done() }
    socket.onerror = () => done()
  })
await new Promise((done) => setTimeout(done, 500))
try { if (frames.frame.document) got.push('the frame') } catch {}
try { if (frames.frame.length > 0) got.push('a frame within the frame') } catch {}
window.result = got
</script>`

export async function hostilePages({ nodes, step }) {
  const alice = member(nodes.urls.alice)
  const { port } = new URL(alice.origin)
  const before = (await alice.call('GET', '/chats')).chats.length
  const site = await serveAttack(alice.origin)
  // evil.example stands for a name that was rebound to this machine.
  const browser = await launch('--host-resolver-rules=MAP evil.example 127.0.0.1, MAP rebound.example 127.0.0.1')
  try {
    const page = await browser.newPage()
    page.setDefaultTimeout(SOON_MS)
    for (const host of ['evil.example', '127.0.0.1', 'localhost']) {
      step(`hostile: a page at ${host} tries what pages can`)
      await page.goto(`http://${host}:${site.port}/`)
      await page.waitForFunction(() => window.result !== undefined)
      assert.deepEqual(await page.evaluate(() => window.result), [], `a page at ${host} got something`)
      const framed = page.frames().find((frame) => frame.name() === 'frame')
      assert.equal(await framed?.locator('#root').count().catch(() => 0), 0, 'the interface is shown in a frame')
    }
    step('hostile: names that were rebound to this machine')
    for (const host of ['rebound.example', '0.0.0.0', 'evil.example']) {
      const answer = await page.goto(`http://${host}:${port}/`).catch(() => null)
      if (answer === null) continue // the browser itself refuses
      assert.equal(answer.status(), 421, `${host} got an answer`)
      const inside = await page.evaluate(async () => {
        const all = []
        for (const path of ['/', '/api/v1/contact', '/api/v1/node', '/api/v1/session', '/healthz', '/api/v1/openapi.json']) all.push((await fetch(path)).status)
        return all
      })
      assert.deepEqual([...new Set(inside)], [421], `${host} got ${inside}`)
    }
  } finally {
    await browser.close()
    site.close()
  }
  const chats = (await alice.call('GET', '/chats')).chats
  assert.equal(chats.length, before, 'a page changed something')
  assert.equal(chats.filter((chat) => chat.title === 'forged').length, 0, 'a page founded a chat')
}

/** The attack itself: an open server gives everything away. */
export async function attackBites({ browser }) {
  const open = await serve((request, answer) => {
    answer.setHeader('Access-Control-Allow-Origin', request.headers.origin ?? '*').setHeader('Access-Control-Allow-Credentials', 'true')
    answer.setHeader('Content-Type', request.url.endsWith('.js') ? 'text/javascript' : 'text/html').end('1')
  })
  const site = await serveAttack(`http://127.0.0.1:${open.port}`)
  const page = await browser.newPage()
  await page.goto(`http://127.0.0.1:${site.port}/`)
  await page.waitForFunction(() => window.result !== undefined)
  assert.ok((await page.evaluate(() => window.result)).length > 5, 'the attack finds nothing where everything is open')
  await page.close()
  open.close()
  site.close()
}
