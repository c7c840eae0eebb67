import { useCallback, useEffect, useState } from 'react'
import type { Message } from '../api/types'
import { DetailsDialog } from '../details/DetailsDialog'
import { InviteDialog } from '../people/InviteDialog'
import { Panel } from '../people/Panel'
import { useNames, useStore } from '../shell/context'
import { PANEL_BESIDE, useMedia } from '../shell/useMedia'
import { keptPanel } from '../state/kept'
import { lastOwn } from '../state/rights'
import { meIn, type Room } from '../state/state'
import { Dialog } from '../ui/Dialog'
import { Banners } from './Banners'
import { ChatBar } from './ChatBar'
import { Composer } from './Composer'
import { MessageList } from './MessageList'
import { Typing } from './Typing'

/** The message that the composer is about, if it is about one. Its text is that of now. */
function useAbout(room: Room, me: string) {
  const [replyTo, setReplyTo] = useState<Message | null>(null)
  const [edited, setEdited] = useState<string | null>(null)
  const editing = room.messages.find((message) => message.id === edited && message.deleted !== true) ?? null
  const edit = useCallback((message: Message) => {
    setReplyTo(null)
    setEdited(message.id)
  }, [])
  const reply = useCallback((message: Message) => {
    setEdited(null)
    setReplyTo(message)
  }, [])
  const editLast = () => {
    const last = lastOwn(room.chat, me, room.messages)
    if (last !== undefined) edit(last)
  }
  return { replyTo, editing, edit, reply, editLast, endReply: () => setReplyTo(null), endEdit: () => setEdited(null) }
}

/** The panel is a column where there is room for it, else a sheet that starts closed. */
function usePanel() {
  const beside = useMedia(PANEL_BESIDE)
  const [column, setColumn] = useState(keptPanel.get)
  const [sheet, setSheet] = useState(false)
  const toggle = () => {
    if (!beside) return setSheet((open) => !open)
    keptPanel.set(!column)
    setColumn(!column)
  }
  return { beside, open: beside ? column : sheet, toggle, close: () => setSheet(false) }
}

function useChatKeys(keys: Record<string, () => void>): void {
  useEffect(() => {
    const pressed = (event: KeyboardEvent) => {
      const act = event.altKey && !event.ctrlKey && !event.metaKey ? keys[event.code] : undefined
      if (act === undefined) return
      event.preventDefault()
      act()
    }
    addEventListener('keydown', pressed)
    return () => removeEventListener('keydown', pressed)
  })
}

export function ChatScreen({ room }: { room: Room }) {
  const node = useStore((state) => state.node)
  const { chat } = room
  const names = useNames(chat)
  const me = meIn(chat, node)
  const panel = usePanel()
  const [inviting, setInviting] = useState(false)
  const [detailed, setDetailed] = useState(false)
  const about = useAbout(room, me)
  const live = chat.phase === 'live'
  useChatKeys({ KeyM: panel.toggle, KeyI: () => live && setInviting(true) })
  const content = <Panel chat={chat} names={names} me={me} />
  return (
    <>
      <main className="chat">
        <ChatBar
          chat={chat}
          me={me}
          names={names}
          panelOpen={panel.open}
          onPanel={panel.toggle}
          onInvite={() => setInviting(true)}
          onDetails={() => setDetailed(true)}
        />
        <Banners chat={chat} />
        <MessageList room={room} names={names} me={me} onReply={about.reply} onEdit={about.edit} />
        <Typing typing={room.typing} names={names} />
        {live ? (
          <Composer
            chat={chat} names={names} replyTo={about.replyTo} onReplyEnd={about.endReply}
            editing={about.editing} onEditEnd={about.endEdit} onEditLast={about.editLast}
          />
        ) : (
          <p className="chat-over">
            {chat.phase === 'left' ? 'You left this chat. What you have read stays here.' : 'You were removed from this chat.'}
          </p>
        )}
      </main>
      {panel.beside && panel.open && (
        <aside className="panel" aria-label="Members and host" data-region tabIndex={0}>{content}</aside>
      )}
      {!panel.beside && (
        <Dialog open={panel.open} onClose={panel.close} title="Members and host" shape="side">{content}</Dialog>
      )}
      <DetailsDialog chat={chat} names={names} me={me} open={detailed} onClose={() => setDetailed(false)} />
      <InviteDialog chat={chat.id} open={inviting} onClose={() => setInviting(false)} />
    </>
  )
}
