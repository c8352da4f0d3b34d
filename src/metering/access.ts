import { createHmac, timingSafeEqual } from 'node:crypto'

/** Port of the meter beside an agent, at the pod's address. */
export const METER_PORT = 9465
const KEY_VERSION = 'carrel-meter-v1'

/**
 * The bearer that a meter wants for one pod: derived from the installation's secret, so that whoever holds one pod's key
 * reads no other's usage. base64url.
 */
export function meterKey(secret: string, podUID: string): string {
  return createHmac('sha256', secret).update(`${KEY_VERSION}:${podUID}`).digest('base64url')
}

export function isMeterKey(presented: string, secret: string, podUID: string): boolean {
  const [given, expected] = [Buffer.from(presented), Buffer.from(meterKey(secret, podUID))]
  return given.length === expected.length && timingSafeEqual(given, expected)
}
