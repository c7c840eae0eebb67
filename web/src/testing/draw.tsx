import { render } from '@testing-library/react'
import type { ReactNode } from 'react'
import { SessionContext } from '../shell/context'
import { Session } from '../state/session'
import type { Action } from '../state/state'
import { Store } from '../state/store'

/** Draws a part of the page over a session that has reached no node; `sent` collects what it was asked to send. */
export function draw(part: ReactNode, ...actions: Action[]) {
  const session = new Session(new Store())
  const sent: { chat: string; text: string; replyTo?: string }[] = []
  session.send = (chat, text, replyTo) => void sent.push({ chat, text, replyTo })
  session.typing = () => undefined
  actions.forEach(session.store.dispatch)
  const around = (inner: ReactNode) => <SessionContext value={session}>{inner}</SessionContext>
  const drawn = render(around(part))
  return { session, sent, ...drawn, draw: (inner: ReactNode) => drawn.rerender(around(inner)) }
}
