import type { Chat, Keys } from '../api/types'
import { harmlessText } from '../text/harmless'
import { CopyButton } from '../ui/Copy'
import { Icon } from '../ui/Icon'

/** How this device's keys are, in a sentence. */
export function keysWords(keys: Keys): string {
  if (keys.state === 'lost') return 'Coming back with new keys …'
  if (keys.state === 'good') return 'This device has the keys of this epoch.'
  const who = keys.waits_for ?? ''
  return who === '' ? 'New keys are on their way.' : `New keys wait for ${harmlessText(who)}.`
}

/** Messages whose keys this device never had: other members are asked to show them. */
export function Missing({ keys }: { keys: Keys }) {
  const { missing } = keys
  if (missing === undefined || missing.total === 0) return null
  const words = `${missing.done} of ${missing.total} messages were looked up at other members`
  return (
    <div className="stack-small">
      <progress className="meter" max={missing.total} value={missing.done} aria-label={words} />
      <p className="hint">{words}.</p>
    </div>
  )
}

function Code({ digits }: { digits: string }) {
  const fives = digits.match(/.{1,5}/g) ?? []
  return (
    <div className="stack-small">
      <h4 id="epoch-code" className="small-title">Code of this epoch</h4>
      <div className="epoch-code" role="group" aria-labelledby="epoch-code">
        {fives.map((five, at) => (
          // The groups of one code never change their places.
          // oxlint-disable-next-line no-array-index-key
          <code key={at}>{five} </code>
        ))}
      </div>
      <p className="hint">
        If others read you the same code from their screens, all of you share the same keys and nobody else sits in between.
        It changes whenever the keys do.
      </p>
      <CopyButton text={fives.join(' ')} label="Copy the code" />
    </div>
  )
}

/** Who can read this chat, and how one finds out that it is nobody else. */
export function Encryption({ chat }: { chat: Chat }) {
  return (
    <section className="details-part" aria-labelledby="encryption">
      <h3 id="encryption"><Icon name="lock" /> End-to-end encrypted</h3>
      <p className="hint">Only the devices of members can read what is said here.</p>
      <dl className="facts">
        <div>
          <dt>Suite</dt>
          <dd><code>{chat.suite}</code></dd>
        </div>
        {chat.post_quantum && (
          <div>
            <dt>Key exchange</dt>
            <dd><span className="tag tag-good" title="Also safe against the quantum computers that may come">post-quantum hybrid</span></dd>
          </div>
        )}
        <div><dt>Epoch</dt><dd>{chat.epoch}</dd></div>
      </dl>
      <p role="status" className={`keys keys-${chat.keys.state}`}>
        <Icon name={chat.keys.state === 'good' ? 'check' : 'clock'} /> <span>{keysWords(chat.keys)}</span>
      </p>
      <Missing keys={chat.keys} />
      {chat.epoch_code !== undefined && chat.epoch_code !== '' && <Code digits={chat.epoch_code} />}
    </section>
  )
}
