/** Times and delays in words. Clocks of members may be wrong: these are shown and never used for order. */

const clock = new Intl.DateTimeFormat(undefined, { hour: 'numeric', minute: '2-digit' })
const day = new Intl.DateTimeFormat(undefined, { weekday: 'long', day: 'numeric', month: 'long' })
const dayAndYear = new Intl.DateTimeFormat(undefined, { day: 'numeric', month: 'long', year: 'numeric' })
const full = new Intl.DateTimeFormat(undefined, { dateStyle: 'full', timeStyle: 'medium' })

const DAY_MS = 86_400_000

function valid(time: string): Date | null {
  const date = new Date(time)
  return Number.isNaN(date.getTime()) ? null : date
}

export function clockTime(time: string): string {
  const date = valid(time)
  return date === null ? '' : clock.format(date)
}

export function fullTime(time: string): string {
  const date = valid(time)
  return date === null ? 'time unknown' : full.format(date)
}

export function date(time: string): string {
  const known = valid(time)
  return known === null ? 'an unknown day' : dayAndYear.format(known)
}

/** A key that is equal for times of the same local day. */
export function dayKey(time: string): string {
  const date = valid(time)
  return date === null ? '' : `${date.getFullYear()}-${date.getMonth() + 1}-${date.getDate()}`
}

export function dayName(time: string, now: number): string {
  const date = valid(time)
  if (date === null) return ''
  if (dayKey(time) === dayKey(new Date(now).toISOString())) return 'Today'
  if (dayKey(time) === dayKey(new Date(now - DAY_MS).toISOString())) return 'Yesterday'
  return date.getFullYear() === new Date(now).getFullYear() ? day.format(date) : dayAndYear.format(date)
}

/** A delay in as many digits as matter: 0.4 ms, 12 ms, 1.2 s. */
export function delay(ms: number | null | undefined): string {
  if (ms === null || ms === undefined || !Number.isFinite(ms)) return 'unreachable'
  if (ms < 9.95) return `${ms.toFixed(1)} ms`
  if (ms < 1000) return `${Math.round(ms)} ms`
  return `${(ms / 1000).toFixed(1)} s`
}

const UNITS: readonly [string, number][] = [['week', 604_800], ['day', 86_400], ['hour', 3_600], ['minute', 60], ['second', 1]]

/** How long something lasts, in the largest unit that says it exactly: "1 day", "36 hours". */
export function lasting(seconds: number): string {
  return counted(UNITS.find(([, each]) => seconds % each === 0), seconds)
}

function counted([unit, length]: readonly [string, number] = ['second', 1], seconds: number): string {
  const count = Math.floor(seconds / length)
  return `${count} ${unit}${count === 1 ? '' : 's'}`
}

/** About how much time is left, in one unit: "3 hours". Empty when none is. */
export function timeLeft(until: string, now: number): string {
  const date = valid(until)
  const seconds = date === null ? 0 : Math.floor((date.getTime() - now) / 1000)
  return seconds <= 0 ? '' : counted(UNITS.find(([, each]) => seconds >= each), seconds)
}

/** The time that is left, to the second: "9:05". */
export function countdown(until: string, now: number): string {
  const seconds = Math.max(0, Math.ceil(((valid(until)?.getTime() ?? now) - now) / 1000))
  return `${Math.floor(seconds / 60)}:${String(seconds % 60).padStart(2, '0')}`
}

const figures = new Intl.NumberFormat()
export const count = (number: number) => figures.format(number)

/** "Ann", "Ann and Bo", "Ann, Bo and Cy". */
export function list(names: readonly string[]): string {
  if (names.length < 2) return names.join('')
  return `${names.slice(0, -1).join(', ')} and ${names[names.length - 1]}`
}
