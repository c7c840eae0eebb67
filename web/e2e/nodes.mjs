// Starts nodes for the tests: the real program, or the simulated one. Both give the same three terminals.
import { spawn } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'

const START_MS = 20_000

/** Resolves with the addresses that a process prints when its nodes are ready, one line for each. */
function addresses(child, count, name) {
  return new Promise((resolve, reject) => {
    const found = []
    const late = setTimeout(() => reject(new Error(`${name} printed no address within ${START_MS} ms`)), START_MS)
    child.once('exit', (code) => reject(new Error(`${name} ended with code ${code}`)))
    createInterface({ input: child.stdout }).on('line', (line) => {
      const [, url] = /^demes: (http:\S+)/.exec(line) ?? []
      if (url === undefined || found.push(url) < count) return
      clearTimeout(late)
      resolve(found)
    })
  })
}

function freePort() {
  return new Promise((resolve) => {
    const server = createServer().listen(0, '127.0.0.1', () => {
      const { port } = server.address()
      server.close(() => resolve(port))
    })
  })
}

/** Three real processes, as in the manual: alice opens a lobby, bob and carol knock at it. */
export async function realNodes(binary) {
  const folder = mkdtempSync(join(tmpdir(), 'demes-e2e-'))
  const children = new Map()
  const urls = {}
  const ports = new Map()
  const alicePort = await freePort()
  const start = async (name, port, ...more) => {
    const args = ['run', '--profile', name, '--data', join(folder, name), '--name', name, '--port', String(port), '--no-browser', ...more]
    const env = { ...process.env, DEMES_KEYCHAIN: 'off' } // a test leaves nothing in anybody's keychain
    const child = spawn(binary, args, { env, stdio: ['ignore', 'pipe', process.env.DEMES_LOGS ? 'inherit' : 'ignore'] })
    children.set(name, child)
    ports.set(name, port)
    ;[urls[name]] = await addresses(child, 1, name)
  }
  await start('alice', alicePort, '--open-lobby')
  await start('bob', await freePort(), '--join', `localhost:${alicePort}`)
  await start('carol', await freePort(), '--join', `localhost:${alicePort}`)
  return {
    urls,
    needsAdmission: false,
    kill: (name) => children.get(name).kill('SIGKILL'),
    restart: async (name) => { await start(name, ports.get(name)); return urls[name] },
    close: () => {
      for (const child of children.values()) child.kill('SIGKILL')
      rmSync(folder, { recursive: true, force: true })
    },
  }
}

/** Simulated nodes in one process. */
export async function fakeNodes(scene, names, port = 4310) {
  const run = fileURLToPath(new URL('../fake/run.mjs', import.meta.url))
  const args = [run, '--scene', scene, '--nodes', String(names.length), '--port', String(port)]
  const child = spawn(process.execPath, args, { stdio: ['pipe', 'pipe', 'inherit'] })
  const found = await addresses(child, names.length, 'the simulated group')
  const urls = Object.fromEntries(names.map((name, at) => [name, found[at]]))
  const say = (line) => child.stdin.write(line + '\n')
  return {
    urls,
    say,
    needsAdmission: true,
    kill: (name) => say(`kill ${name}`),
    close: () => child.kill('SIGKILL'),
  }
}
