// The classic workflow in three browsers: lobby, start, talk, the host is killed, the talk goes on.
import assert from 'node:assert/strict'
import { axe } from './axe.mjs'

const SOON_MS = 15_000
/** Members tell now and then how far they hold the chat. */
const HELD_MS = 10_000

const log = (page) => page.getByRole('log', { name: 'Messages' })
const says = (page, text) => log(page).getByText(text, { exact: true })
const composer = (page) => page.getByRole('textbox', { name: 'Message', exact: true })

async function say(page, text) {
  await composer(page).fill(text)
  await composer(page).press('Enter')
}

/** The texts of a page's messages, top to bottom. */
const texts = (page) => log(page).locator('.text').allTextContents()

async function allSee(pages, text) {
  await Promise.all(pages.map((page) => says(page, text).waitFor({ timeout: SOON_MS })))
}

/** The host's name, as a page's header says it. */
async function hostOn(page, name) {
  const words = await page.locator('.bar-sub').textContent()
  const [, host] = /^(.+?) (?:hosts?|relays?)\b/.exec(words ?? '') ?? []
  return host === 'You' ? name : host
}

async function openAll(browser, nodes, watch) {
  const pages = {}
  for (const [name, url] of Object.entries(nodes.urls)) {
    const context = await browser.newContext({ viewport: { width: 1280, height: 800 } })
    const page = await context.newPage()
    page.setDefaultTimeout(SOON_MS)
    watch(page, name)
    await page.goto(url)
    pages[name] = page
  }
  return pages
}

/** Alice has a lobby with the others in it; each opens it. */
async function toLobby(pages, nodes) {
  const { alice, ...others } = pages
  if (nodes.needsAdmission) {
    await alice.getByLabel('Name of the chat').fill('Trio')
    await alice.getByRole('button', { name: 'Open the lobby' }).click()
    await alice.getByRole('button', { name: 'Start chat' }).waitFor()
    for (const page of Object.values(others)) {
      await page.getByLabel('Invite link, or address').fill(new URL(nodes.urls.alice).host)
      await page.getByRole('button', { name: 'Join', exact: true }).click()
      await alice.getByRole('button', { name: /^Admit/ }).click()
      await page.getByText('to start the chat').waitFor()
    }
    return
  }
  for (const page of Object.values(pages)) await page.locator('.list-item').first().click()
  await alice.locator('.qr').waitFor()
}

export async function workflow({ browser, nodes, watch, step }) {
  const pages = await openAll(browser, nodes, watch)
  const all = Object.values(pages)

  step('the address keeps no secret')
  for (const page of all) await page.waitForFunction(() => location.hash === '')

  step('a lobby with three')
  await toLobby(pages, nodes)
  await pages.alice.getByRole('heading', { name: '3 here' }).waitFor()
  assert.deepEqual(await axe(pages.alice, 'lobby'), [])

  step('start')
  await pages.alice.getByRole('button', { name: 'Start chat' }).click()
  for (const page of all) await composer(page).waitFor()

  step('everybody talks, everybody sees it')
  for (const [name, page] of Object.entries(pages)) {
    await say(page, `hello from ${name}`)
    await allSee(all, `hello from ${name}`)
  }
  for (const page of all) await page.getByRole('button', { name: /^settled/ }).first().waitFor()
  // Looked at in the background: that the members' marks are slow must not hide what comes after.
  const held = Promise.all(
    Object.entries(pages).map(([name, page]) =>
      page.getByRole('button', { name: /^settled · 3 of 3/ }).first().waitFor({ timeout: HELD_MS }).then(
        () => null,
        () => `${name}'s message was never shown as held by 3 of 3`,
      ),
    ),
  ).then((said) => said.filter((words) => words !== null))
  assert.deepEqual(await axe(pages.bob, 'chat'), [])

  step('a reply, and text that looks like markup')
  await log(pages.bob).locator('.message', { hasText: 'hello from alice' }).hover()
  await log(pages.bob).getByRole('button', { name: 'Reply to alice' }).first().click()
  await say(pages.bob, '<img src=x onerror=alert(1)> **hi**')
  await allSee(all, '<img src=x onerror=alert(1)> **hi**')
  await pages.carol.locator('.quote').getByText('hello from alice').waitFor()
  assert.equal(await pages.carol.locator('.text img').count(), 0, 'peer text became an element')

  step('all agree on the host')
  const hosts = await Promise.all(Object.entries(pages).map(([name, page]) => hostOn(page, name)))
  assert.equal(new Set(hosts).size, 1, `the pages name different hosts: ${hosts}`)
  const [host] = hosts

  step(`${host} hosts and is killed`)
  const survivors = Object.fromEntries(Object.entries(pages).filter(([name]) => name !== host))
  const living = Object.values(survivors)
  nodes.kill(host)
  await say(living[0], 'said right after the kill')
  await allSee(living, 'said right after the kill')
  for (const [name, page] of Object.entries(survivors)) {
    const news = log(page).locator('.notice', { hasText: host }).filter({ hasNotText: `${host} hosts now` })
    await news.getByText(/(host|relay)s? now/).first().waitFor()
    const next = await hostOn(page, name)
    assert.notEqual(next, host, `${name} still names ${host} as host`)
  }
  await pages[host].getByText('Your node does not answer').waitFor()

  step('the talk goes on and is settled')
  await say(living[1], 'still here')
  await allSee(living, 'still here')
  await log(living[1]).locator('.message', { hasText: 'still here' }).getByRole('button', { name: /^settled/ }).waitFor()

  step('the composer of the dead node refuses nothing')
  await say(pages[host], 'typed while my node was gone')
  await log(pages[host]).locator('.is-pending').getByText('typed while my node was gone').waitFor()

  step('one order for all, nothing twice')
  const [first, second] = await Promise.all(living.map(texts))
  assert.deepEqual(first, second, 'the survivors show different orders')
  assert.equal(new Set(first).size, first.length, `a message is shown twice: ${first}`)
  assert.equal(first.length, 6, `a message is missing: ${first}`)

  step('everybody holds what was said')
  assert.deepEqual(await held, [])

  if (nodes.restart === undefined) return
  step(`${host}'s node is started again; its new address goes into the same tab, which was reloaded`)
  const address = await nodes.restart(host)
  await pages[host].getByRole('heading', { name: 'This page needs its key' }).waitFor()
  await pages[host].reload()
  await pages[host].evaluate((hash) => { location.hash = hash }, new URL(address).hash)
  await allSee(all, 'typed while my node was gone')
  await log(pages[host]).locator('.message', { hasText: 'typed while my node was gone' }).getByRole('button', { name: /^settled/ }).waitFor()
  await pages[host].waitForFunction(() => location.hash === '')
  const [back, other] = await Promise.all([pages[host], living[0]].map(texts))
  assert.deepEqual(back, other, 'the returned node shows another order')
}
