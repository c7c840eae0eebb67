/**
 * Starts simulated nodes: `npm run fake -- [--scene empty|lobby|chat] [--nodes 3] [--port 4300]`. Each prints its
 * address as a real node does. Commands on standard input: `kill NAME`, `revive NAME`, `say NAME TEXT`.
 */
import { createInterface } from 'node:readline'
import { parseArgs } from 'node:util'
import { FakeNode } from './node.ts'
import { scene } from './scenes.ts'

export async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      scene: { type: 'string', default: 'chat' },
      nodes: { type: 'string', default: '4' },
      port: { type: 'string', default: '4300' },
    },
  })
  const world = scene(values.scene, Number(values.nodes))
  const nodes = new Map<string, FakeNode>()
  for (const [at, person] of world.people.entries()) {
    const port = Number(values.port) + at
    const node = new FakeNode(world, person.device, port)
    nodes.set(person.name, node)
    await node.ready
    console.log(`demes: http://127.0.0.1:${port}/#token=${node.token}`)
  }
  createInterface({ input: process.stdin }).on('line', (line) => {
    const [verb = '', name = '', ...words] = line.trim().split(' ')
    if (verb === 'kill') {
      world.kill(world.by(name).device)
      nodes.get(name)?.close()
    }
    if (verb === 'away') world.kill(world.by(name).device)
    if (verb === 'types') world.typing(world.rooms.at(-1) as NonNullable<(typeof world.rooms)[0]>, world.by(name).device)
    if (verb === 'revive') world.revive(world.by(name).device)
    const room = world.rooms.at(-1)
    if (verb === 'say' && room) world.send(room, world.by(name).device, words.join(' '))
  })
}
