import { useState } from 'react'
import type { Chat } from '../api/types'
import { LeaveDialog } from '../people/LeaveDialog'
import { IconButton } from '../ui/Button'
import { Menu, MenuItem } from '../ui/Menu'

export function ChatMenu({ chat, onDetails }: { chat: Chat; onDetails?: () => void }) {
  const [leaving, setLeaving] = useState(false)
  return (
    <>
      <Menu trigger={<IconButton label="More" icon="menu" />}>
        {onDetails !== undefined && <MenuItem icon="settings" onClick={onDetails}>Chat details</MenuItem>}
        <MenuItem icon="leave" danger onClick={() => setLeaving(true)}>Leave the chat</MenuItem>
      </Menu>
      <LeaveDialog chat={chat} open={leaving} onClose={() => setLeaving(false)} />
    </>
  )
}
