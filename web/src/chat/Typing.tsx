import type { Typist } from '../state/state'
import { shownName } from '../text/harmless'
import { list } from '../text/time'

/** Who is typing. It has its place also when nobody is, so that nothing moves. */
export function Typing({ typing, names }: { typing: readonly Typist[]; names: Map<string, string> }) {
  const who = typing.map((typist) => shownName(names, typist))
  return (
    <p className="typing" aria-hidden={who.length === 0}>
      {who.length > 0 && <><bdi>{list(who)}</bdi> {who.length === 1 ? 'is' : 'are'} typing …</>}
    </p>
  )
}
