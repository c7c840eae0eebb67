import { Dialog } from '../ui/Dialog'

const GROUPS: { title: string; keys: [string[], string][] }[] = [
  {
    title: 'Everywhere',
    keys: [
      [['Ctrl', 'K'], 'Switch to a chat'],
      [['Alt', '↑'], 'Previous chat'],
      [['Alt', '↓'], 'Next chat'],
      [['Alt', 'Shift', '↓'], 'Next unread chat'],
      [['Alt', 'N'], 'New chat or join'],
      [['F6'], 'Next part of the page'],
      [['Ctrl', '/'], 'This sheet (or ? outside a field)'],
    ],
  },
  {
    title: 'In a chat',
    keys: [
      [['Enter'], 'Send'],
      [['Shift', 'Enter'], 'New line'],
      [['↑'], 'Edit your last message (in an empty field)'],
      [['Esc'], 'Cancel the reply or the edit'],
      [['Alt', 'I'], 'Invite'],
      [['Alt', 'M'], 'Members and host'],
    ],
  },
  {
    title: 'In the messages',
    keys: [
      [['↑'], 'Message before'],
      [['↓'], 'Message after'],
      [['R'], 'Reply to the message'],
      [['+'], 'React to it'],
      [['E'], 'Edit it'],
      [['Del'], 'Delete it'],
      [['Tab'], 'What can be done with it'],
      [['End'], 'Newest message'],
    ],
  },
]

export function ShortcutSheet({ open, onClose }: { open: boolean; onClose: () => void }) {
  return (
    <Dialog open={open} onClose={onClose} title="Keyboard shortcuts">
      <div className="shortcuts">
        {GROUPS.map((group) => (
          <section key={group.title}>
            <h3>{group.title}</h3>
            <dl>
              {group.keys.map(([keys, words]) => (
                <div key={words} className="shortcut">
                  <dt>{keys.map((key) => <kbd key={key}>{key}</kbd>)}</dt>
                  <dd>{words}</dd>
                </div>
              ))}
            </dl>
          </section>
        ))}
      </div>
    </Dialog>
  )
}
