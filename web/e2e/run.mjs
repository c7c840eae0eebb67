// `DEMES_BIN=./demes npm run e2e` drives three real nodes; `npm run e2e -- --fake` drives simulated ones, which only tests
// the page. Without a program or a browser it says so and ends well.
import { browserIsMissing, launch, watch } from './browser.mjs'
import { fakeNodes, realNodes } from './nodes.mjs'
import { workflow } from './workflow.mjs'

const fake = process.argv.includes('--fake')
const binary = process.env.DEMES_BIN

if (browserIsMissing()) {
  console.log('e2e: skipped, there is no Chromium (set CHROMIUM)')
} else if (!fake && !binary) {
  console.log('e2e: skipped, DEMES_BIN does not name the program (or use --fake)')
} else {
  const begin = Date.now()
  const step = (words) => console.log(`${String(Date.now() - begin).padStart(6)} ms  ${words}`)
  const problems = []
  const nodes = fake ? await fakeNodes('empty', ['alice', 'bob', 'carol']) : await realNodes(binary)
  const browser = await launch()
  try {
    await workflow({ browser, nodes, step, watch: (page, name) => watch(page, name, problems) })
    if (problems.length > 0) throw new Error(`the pages reported:\n${problems.join('\n')}`)
    step('passed')
  } catch (error) {
    console.error(error)
    process.exitCode = 1
    const pages = browser.contexts().flatMap((context) => context.pages())
    const folder = process.env.SHOTS ?? '/tmp'
    await Promise.all(pages.map((page, at) => page.screenshot({ path: `${folder}/e2e-failed-${at}.png` })))
    console.error(`pictures of the pages: ${folder}/e2e-failed-*.png`)
  } finally {
    await browser.close()
    nodes.close()
  }
}
