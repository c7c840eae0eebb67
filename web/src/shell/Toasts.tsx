import { useEffect } from 'react'
import type { Toast } from '../state/state'
import { IconButton } from '../ui/Button'
import { Icon } from '../ui/Icon'
import { useSession, useStore } from './context'

const GOOD_MS = 4_000
const PROBLEM_MS = 12_000

function OneToast({ toast }: { toast: Toast }) {
  const { store } = useSession()
  useEffect(() => {
    const life = toast.tone === 'good' ? GOOD_MS : PROBLEM_MS
    const timer = setTimeout(() => store.dispatch({ type: 'toast closed', id: toast.id }), life)
    return () => clearTimeout(timer)
  }, [store, toast])
  return (
    <div className={`toast toast-${toast.tone}`} role={toast.tone === 'problem' ? 'alert' : 'status'}>
      <Icon name={toast.tone === 'problem' ? 'failed' : 'check'} />
      <div className="toast-words">
        <strong>{toast.title}</strong>
        {toast.detail !== undefined && toast.detail !== '' && <p>{toast.detail}</p>}
      </div>
      <IconButton label="Dismiss" icon="close" onClick={() => store.dispatch({ type: 'toast closed', id: toast.id })} />
    </div>
  )
}

export function Toasts() {
  const toasts = useStore((state) => state.toasts)
  return (
    <div className="toasts">
      {toasts.map((toast) => <OneToast key={toast.id} toast={toast} />)}
    </div>
  )
}
