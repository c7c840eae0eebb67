import { useState } from 'react'
import type { Chat, Member } from '../api/types'
import { Banners } from '../chat/Banners'
import { ChatMenu } from '../chat/ChatMenu'
import { InviteCard } from '../people/InviteCard'
import { useNames, useSession, useStore } from '../shell/context'
import { meIn, type Room } from '../state/state'
import { harmlessName } from '../text/harmless'
import { delay } from '../text/time'
import { Avatar } from '../ui/Avatar'
import { Button, IconButton } from '../ui/Button'
import { Icon } from '../ui/Icon'
import { Name } from '../ui/Name'
import { Knocks } from './Knocks'
import { Measured } from './Measured'

function Guest({ member, name, you }: { member: Member; name: string; you: boolean }) {
  return (
    <li className="guest">
      <Avatar account={member.account} name={name} size="large" online={member.online} />
      <span className="guest-name"><Name you={you}>{name}</Name></span>
      <span className="hint">
        {member.leaving === true ? 'has left' : member.role === 'founder' ? 'founder' : member.online ? 'here' : 'away'}
        {!you && member.online && member.leaving !== true && member.rtt_ms !== null && ` · ${delay(member.rtt_ms)}`}
      </span>
    </li>
  )
}

interface StartPartProps {
  chat: Chat
  founder: string
  here: boolean
  gone: boolean
  mine: boolean
}

function StartPart({ chat, founder, here, gone, mine }: StartPartProps) {
  const session = useSession()
  const [busy, setBusy] = useState(false)
  if (gone) {
    return (
      <p className="inline-problem" role="status">
        <bdi><strong>{founder}</strong></bdi> has left, and nobody else can start this chat. Leave it, and open a lobby of your own.
      </p>
    )
  }
  if (!mine) {
    return (
      <div className="start-wait" role="status">
        <span className="ripple" aria-hidden="true" />
        {here ? (
          <p>Waiting for <bdi><strong>{founder}</strong></bdi> to start the chat.</p>
        ) : (
          <p><bdi><strong>{founder}</strong></bdi> is away; the lobby waits.</p>
        )}
      </div>
    )
  }
  const start = async () => {
    setBusy(true)
    await session.attempt(session.api.start(chat.id))
    setBusy(false)
  }
  return (
    <Button look="primary" className="button-big" disabled={busy} onClick={() => void start()}>
      {busy ? 'Starting …' : 'Start chat'}
    </Button>
  )
}

/** The time between founding and start: who is here, who wants in, and the button that begins. */
export function LobbyScreen({ room }: { room: Room }) {
  const session = useSession()
  const node = useStore((state) => state.node)
  const { chat } = room
  const names = useNames(chat)
  const me = meIn(chat, node)
  const founder = chat.members.find((member) => member.device === chat.founder || member.role === 'founder')
  const mine = founder?.device === me
  const alone = chat.members.length === 1
  const here = chat.members.filter((member) => member.online && member.leaving !== true).length
  return (
    <main className="lobby" data-region tabIndex={-1}>
      <header className="bar">
        <IconButton label="All chats" icon="back" className="only-narrow" onClick={() => session.select(null)} />
        <div className="bar-words">
          <h1 className="bar-title"><bdi>{harmlessName(chat.title)}</bdi></h1>
          <p className="bar-sub"><Icon name="door" /> Lobby</p>
        </div>
        <ChatMenu chat={chat} />
      </header>
      <Banners chat={chat} />
      <div className="lobby-body">
        <Knocks chat={chat} />
        <section className="card lobby-here" aria-labelledby="here">
          <h2 id="here">{alone ? 'Only you so far' : `${here} here`}</h2>
          <ul className="guests">
            {chat.members.map((member) => (
              <Guest key={member.device} member={member} name={names.get(member.device) ?? ''} you={member.device === me} />
            ))}
          </ul>
          <StartPart
            chat={chat}
            founder={names.get(founder?.device ?? '') ?? 'the founder'}
            here={founder?.online ?? false}
            gone={founder === undefined || founder.leaving === true}
            mine={mine}
          />
        </section>
        <section className="card" aria-labelledby="bring">
          <h2 id="bring">Bring the others in</h2>
          <InviteCard chat={chat.id} now={mine} />
        </section>
        <section className="card" aria-labelledby="measures">
          <h2 id="measures">What is measured</h2>
          <Measured chat={chat} />
        </section>
      </div>
    </main>
  )
}
