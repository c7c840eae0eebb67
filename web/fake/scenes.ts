/** Worlds to begin with. */
import { World } from './world.ts'

const PLACES: [string, [number, number]][] = [
  ['alice', [0, 0]], ['bob', [14, 6]], ['carol', [30, 38]], ['dmitri', [22, -9]], ['Esra', [95, 40]],
]

const TALK: [number, string][] = [
  [0, 'Morning! The trail map for Saturday is at https://trails.example.org/ridge-loop?len=14km'],
  [1, 'Nice. 14 km with the *long* descent?'],
  [1, 'My knees remember last year.'],
  [2, 'We can skip the last ridge and take the path along the lake. It saves 40 minutes and the café there is open again.'],
  [0, 'Lake it is then ☕️'],
  [3, 'I bring the stove. Who has a gas canister?'],
  [2, 'me, two of them'],
  [4, 'מתי נפגשים? I can take three people in the car'],
  [0, '8:15 at the station, platform side. The train from town arrives 8:07.'],
  [1, 'See you there'],
]

/** `empty`: nobody has a chat. `lobby`: two are in, one knocks. `chat`: a live chat of all with a history. */
export function scene(name: string, nodes: number): World {
  const world = new World()
  const people = PLACES.slice(0, nodes).map(([person, at]) => world.person(person, at))
  const [founder] = people
  if (founder === undefined || name === 'empty') return world
  if (name === 'lobby') {
    const room = world.found(founder.device, 'Saturday hike')
    for (const person of people.slice(1, -1)) world.add(room, person.device)
    const last = people.at(-1)
    if (last !== undefined && last !== founder) world.knock(last.device, 'localhost:4300')
    return world
  }
  for (const title of ['Flat 12b', 'Book club', 'Saturday hike']) {
    const room = world.found(founder.device, title)
    for (const person of people.slice(1)) world.add(room, person.device)
    room.phase = 'live'
    room.generation = 1
    room.term = 4
    room.council = room.members.slice(0, room.members.length < 5 ? 3 : 5)
    room.host = world.ranked(room)[0]?.device ?? founder.device
    const begin = Date.now() - 26 * 3_600_000
    TALK.forEach(([who, text], turn) => {
      const author = people[who % people.length] ?? founder
      const at = new Date(begin + (turn < 5 ? turn * 90_000 : 24.5 * 3_600_000 + turn * 150_000)).toISOString()
      const reply = turn === 6 ? room.sent[5]?.id : undefined
      if (title !== 'Saturday hike' && turn > 3) return
      const sent = world.send(room, author.device, text, reply, at)
      for (const member of room.members) sent.holders.add(member)
      sent.position = ++room.position
    })
  }
  return world
}
