import type { Chat } from '../api/types'
import { shownName } from '../text/harmless'
import { delay } from '../text/time'
import { type Place, radial, SIZE } from './radial'

const NAME_LIMIT = 12
/** With more members than this the names would cover each other; the table has them. */
const NAMES_LIMIT = 12
const MIDDLE = SIZE / 2

function short(name: string): string {
  const letters = [...name]
  return letters.length <= NAME_LIMIT ? name : letters.slice(0, NAME_LIMIT - 1).join('') + '…'
}

function Link({ place }: { place: Place }) {
  if (place.host) return null
  return <path className={place.rtt === null ? 'radial-link radial-cut' : 'radial-link'} d={`M${MIDDLE} ${MIDDLE}L${place.x} ${place.y}`} />
}

function Spot({ place, name, me, named }: { place: Place; name: string; me: string; named: boolean }) {
  const { member, host, rank } = place
  const look = `radial-spot${host ? ' radial-host' : ''}${member.online ? '' : ' radial-away'}${member.device === me ? ' radial-me' : ''}`
  const size = host ? 21 : 14
  // Above the middle the name stands above, clear of the line to the host.
  const above = !host && place.y < MIDDLE - size
  return (
    <g className={look} style={{ transform: `translate(${place.x}px, ${place.y}px)` }}>
      <circle className="radial-disc" r={size} />
      {host && <path className="radial-crown" d="M-9 6.5L-10.5-5-5-1.2 0-9 5-1.2 10.5-5 9 6.5z" />}
      {rank !== null && <text className="radial-rank" y="5">{rank}</text>}
      {!host && rank === null && <path className="radial-cross" d="M-4-4L4 4M4-4L-4 4" />}
      {named && <text className="radial-name" y={above ? -size - 7 : size + 14}>{member.device === me ? `${short(name)} (you)` : short(name)}</text>}
    </g>
  )
}

/** The picture in words. */
function described(places: readonly Place[], names: Map<string, string>): string {
  const host = places.find((place) => place.host)
  const others = places
    .filter((place) => !place.host)
    .sort((a, b) => (a.rank ?? Infinity) - (b.rank ?? Infinity))
    .map((place) => `${shownName(names, place.member)}, ${place.rtt === null ? 'away' : delay(place.rtt)}`)
  const middle = host === undefined ? 'No host right now' : `${shownName(names, host.member)} hosts`
  return `${middle}. In line: ${others.join('; ')}.`
}

/** Who hosts, how far everybody is, and who is next, at one look. The table below says the same. */
export function Diagram({ chat, names, me }: { chat: Chat; names: Map<string, string>; me: string }) {
  const { places, rings, gap } = radial(chat)
  const named = places.length <= NAMES_LIMIT
  return (
    <svg className="radial" viewBox={`0 0 ${SIZE} ${SIZE}`} role="img" aria-label={described(places, names)}>
      {rings.map((ring) => (
        <g key={ring.ms}>
          <circle className="radial-ring" cx={MIDDLE} cy={MIDDLE} r={ring.radius} />
          <text className="radial-ms" x={MIDDLE + ring.radius * gap.x} y={MIDDLE + ring.radius * gap.y + 3}>{delay(ring.ms).replace('.0', '')}</text>
        </g>
      ))}
      {places.map((place) => <Link key={place.member.device} place={place} />)}
      {places.map((place) => (
        <Spot key={place.member.device} place={place} name={shownName(names, place.member)} me={me} named={named} />
      ))}
    </svg>
  )
}
