// The browser that the tests and the pictures use: Debian's Chromium, with nothing going on in the background.
import { existsSync } from 'node:fs'
import { chromium } from 'playwright-core'

const executablePath = process.env.CHROMIUM ?? '/usr/bin/chromium'

export const browserIsMissing = () => !existsSync(executablePath)

export function launch(...more) {
  return chromium.launch({
    executablePath,
    headless: true,
    args: [
      '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking',
      '--disable-component-update', '--disable-sync', ...more,
    ],
  })
}

/** Collects what must never happen in a page: errors, and violations of its Content-Security-Policy. */
export function watch(page, name, problems) {
  page.on('pageerror', (error) => problems.push(`${name}: ${error.message}`))
  page.on('console', (message) => {
    if (message.type() !== 'error') return
    // A request that found the node gone is told to the user by the page; the browser logs it as well.
    if (/Failed to load resource|WebSocket connection|ERR_/.test(message.text())) return
    problems.push(`${name}: ${message.text()}`)
  })
}
