import { expect, it } from 'vitest'
import { chat, member, who } from '../testing/samples'
import { radial, SIZE } from './radial'

const members = ['alice', 'bob', 'carol', 'dora'].map((name) => member(name))
const rtt_ms = [
  [0, 2, 40, 400],
  [2, 0, 40, 400],
  [40, 40, 0, 400],
  [400, 400, 400, 0],
]
const group = chat({ members, latency: { devices: members.map((each) => each.device), rtt_ms } })
const out = (place: { x: number; y: number }) => Math.hypot(place.x - SIZE / 2, place.y - SIZE / 2)
const find = (radialOf: ReturnType<typeof radial>, name: string) => {
  const place = radialOf.places.find((each) => each.member.name === name)
  if (place === undefined) throw new Error(`${name} is not in the diagram`)
  return place
}

it('puts the host in the middle and the others as far out as their round trip is long', () => {
  const drawn = radial(group)
  expect(out(find(drawn, 'alice'))).toBe(0)
  expect(out(find(drawn, 'bob'))).toBeLessThan(out(find(drawn, 'carol')))
  expect(out(find(drawn, 'carol'))).toBeLessThan(out(find(drawn, 'dora')))
})

it('numbers the line behind the host', () => {
  expect(radial(group).places.map((place) => place.rank)).toEqual([null, 1, 2, 3])
})

function direction(host: string): number {
  const place = find(radial({ ...group, host: who(host) }), 'dora')
  return Math.atan2(place.y - SIZE / 2, place.x - SIZE / 2)
}

it('keeps everybody else in the same direction when the host changes', () => {
  expect(direction('bob')).toBeCloseTo(direction('alice'))
})

it('draws a group without a host, without measurements, and of one', () => {
  const bare = { ...group, latency: { devices: [], rtt_ms: [] } }
  for (const each of [{ ...group, host: null }, bare, { ...bare, members: members.slice(0, 1) }]) {
    for (const place of radial(each).places) expect(Number.isFinite(place.x + place.y)).toBe(true)
  }
})
