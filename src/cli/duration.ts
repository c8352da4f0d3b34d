import { misuse } from './failure.ts'

const UNIT_MS = { s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 }
type Unit = keyof typeof UNIT_MS

/** `90s`, `15m`, `1h`, `7d`, or some together (`1h30m`), in milliseconds. `0` is none. Throws a misuse otherwise. */
export function parseDuration(text: string, flag: string): number {
  if (text === '0') return 0
  const parts = [...text.matchAll(/(\d{1,6})([smhd])/g)]
  if (parts.length === 0 || parts.map(([part]) => part).join('') !== text) {
    throw misuse(`${flag} ${JSON.stringify(text.slice(0, 40))} is no duration: write it as 30s, 15m, 1h or 1h30m`)
  }
  return parts.reduce((sum, [, count, unit]) => sum + Number(count) * UNIT_MS[unit as Unit], 0)
}

/** As kubectl shows ages: `45s`, `12m`, `3h20m`, `2d4h`. */
export function shownDuration(ms: number): string {
  const seconds = Math.max(0, Math.floor(ms / 1_000))
  if (seconds < 120) return `${seconds}s`
  const [minutes, hours, days] = [Math.floor(seconds / 60), Math.floor(seconds / 3_600), Math.floor(seconds / 86_400)]
  if (minutes < 120) return `${minutes}m`
  if (days < 2) return twoUnits(hours, 'h', minutes % 60, 'm')
  return twoUnits(days, 'd', hours % 24, 'h')
}

function twoUnits(large: number, largeUnit: string, small: number, smallUnit: string): string {
  return small === 0 ? `${large}${largeUnit}` : `${large}${largeUnit}${small}${smallUnit}`
}
