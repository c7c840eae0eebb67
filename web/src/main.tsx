/** Takes the secret out of the address, opens the session and draws the page. */
import { createRoot } from 'react-dom/client'
import { App } from './shell/App'
import { SessionContext } from './shell/context'
import { applyTheme } from './shell/theme'
import { keptTheme } from './state/kept'
import { Session } from './state/session'
import { Store } from './state/store'
import './styles/index.css'

const fragment = location.hash
if (fragment !== '') history.replaceState(null, '', location.pathname)

applyTheme(keptTheme.get())
const session = new Session(new Store())
void session.open(fragment)

// The new address after a restart, put into this tab, changes the fragment only.
addEventListener('hashchange', () => {
  const { hash } = location
  if (!/^#(token|code)=/.test(hash)) return
  history.replaceState(history.state, '', location.pathname)
  void session.open(hash)
})

addEventListener('popstate', (event) => {
  if (location.hash !== '') return
  const state = event.state as { chat?: string | null } | null
  session.select(state?.chat ?? null, 'quietly')
})

const root = document.getElementById('root')
if (root !== null) {
  createRoot(root).render(
    <SessionContext value={session}>
      <App />
    </SessionContext>,
  )
}
