// A hostile member and hostile pages against real nodes. Everything a peer can write is shown as characters: no script
// runs, nothing is fetched from elsewhere, the page's policy is never even tried. Other pages learn and do nothing.
import assert from 'node:assert/strict'
import { attackBites, hostilePages } from './attack.mjs'
import { member, until } from './member.mjs'
import { EMOJI, PASTED, short, TEXTS } from './payloads.mjs'

const SOON_MS = 20_000
const TITLES = 12
const NAMES = 12
const EDITS = 24

/** Notes what a page must never do, beside the errors that `watch` notes. */
async function guard(page, origin, problems) {
  page.on('dialog', (dialog) => { problems.push(`a dialog opened: ${dialog.message()}`); void dialog.dismiss() })
  page.on('popup', (popup) => problems.push(`a window opened: ${popup.url()}`))
  page.on('request', (request) => {
    if (!request.url().startsWith(`${origin}/`) && !/^(?:data|blob):/.test(request.url())) problems.push(`asked for ${request.url()}`)
  })
  page.on('websocket', (socket) => {
    if (!socket.url().startsWith(`${origin.replace('http', 'ws')}/`)) problems.push(`a socket to ${socket.url()}`)
  })
  page.on('framenavigated', (frame) => {
    if (!frame.url().startsWith(`${origin}/`) && frame.url() !== 'about:blank') problems.push(`went to ${frame.url()}`)
  })
  await page.addInitScript(() => {
    document.addEventListener('securitypolicyviolation', (event) => console.error(`policy violation: ${event.violatedDirective} ${event.blockedURI}`))
  })
}

/** What of the page is not as the interface makes it. */
const strange = () => {
  const found = []
  if (window.owned !== undefined || Object.prototype.owned !== undefined) found.push('a script ran')
  for (const element of document.querySelectorAll('*')) {
    const name = element.localName
    if (['iframe', 'object', 'embed', 'base', 'portal', 'template', 'style', 'video', 'audio', 'marquee', 'math', 'frameset'].includes(name)) found.push(`there is a <${name}>`)
    if (name === 'script' && new URL(element.src).origin !== location.origin) found.push(`a script from ${element.src}`)
    for (const attribute of element.attributes) {
      if (attribute.name.startsWith('on')) found.push(`<${name} ${attribute.name}>`)
      if (['href', 'src', 'action', 'formaction', 'data', 'srcdoc'].includes(attribute.name) && /^\s*(?:javascript|vbscript|file|data:text)/i.test(attribute.value)) found.push(`<${name} ${attribute.name}=${attribute.value}>`)
    }
  }
  for (const text of document.querySelectorAll('.text, .quote-text, bdi, h1, .toast-words')) {
    for (const inside of text.querySelectorAll('*')) {
      const link = inside.localName === 'a' && /^(?:https?|mailto):/.test(inside.href) && inside.rel === 'noreferrer noopener' && inside.target === '_blank'
      if (!link && !['bdi', 'span', 'strong', 'p'].includes(inside.localName)) found.push(`<${inside.localName}> within a text`)
    }
  }
  if (document.documentElement.scrollWidth > document.documentElement.clientWidth) found.push(`the page is ${document.documentElement.scrollWidth} wide`)
  return [...new Set(found)]
}

async function harmless(page, where) {
  assert.deepEqual(await page.evaluate(strange), [], where)
}

/** As the page shows a text: without overrides and controls. */
const shown = (text) => text.replace(/[\u202A-\u202E]/gu, '').replace(/[^\P{Cc}\n\t]/gu, '').trim()

/** What a member makes of a message that is there: other texts, and reactions. */
async function hostileAmends({ page, bob, id, step }) {
  step(`hostile: one message is edited ${EDITS} times`)
  const { id: sent } = await bob.call('POST', `/chats/${id}/messages`, { text: 'to be edited' })
  const row = page.locator(`[data-message="${sent}"]`)
  await row.waitFor()
  for (const text of short(200).filter((one) => /^[ -~]+$/.test(one)).slice(0, EDITS)) {
    await bob.call('PATCH', `/chats/${id}/messages/${sent}`, { text })
    await until(`the edit ${text}`, async () => shown(await row.locator('.text').textContent() ?? '') === shown(text))
    await harmless(page, `the edit ${text}`)
  }

  step(`hostile: ${EMOJI.length} reactions that are none`)
  const taken = []
  for (const emoji of EMOJI) {
    const path = `/chats/${id}/messages/${sent}/reactions/${encodeURIComponent(emoji)}`
    if (await bob.call('PUT', path).then(() => true, () => false)) taken.push(emoji)
  }
  assert.ok(taken.length >= 5, `only ${taken} were taken`)
  await until('the reactions are shown', async () => (await row.locator('.reaction').count()) === taken.length)
  await harmless(page, 'reactions')
  const wide = await row.locator('.reaction').evaluateAll((all) => Math.max(...all.map((one) => one.getBoundingClientRect().width)))
  assert.ok(wide < 200, `a reaction is ${wide} wide`)
  await bob.call('DELETE', `/chats/${id}/messages/${sent}`)
  await row.getByText('Message deleted').waitFor()
  assert.equal(await row.locator('.text, .reaction').count(), 0, 'something of a deleted message is left')
}

/** An admin's titles and the details of a chat whose members' names are hostile. */
async function hostileTitles({ page, alice, bob, id, step }) {
  step(`hostile: ${TITLES} new titles of a chat, and its details`)
  const { account } = await bob.call('GET', '/node')
  await alice.call('PUT', `/chats/${id}/members/${account}/role`, { role: 'admin' })
  await until('bob is an admin', async () => (await bob.call('GET', `/chats/${id}`)).members.some((one) => one.account === account && one.role === 'admin'))
  await page.getByRole('button', { name: 'More', exact: true }).click()
  await page.getByRole('menuitem', { name: 'Chat details' }).click()
  await page.getByRole('heading', { name: 'End-to-end encrypted' }).waitFor()
  for (const title of short(100).filter((text) => /^[ -~]+$/.test(text)).slice(0, TITLES)) {
    await bob.call('PATCH', `/chats/${id}`, { title })
    await until(`the title ${title}`, async () => (await page.getByRole('textbox', { name: 'Title' }).inputValue()) === title)
    await harmless(page, `the title ${title}`)
  }
  await page.keyboard.press('Escape')
}

async function hostileMember({ browser, nodes, watch, step, problems }) {
  const alice = member(nodes.urls.alice)
  const bob = member(nodes.urls.bob)
  const context = await browser.newContext({ viewport: { width: 1280, height: 800 } })
  const page = await context.newPage()
  page.setDefaultTimeout(SOON_MS)
  watch(page, 'alice')
  await guard(page, alice.origin, problems)
  await page.goto(nodes.urls.alice)

  step('hostile: everybody is in')
  await until('three members', async () => (await alice.call('GET', '/chats')).chats[0]?.members.length === 3)
  const [{ id }] = (await alice.call('GET', '/chats')).chats
  await alice.call('POST', `/chats/${id}/start`)
  await until('the chat is live', async () => (await bob.call('GET', `/chats/${id}`)).phase === 'live')
  await page.getByRole('textbox', { name: 'Message', exact: true }).waitFor()

  step(`hostile: ${TEXTS.length} messages, each answered by a reply`)
  assert.ok(TEXTS.length >= 100)
  for (const text of TEXTS) {
    const { id: sent } = await bob.call('POST', `/chats/${id}/messages`, { text })
    if (TEXTS.indexOf(text) % 8 === 0) await bob.call('POST', `/chats/${id}/messages`, { text: `re: ${text}`, reply_to: sent })
  }
  const last = 'the last of them'
  await bob.call('POST', `/chats/${id}/messages`, { text: last })
  await page.getByRole('log').getByText(last, { exact: true }).waitFor()
  await harmless(page, 'messages, as they came')

  step('hostile: they are characters, all of them, after a reload too')
  await page.reload()
  await page.getByRole('log').getByText(last, { exact: true }).waitFor()
  const seen = new Set()
  await until('every text is shown', async () => {
    for (const text of await page.locator('.text').evaluateAll((all) => all.map((one) => one.textContent))) seen.add(shown(text ?? ''))
    await harmless(page, 'messages, as a page of them')
    await page.locator('[data-message]').first().scrollIntoViewIfNeeded()
    await page.mouse.move(640, 400)
    await page.mouse.wheel(0, -2000)
    return TEXTS.every((text) => seen.has(shown(text)) || /xn--|а/.test(text))
  })

  await hostileAmends({ page, bob, id, step })

  step(`hostile: ${NAMES} names`)
  for (const name of short(64).slice(0, NAMES)) {
    await bob.call('PATCH', '/node', { name })
    await until(`the name ${name}`, async () => (await alice.call('GET', `/chats/${id}`)).members.some((one) => one.name === name))
    await bob.call('POST', `/chats/${id}/typing`)
    await bob.call('POST', `/chats/${id}/messages`, { text: `now I am ${name}` })
    await page.getByRole('log').getByText(`now I am ${name}`, { exact: true }).first().waitFor()
    await harmless(page, `the name ${name}`)
  }

  await hostileTitles({ page, alice, bob, id, step })

  step(`hostile: ${TITLES} titles`)
  for (const title of short(100).filter((text) => /^[ -~]+$/.test(text)).slice(-TITLES)) {
    const begin = title.slice(0, 30) // long ones are cut
    const chat = await bob.call('POST', '/chats', { title })
    const { link } = await bob.call('POST', `/chats/${chat.id}/invites`)
    await alice.call('POST', '/joins', { link })
    await until(`the chat ${title}`, async () => (await alice.call('GET', '/chats')).chats.some((one) => one.id === chat.id))
    await page.locator('.list-item', { hasText: begin }).first().click()
    await page.getByRole('heading', { name: begin }).first().waitFor()
    await harmless(page, `the title ${title}`)
  }

  step('hostile: what one is talked into pasting, and the words of errors')
  await page.getByRole('button', { name: /new chat|join/i }).first().click()
  for (const pasted of PASTED) {
    const field = page.getByLabel('Invite link, or address')
    await field.fill(pasted)
    await page.getByRole('button', { name: 'Join', exact: true }).click()
    const again = page.getByRole('button', { name: /Try something else|Stop waiting/ })
    await Promise.race([again.waitFor(), page.locator('.toast').first().waitFor()])
    await harmless(page, `pasted ${pasted}`)
    if (await again.isVisible()) await again.click()
  }
  await page.close()
  await context.close()
}

/** The guards themselves: a page that does what it must not is caught, and an open server gives everything away. */
async function guardsBite({ browser, nodes, watch, step }) {
  step('hostile: the guards see what they are there for')
  const alice = member(nodes.urls.alice)
  const problems = []
  const page = await browser.newPage()
  watch(page, 'planted', problems)
  await guard(page, alice.origin, problems)
  await page.goto(nodes.urls.alice)
  await page.locator('h1, nav').first().waitFor()
  await page.evaluate((elsewhere) => {
    const image = document.createElement('img')
    image.src = elsewhere
    const link = document.createElement('a')
    link.href = 'javascript:window.owned=1'
    try { link.setAttribute('onclick', 'window.owned=1') } catch { /* trusted types */ }
    document.body.append(image, link, document.createElement('iframe'))
    try { document.body.innerHTML += '<b>x</b>' } catch { /* trusted types */ }
    link.click()
  }, 'http://elsewhere.invalid/planted.png')
  await until('the policy is seen at work', () => Promise.resolve(problems.some((one) => /policy|violat/i.test(one))))
  const found = await page.evaluate(strange)
  for (const wanted of ['<a href=javascript', 'there is a <iframe>']) assert.ok(found.some((one) => one.startsWith(wanted)), `missed ${wanted} in ${found}`)
  assert.ok(!found.includes('a script ran'), 'the policy let a script run')
  await page.close()
}

export async function hostile(world) {
  await guardsBite(world)
  await attackBites(world)
  const problems = []
  await hostileMember({ ...world, problems })
  assert.deepEqual([...new Set(problems)], [], 'the page did what it must not')
  await hostilePages(world)
}
