// `DEMES_BIN=./demes npm run e2e` drives three real nodes; `npm run e2e -- --fake` drives simulated ones, which only tests
// the page. Then real nodes have their messages and chats changed, and a hostile member and hostile pages try them.
// Without a program or a browser it says so and ends well. `npm run e2e -- --only hostile` (or workflow, or amends) runs
// one of them.
import { amends } from './amends.mjs'
import { browserIsMissing, launch, watch } from './browser.mjs'
import { hostile } from './hostile.mjs'
import { fakeNodes, realNodes } from './nodes.mjs'
import { workflow } from './workflow.mjs'

const fake = process.argv.includes('--fake')
const only = process.argv.includes('--only') ? process.argv.at(-1) : undefined
const binary = process.env.DEMES_BIN

const begin = Date.now()
const step = (words) => console.log(`${String(Date.now() - begin).padStart(6)} ms  ${words}`)

/** Runs one test on nodes and a browser of its own; true if it passed. */
async function passes(test) {
  const problems = []
  const nodes = fake ? await fakeNodes('empty', ['alice', 'bob', 'carol']) : await realNodes(binary)
  const browser = await launch()
  try {
    await test({ browser, nodes, step, watch: (page, name, into = problems) => watch(page, name, into) })
    if (problems.length > 0) throw new Error(`the pages reported:\n${problems.join('\n')}`)
    return true
  } catch (error) {
    console.error(error)
    const pages = browser.contexts().flatMap((context) => context.pages())
    const folder = process.env.SHOTS ?? '/tmp'
    await Promise.all(pages.map((page, at) => page.screenshot({ path: `${folder}/e2e-failed-${at}.png` })))
    console.error(`pictures of the pages: ${folder}/e2e-failed-*.png`)
    return false
  } finally {
    await browser.close()
    nodes.close()
  }
}

if (browserIsMissing()) {
  console.log('e2e: skipped, there is no Chromium (set CHROMIUM)')
} else if (!fake && !binary) {
  console.log('e2e: skipped, DEMES_BIN does not name the program (or use --fake)')
} else {
  const tests = fake ? [workflow] : [workflow, amends, hostile].filter((test) => only === undefined || test.name === only)
  for (const test of tests) {
    // Each has the machine for itself.
    // oxlint-disable-next-line no-await-in-loop
    if (await passes(test)) step(`${test.name} passed`)
    else process.exitCode = 1
  }
}
