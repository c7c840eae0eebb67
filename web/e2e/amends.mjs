// Two members change what was said: edits, reactions, deletions, the timer, and the code of the epoch, on three real nodes.
import assert from 'node:assert/strict'
import { axe } from './axe.mjs'
import { member, until } from './member.mjs'

const SOON_MS = 20_000

const log = (page) => page.getByRole('log', { name: 'Messages' })
const composer = (page) => page.getByRole('textbox', { name: 'Message', exact: true })
const row = (page, text) => log(page).locator('.message', { hasText: text })

async function say(page, text) {
  await composer(page).fill(text)
  await composer(page).press('Enter')
}

async function open(browser, url, name, watch) {
  const context = await browser.newContext({ viewport: { width: 1280, height: 800 } })
  const page = await context.newPage()
  page.setDefaultTimeout(SOON_MS)
  watch(page, name)
  await page.goto(url)
  return page
}

async function details(page) {
  await page.getByRole('button', { name: 'More', exact: true }).click()
  await page.getByRole('menuitem', { name: 'Chat details' }).click()
  await page.getByRole('heading', { name: 'End-to-end encrypted' }).waitFor()
}

const code = async (page) => (await page.getByRole('group', { name: 'Code of this epoch' }).textContent())?.trim()

async function closeDetails(page) {
  await page.keyboard.press('Escape')
  await page.getByRole('heading', { name: 'End-to-end encrypted' }).waitFor({ state: 'detached' })
}

/** Everybody in, and the chat live: by the API, for the page's part of it is tested elsewhere. */
async function started(nodes) {
  const alice = member(nodes.urls.alice)
  await until('three members', async () => (await alice.call('GET', '/chats')).chats[0]?.members.length === 3)
  const [{ id }] = (await alice.call('GET', '/chats')).chats
  await alice.call('POST', `/chats/${id}/start`)
  await until('the chat is live', async () => (await member(nodes.urls.bob).call('GET', `/chats/${id}`)).phase === 'live')
  return id
}

export async function amends({ browser, nodes, watch, step }) {
  const id = await started(nodes)
  const alice = await open(browser, nodes.urls.alice, 'alice', watch)
  const bob = await open(browser, nodes.urls.bob, 'bob', watch)
  for (const page of [alice, bob]) await composer(page).waitFor()

  step('amends: Arrow-Up edits the last message, and both see it')
  await say(bob, 'helo')
  await row(alice, 'helo').waitFor()
  await row(bob, 'helo').getByRole('button', { name: /^settled/ }).waitFor()
  await composer(bob).press('ArrowUp')
  const changed = bob.getByRole('textbox', { name: 'New text of the message' })
  assert.equal(await changed.inputValue(), 'helo')
  await changed.fill('hello <b>all</b>')
  await changed.press('Enter')
  for (const page of [alice, bob]) {
    await row(page, 'hello <b>all</b>').getByText('edited', { exact: true }).waitFor()
    assert.equal(await log(page).locator('.text b').count(), 0, 'an edit became markup')
  }
  await composer(bob).waitFor()

  step('amends: a reaction by keyboard, and one by a click on it')
  await log(alice).focus()
  await alice.keyboard.press('ArrowUp')
  await alice.keyboard.press('+')
  await alice.getByRole('button', { name: 'Celebration' }).click()
  const cheers = row(bob, 'hello').getByRole('button', { name: '🎉 1 by alice' })
  await cheers.waitFor()
  await cheers.click()
  await row(alice, 'hello').getByRole('button', { name: '🎉 2 by you and bob' }).waitFor()
  await row(bob, 'hello').hover()
  await row(bob, 'hello').getByRole('button', { name: 'React' }).click()
  await bob.getByRole('textbox', { name: 'Another emoji' }).fill('🏳️‍🌈')
  assert.deepEqual(await axe(bob, 'picker'), [])
  await bob.keyboard.press('Enter')
  await row(alice, 'hello').getByRole('button', { name: '🏳️‍🌈 1 by bob' }).waitFor()
  await row(bob, 'hello').getByRole('button', { name: '🏳️‍🌈 1 by you' }).click()
  await row(alice, 'hello').getByRole('button', { name: '🏳️‍🌈 1 by bob' }).waitFor({ state: 'detached' })
  assert.deepEqual(await axe(alice, 'reactions'), [])

  step('amends: no emoji is refused in words')
  await row(bob, 'hello').hover()
  await row(bob, 'hello').getByRole('button', { name: 'React' }).click()
  await bob.getByRole('textbox', { name: 'Another emoji' }).fill('<i>')
  await bob.keyboard.press('Enter')
  await bob.getByText('This is no emoji to react with').waitFor()

  step('amends: a deletion asks first, and leaves a quiet place')
  await say(bob, 'said too early')
  await row(alice, 'said too early').waitFor()
  await row(bob, 'said too early').hover()
  await row(bob, 'said too early').getByRole('button', { name: 'Delete' }).click()
  await bob.getByRole('button', { name: 'Keep it' }).click()
  await row(bob, 'said too early').waitFor()
  await row(bob, 'said too early').hover()
  await row(bob, 'said too early').getByRole('button', { name: 'Delete' }).click()
  assert.deepEqual(await axe(bob, 'delete'), [])
  await bob.getByRole('dialog').getByRole('button', { name: 'Delete', exact: true }).click()
  for (const page of [alice, bob]) {
    await log(page).getByText('Message deleted').waitFor()
    assert.equal(await row(page, 'said too early').count(), 0)
  }

  step('amends: the code of the epoch is the same on both screens')
  for (const page of [alice, bob]) await details(page)
  await until('equal codes', async () => (await code(alice)) === (await code(bob)))
  assert.match(await code(alice) ?? '', /^\d{5}( \d{5}){5}$/)
  await alice.getByText('post-quantum hybrid').waitFor()
  assert.deepEqual(await axe(alice, 'details of the founder'), [])
  assert.deepEqual(await axe(bob, 'details of a member'), [])
  assert.equal(await bob.getByRole('combobox').count(), 0, 'a member is offered to change the rules')
  await closeDetails(bob)

  step('amends: the timer, the title and a role')
  await alice.getByRole('combobox', { name: 'Messages disappear' }).selectOption({ label: 'After 1 day' })
  await bob.getByText('Messages disappear after 1 day').waitFor({ state: 'attached' })
  await alice.getByRole('textbox', { name: 'Title' }).fill('Ridge & <b>lake</b>')
  await alice.getByRole('button', { name: 'Save', exact: true }).click()
  await bob.getByRole('heading', { name: 'Ridge & <b>lake</b>', level: 1 }).waitFor()
  await alice.getByRole('button', { name: 'What to do with bob' }).click()
  await alice.getByRole('menuitem', { name: 'Make admin' }).click()
  await until('bob is an admin', async () => (await member(nodes.urls.bob).call('GET', `/chats/${id}`)).members.some((one) => one.name === 'bob' && one.role === 'admin'))
  await closeDetails(alice)
  await say(alice, 'gone tomorrow')
  const stays = row(bob, 'gone tomorrow').locator('time')
  await stays.waitFor()
  await until('it says when it goes', async () => /Disappears in (?:1 day|23 hours)/.test(await stays.getAttribute('title') ?? ''))
  await details(bob)
  await bob.getByRole('combobox', { name: 'Messages disappear' }).waitFor()
  await closeDetails(bob)

  step('amends: what disappears is gone from both screens')
  await member(nodes.urls.alice).call('PATCH', `/chats/${id}`, { settings: { disappear_after_s: 2 } })
  await bob.getByText('Messages disappear after 2 seconds').waitFor({ state: 'attached' })
  await say(bob, 'a secret for two seconds')
  for (const page of [alice, bob]) await log(page).getByText('Message disappeared').waitFor()
  for (const page of [alice, bob]) assert.equal(await row(page, 'a secret').count(), 0)

  step('amends: all of it is there after a reload')
  await bob.reload()
  await row(bob, 'hello <b>all</b>').getByText('edited', { exact: true }).waitFor()
  await row(bob, 'hello').getByRole('button', { name: '🎉 2 by alice and you' }).waitFor()
  assert.equal(await log(bob).getByText(/^Message (?:deleted|disappeared)$/).count(), 2)
}
