/** Line icons on a 24-unit grid. They are decoration: the control beside them carries the words. */
const PATHS = {
  back: 'M15 5l-7 7 7 7',
  check: 'M5 12.5l4.5 4.5L19 7.5',
  clock: 'M12 7.5V12l3 2M12 21a9 9 0 100-18 9 9 0 000 18z',
  close: 'M6 6l12 12M18 6L6 18',
  copy: 'M9 9h10v11H9zM15 9V4H5v11h4',
  crown: 'M4 17.5L3 8l5 3.5L12 5l4 6.5L21 8l-1 9.5z',
  door: 'M4 21h16M7 21V4h10v17M13.5 12.5v.01',
  down: 'M12 5v14M6 13l6 6 6-6',
  failed: 'M12 8v5M12 16.2v.1M12 21a9 9 0 100-18 9 9 0 000 18z',
  hourglass: 'M7 3h10M7 21h10M8 3v3.5c0 2.5 4 3.5 4 5.5s-4 3-4 5.5V21M16 3v3.5c0 2.5-4 3.5-4 5.5s4 3 4 5.5V21',
  keyboard: 'M3 6.5h18v11H3zM7 10h.01M11 10h.01M15 10h.01M8 14h8',
  leave: 'M14 8V4H4v16h10v-4M9.5 12H21M17.5 8.5L21 12l-3.5 3.5',
  link: 'M10 14a4 4 0 005.7 0l3.1-3.1a4 4 0 00-5.7-5.7l-1 1M14 10a4 4 0 00-5.7 0l-3.1 3.1a4 4 0 005.7 5.7l1-1',
  lock: 'M6 11h12v9H6zM8.5 11V8a3.5 3.5 0 017 0v3M12 14.5v2.5',
  menu: 'M12 5.5v.01M12 12v.01M12 18.5v.01',
  moon: 'M20 14.5A8.5 8.5 0 119.5 4a7 7 0 0010.5 10.5z',
  pen: 'M4 20l1-4L16.5 4.5l3 3L8 19zM14 7l3 3',
  people: 'M9 11a3.5 3.5 0 100-7 3.5 3.5 0 000 7zM2.5 20c.5-4 3-6 6.5-6s6 2 6.5 6M16 4.3a3.5 3.5 0 010 6.4M18 14.3c2 .9 3.2 2.8 3.5 5.7',
  plus: 'M12 5v14M5 12h14',
  reply: 'M9 7l-5 5 5 5M4.5 12H14c4 0 6 2 6 6',
  search: 'M11 18a7 7 0 100-14 7 7 0 000 14zM16 16l4.5 4.5',
  send: 'M5 12h13M12.5 6l6 6-6 6',
  sent: 'M4 12h11M11 7.5l4.5 4.5L11 16.5M20 6v12',
  smile: 'M12 21a9 9 0 100-18 9 9 0 000 18zM8.5 14.2c.8 1.3 2 2 3.5 2s2.7-.7 3.5-2M9 9.6v.01M15 9.6v.01',
  sun: 'M12 16a4 4 0 100-8 4 4 0 000 8zM12 2.5v2M12 19.5v2M2.5 12h2M19.5 12h2M5.3 5.3l1.4 1.4M17.3 17.3l1.4 1.4M5.3 18.7l1.4-1.4M17.3 6.7l1.4-1.4',
  settings: 'M4 7h8M16 7h4M14 4.8v4.4M4 17h4M12 17h8M10 14.8v4.4',
  system: 'M3 5h18v11H3zM9 20h6M12 16v4',
  trash: 'M4.5 6.5h15M9.5 6.5V4h5v2.5M6.5 6.5l1 13.5h9l1-13.5M10 10.5v6M14 10.5v6',
  unlink: 'M9 15l6-6M10.5 6.7l1.6-1.5a4 4 0 015.7 5.7l-1.5 1.6M13.5 17.3l-1.6 1.5a4 4 0 01-5.7-5.7l1.5-1.6',
} as const

export type IconName = keyof typeof PATHS

export function Icon({ name, className }: { name: IconName; className?: string }) {
  return (
    <svg className={`icon icon-${name} ${className ?? ''}`} viewBox="0 0 24 24" aria-hidden="true">
      <path d={PATHS[name]} />
    </svg>
  )
}
