/** Where everybody stands in the diagram: the host in the middle, the others as far out as their round trip is long. */
import type { Chat, Member } from '../api/types'

export const SIZE = 300
const MIDDLE = SIZE / 2
/** The nearest ring keeps clear of the host, the farthest of the names at the edge. */
const INNER = 64
const OUTER = 114
/** Candidates for rings, in milliseconds; they are evenly spread on a log scale. */
const RINGS = [0.3, 1, 3, 10, 30, 100, 300, 1000, 3000]

export interface Place {
  member: Member
  x: number
  y: number
  rtt: number | null
  /** 1, 2, 3 … in the line of hosts-to-be; null for the host and for who cannot be reached. */
  rank: number | null
  host: boolean
}

export interface Radial {
  places: Place[]
  rings: { ms: number; radius: number }[]
  /** A direction in which nobody stands: the rings are labelled there. */
  gap: { x: number; y: number }
}

/** The round trip between two members as the chat's matrix has it, in either direction. */
export function rttBetween(chat: Chat, a: string, b: string): number | null {
  const { devices, rtt_ms } = chat.latency
  const [p, q] = [devices.indexOf(a), devices.indexOf(b)]
  if (p < 0 || q < 0) return null
  return rtt_ms[p]?.[q] ?? rtt_ms[q]?.[p] ?? null
}

/** Places in the line behind the host. */
export function ranks(chat: Chat): Map<string, number> {
  const line = chat.succession.map((ranked) => ranked.device).filter((device) => device !== chat.host?.device)
  return new Map(line.map((device, at) => [device, at + 1]))
}

/** The smallest rings that hold all the times, at least two of them apart. */
function ringsFor(times: readonly number[]): number[] {
  const shortest = Math.min(...times, 100)
  const longest = Math.max(...times, shortest)
  const low = Math.max(0, RINGS.findLastIndex((ring) => ring <= shortest))
  const above = RINGS.findIndex((ring) => ring >= longest)
  const high = Math.max(low + 1, above < 0 ? RINGS.length - 1 : above)
  return RINGS.slice(Math.min(low, RINGS.length - 2), high + 1)
}

function radiusOf(ms: number, rings: readonly number[]): number {
  const low = Math.log(rings[0] ?? 1)
  const high = Math.log(rings.at(-1) ?? 10)
  const part = (Math.log(Math.max(ms, 0.01)) - low) / (high - low)
  return INNER + Math.min(1, Math.max(0, part)) * (OUTER - INNER)
}

/** Angles follow the device ids: nobody moves around when times change or the host does. */
export function radial(chat: Chat): Radial {
  const members = [...chat.members].sort((a, b) => (a.device < b.device ? -1 : 1))
  const host = chat.host?.device ?? null
  const rttOf = (member: Member) => (host === null || !member.online ? null : rttBetween(chat, host, member.device))
  const times = members.filter((member) => member.device !== host).map(rttOf).filter((time) => time !== null)
  const rings = ringsFor(times)
  const line = ranks(chat)
  const places = members.map((member, at): Place => {
    const isHost = member.device === host
    const rtt = rttOf(member)
    const angle = (at / members.length) * 2 * Math.PI - Math.PI / 2
    const radius = isHost ? 0 : rtt === null ? OUTER + 8 : radiusOf(rtt, rings)
    return {
      member,
      x: MIDDLE + radius * Math.cos(angle),
      y: MIDDLE + radius * Math.sin(angle),
      rtt,
      rank: isHost || !member.online ? null : (line.get(member.device) ?? null),
      host: isHost,
    }
  })
  const between = Math.PI / members.length - Math.PI / 2
  const gap = { x: Math.cos(between), y: Math.sin(between) }
  return { places, gap, rings: rings.map((ms) => ({ ms, radius: radiusOf(ms, rings) })) }
}
