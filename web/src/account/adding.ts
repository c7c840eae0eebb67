/** How far the user is with adding a device. Pure: what was done here and what the node says give the step. */
import type { Devices, Invite, OwnDevice, PendingDevice } from '../api/types'

export interface Adding {
  /** The link that was made last. */
  link: Invite | null
  /** The device that the user confirmed. */
  taken: PendingDevice | null
  /** The user refused whoever used the link before this one. */
  refused: boolean
}

export const notAdding: Adding = { link: null, taken: null, refused: false }

export type Step =
  | { kind: 'making' }
  | { kind: 'link'; link: Invite }
  | { kind: 'over' }
  | { kind: 'refused' }
  | { kind: 'asks'; pending: PendingDevice }
  | { kind: 'comes'; label: string; chats: number; of: number }
  | { kind: 'in'; label: string; of: number }

function chatsOf(devices: readonly OwnDevice[], is: (device: OwnDevice) => boolean): number {
  return devices.find(is)?.chats ?? 0
}

/** A device that was taken in comes into one chat after the other; others have to be online for that. */
function coming(taken: PendingDevice, devices: Devices): Step {
  const of = chatsOf(devices.devices, (device) => device.this === true)
  const chats = chatsOf(devices.devices, (device) => device.device === taken.device)
  return chats >= of ? { kind: 'in', label: taken.label, of } : { kind: 'comes', label: taken.label, chats, of }
}

export function stepOf(adding: Adding, devices: Devices, now: number): Step {
  if (devices.pending !== undefined && devices.pending.device !== adding.taken?.device) return { kind: 'asks', pending: devices.pending }
  if (adding.taken !== null) return coming(adding.taken, devices)
  if (adding.refused) return { kind: 'refused' }
  if (adding.link === null) return { kind: 'making' }
  return Date.parse(adding.link.expires_at) > now ? { kind: 'link', link: adding.link } : { kind: 'over' }
}

/** Whether a link has to be made for the dialog to have something to show. */
export function needsLink(step: Step): boolean {
  return step.kind === 'making'
}
