import { useState } from 'react'
import type { Chat } from '../api/types'
import { LeaveDialog } from '../people/LeaveDialog'
import { IconButton } from '../ui/Button'
import { Menu, MenuItem } from '../ui/Menu'

export function ChatMenu({ chat }: { chat: Chat }) {
  const [leaving, setLeaving] = useState(false)
  return (
    <>
      <Menu trigger={<IconButton label="More" icon="menu" />}>
        <MenuItem icon="leave" danger onClick={() => setLeaving(true)}>Leave the chat</MenuItem>
      </Menu>
      <LeaveDialog chat={chat} open={leaving} onClose={() => setLeaving(false)} />
    </>
  )
}
