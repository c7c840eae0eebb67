import type { Device } from '../api/types'
import type { Notice } from '../state/state'
import { harmlessText, shownName } from '../text/harmless'
import { clockTime, delay } from '../text/time'
import { Icon, type IconName } from '../ui/Icon'

const ICONS: Record<Notice['kind'], IconName> = {
  started: 'crown', away: 'crown', 'left-host': 'crown', 'handed-over': 'crown', joined: 'people', left: 'leave', settled: 'check',
}

function words(notice: Notice, say: (device: Device | null) => string, me: string): string {
  const verb = notice.relay === true ? 'relay' : 'host'
  const hosts = notice.host?.device === me ? `you ${verb} now` : `${say(notice.host)} ${verb}s now`
  switch (notice.kind) {
    case 'started':
      return notice.host === null ? 'The chat has started' : `The chat has started; ${hosts}`
    case 'away':
      return `${say(notice.who)} went away; ${hosts}`
    case 'left-host':
      return `${say(notice.who)} left; ${hosts}`
    case 'handed-over':
      return `${say(notice.who)} handed over; ${hosts}`
    case 'joined':
      return `${say(notice.who)} joined`
    case 'left':
      return `${say(notice.who)} left`
    case 'settled':
      return 'Enough members are back: everything is settled in one order'
  }
}

/** A line in the chat: who hosts now and why, who came and went. */
export function NoticeLine({ notice, names, me }: { notice: Notice; names: Map<string, string>; me: string }) {
  const say = (device: Device | null) =>
    device === null ? 'somebody' : device.device === me ? 'you' : shownName(names, device)
  const text = notice.text !== undefined && notice.text !== '' ? harmlessText(notice.text) : words(notice, say, me)
  return (
    <p className="notice" title={clockTime(new Date(notice.at).toISOString())}>
      <Icon name={ICONS[notice.kind]} />
      <span><bdi>{text}</bdi>{notice.gapMs !== undefined && <span className="notice-gap"> ({delay(notice.gapMs)} without a host)</span>}</span>
    </p>
  )
}
