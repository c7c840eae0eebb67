import type { OwnDevice } from '../api/types'

/** As much of a device's id as tells a person's devices apart; `demes device revoke` takes it as well. */
const SHORT = 8

export function deviceName(device: OwnDevice): string {
  return device.this === true ? 'This device' : `Device ${device.device.slice(0, SHORT)}`
}
