// Takes pictures of every screen from simulated nodes, wide and narrow, light and dark, and runs axe on each:
// `npm run shots -- /tmp/shots [only]`.
import { mkdirSync } from 'node:fs'
import { axe } from './axe.mjs'
import { launch, watch } from './browser.mjs'
import { fakeNodes } from './nodes.mjs'

const folder = process.argv[2] ?? '/tmp/shots'
const only = process.argv[3] ?? ''
mkdirSync(folder, { recursive: true })

const SIZES = { wide: { width: 1280, height: 800 }, narrow: { width: 360, height: 740 } }
const NAMES = ['alice', 'bob', 'carol', 'dmitri', 'Esra']
const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms))
/** A node's only chat is open already. */
async function openChat(page) {
  if (await page.getByRole('heading', { level: 1, name: 'Saturday hike' }).isVisible()) return
  await page.getByRole('button', { name: /Saturday hike/ }).click()
}

/** Each shot: the scene, who looks, and what is done before the picture. */
const SHOTS = {
  welcome: { scene: 'empty', who: 'alice', act: async () => {} },
  joining: {
    scene: 'lobby-empty', who: 'bob',
    act: async (page) => {
      await page.getByLabel('Invite link, or address').fill('localhost:4999')
      await page.getByRole('button', { name: 'Join' }).click()
      await page.getByText('Addresses tried').waitFor()
    },
  },
  lobby: {
    scene: 'lobby', who: 'alice',
    act: async (page) => { await openChat(page); await page.getByText('knocking').waitFor(); await page.locator('.qr').waitFor() },
  },
  'lobby-guest': { scene: 'lobby', who: 'bob', act: openChat },
  chat: { scene: 'chat', who: 'alice', act: async (page) => { await openChat(page); await page.getByRole('log').getByText('See you there').waitFor() } },
  'chat-list': { scene: 'chat', who: 'alice', act: async () => {} },
  held: {
    scene: 'chat', who: 'alice',
    act: async (page) => { await openChat(page); await page.getByRole('button', { name: /settled/ }).last().click(); await page.getByText('has it').first().waitFor() },
  },
  panel: {
    scene: 'chat', who: 'carol',
    act: async (page, size) => { await openChat(page); if (size === 'narrow') await page.getByRole('button', { name: 'Members and host' }).click(); await page.getByText('Host and succession').first().waitFor(); await pause(600) },
  },
  invite: { scene: 'chat', who: 'alice', act: async (page) => { await openChat(page); await page.getByRole('button', { name: 'Invite' }).click(); await page.locator('.qr').waitFor() } },
  shortcuts: { scene: 'chat', who: 'alice', act: async (page) => { await openChat(page); await page.keyboard.press('Control+/') } },
  switcher: { scene: 'chat', who: 'alice', act: async (page) => { await openChat(page); await page.keyboard.press('Control+k') } },
  handover: {
    scene: 'chat', who: 'alice',
    act: async (page, _size, nodes) => {
      await openChat(page)
      await page.getByRole('log').getByText('See you there').waitFor()
      nodes.say('away dmitri'); nodes.say('away bob')
      await page.getByText(/hosts? now/).first().waitFor()
      await page.getByLabel('Message', { exact: true }).fill('Did somebody just take over? I noticed nothing')
      await page.keyboard.press('Enter')
      await page.getByRole('button', { name: /sent|settled/ }).last().waitFor()
      await pause(500)
    },
  },
  provisional: {
    scene: 'chat', who: 'alice',
    act: async (page, _size, nodes) => {
      await openChat(page)
      await page.getByRole('log').getByText('See you there').waitFor()
      for (const name of ['bob', 'carol', 'dmitri']) nodes.say(`away ${name}`)
      await page.locator('.banner-warn').waitFor()
      await pause(900)
      nodes.say('say Esra The train is late, 20 minutes')
      await page.getByLabel('Message', { exact: true }).fill('No hurry. I hold a seat for everybody.')
      await page.keyboard.press('Enter')
      await pause(700)
    },
  },
  lost: {
    scene: 'chat', who: 'alice',
    act: async (page, _size, nodes) => {
      await openChat(page)
      await page.getByRole('log').getByText('See you there').waitFor()
      nodes.kill('alice')
      await page.getByText('does not answer').waitFor()
      await page.getByLabel('Message', { exact: true }).fill('Typed while my node was gone')
      await page.keyboard.press('Enter')
    },
  },
  leave: { scene: 'chat', who: 'alice', act: async (page) => { await openChat(page); await page.getByRole('button', { name: 'More' }).click(); await page.getByText('Leave the chat').click(); await page.getByRole('button', { name: 'Stay' }).waitFor() } },
}

const browser = await launch()
const problems = []
let port = 4400
for (const [name, shot] of Object.entries(SHOTS).filter(([each]) => each.startsWith(only))) {
  for (const [size, viewport] of Object.entries(SIZES)) {
    for (const colorScheme of ['light', 'dark']) {
      const nodes = await fakeNodes(shot.scene.replace('lobby-empty', 'empty'), NAMES, (port += 10))
      const context = await browser.newContext({ viewport, colorScheme, deviceScaleFactor: size === 'narrow' ? 2 : 1, hasTouch: size === 'narrow' })
      const page = await context.newPage()
      const title = `${name}-${size}-${colorScheme}`
      watch(page, title, problems)
      try {
        await page.goto(nodes.urls[shot.who])
        await page.locator('h1:visible, nav:visible').first().waitFor({ timeout: 5000 })
        page.setDefaultTimeout(6000)
        await shot.act(page, size, nodes)
        await pause(350)
        problems.push(...(await axe(page, title)))
        await page.screenshot({ path: `${folder}/${title}.png` })
      } catch (error) {
        await page.screenshot({ path: `${folder}/${title}-broken.png` })
        problems.push(`${title}: ${error.message}`)
      }
      await context.close()
      nodes.close()
    }
  }
}
await browser.close()
console.log(problems.length === 0 ? 'axe: nothing found; no page errors' : [...new Set(problems)].join('\n'))
process.exitCode = problems.length === 0 ? 0 : 1
