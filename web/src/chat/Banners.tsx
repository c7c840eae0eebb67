import type { Chat, Progress } from '../api/types'
import { keysWords, Missing } from '../details/Encryption'
import { harmlessName } from '../text/harmless'
import { count, list } from '../text/time'
import { Icon } from '../ui/Icon'
import { StaleCopy } from './StaleCopy'

/** "2 of Ann, Bo, Cy" as the node says it; made here from the names if it says nothing. */
function waitsFor(chat: Chat): string {
  if (chat.waiting_text !== undefined && chat.waiting_text !== '') return chat.waiting_text
  const names = (chat.waiting_for ?? []).map(harmlessName)
  return names.length === 0 ? 'more members' : list(names)
}

function Provisional({ chat }: { chat: Chat }) {
  return (
    <div className="banner banner-warn">
      <Icon name="clock" />
      <p>
        <strong>Waiting for {waitsFor(chat)}.</strong> Everything you write goes on and is kept by everybody here. Its
        order is provisional until then; after that it is settled, and nothing is lost.
      </p>
    </div>
  )
}

/** What was said before this device came, on its way. It goes on for long: nobody wants each step read aloud. */
function History({ history }: { history: Progress }) {
  const words = `${count(history.done)} of ${count(history.total)}`
  return (
    <div className="banner" aria-live="off">
      <Icon name="down" />
      <p>Fetching earlier messages … {words}</p>
      <progress className="meter" max={history.total} value={history.done} aria-label={`Earlier messages: ${words}`} />
    </div>
  )
}

/** What is unusual about the chat now, in words. */
export function Banners({ chat }: { chat: Chat }) {
  const live = chat.phase === 'live'
  const stale = chat.problem?.code === 'stale-copy' // nothing that is written here goes on
  return (
    <div role="status" className="banners">
      {chat.problem !== undefined && (
        <div className="banner banner-bad">
          <Icon name="failed" />
          {stale ? (
            <StaleCopy problem={chat.problem} />
          ) : (
            <p><strong>{chat.problem.title}.</strong> {chat.problem.detail}</p>
          )}
        </div>
      )}
      {live && !stale && chat.mode === 'provisional' && <Provisional chat={chat} />}
      {live && chat.keys.state === 'lost' && (
        <div className="banner banner-warn">
          <Icon name="lock" />
          <div className="banner-words">
            <p><strong>{keysWords(chat.keys)}</strong> As soon as a member helps, you can read and write again. What you write waits here.</p>
            <Missing keys={chat.keys} />
          </div>
        </div>
      )}
      {live && chat.catching_up !== undefined && (
        <div className="banner">
          <Icon name="down" />
          <p>Catching up: {chat.catching_up.done} of {chat.catching_up.total}</p>
          <progress className="meter" max={chat.catching_up.total} value={chat.catching_up.done} aria-label="Catching up" />
        </div>
      )}
      {live && chat.history !== undefined && <History history={chat.history} />}
    </div>
  )
}
