/** Adapter: reads meters over HTTP. */
import { Agent, request, type Dispatcher } from 'undici'
import { METER_PORT, meterKey } from '../../metering/access.ts'
import { usageReport } from '../../metering/report.ts'
import type { Meters } from '../env.ts'
import type { OperatorSettings } from '../settings.ts'

const ANSWER_WITHIN_MS = 1_000
const LONGEST_BODY_BYTES = 64 * 1024
const CONNECTIONS = 16

/** Nobody measures: sessions have no usage. */
export const NO_METERS: Meters = { read: async () => 'unmetered', acknowledge: async () => {} }

/**
 * One meter for all pods at `meterUrl`, else each pod's own at its address. Follows no redirect; a report about another pod is
 * an error. Close it when the process ends.
 */
export function httpMeters({
  meterUrl,
  meterSecret,
}: Pick<OperatorSettings, 'meterUrl' | 'meterSecret'>): Meters & { close(): Promise<void> } {
  if (meterSecret === undefined) return { ...NO_METERS, close: async () => {} }
  const dispatcher = new Agent({
    connect: { timeout: ANSWER_WITHIN_MS },
    keepAliveTimeout: 4_000,
    connections: CONNECTIONS,
    maxResponseSize: LONGEST_BODY_BYTES,
  })
  const ask = (method: 'GET' | 'DELETE', origin: string, podUID: string): Promise<Dispatcher.ResponseData> =>
    request(`${origin}/usage/${encodeURIComponent(podUID)}`, {
      method,
      dispatcher,
      headers: { authorization: `Bearer ${meterKey(meterSecret, podUID)}` },
      signal: AbortSignal.timeout(ANSWER_WITHIN_MS),
    })
  return {
    async read(podUID, address) {
      const origin = meterUrl === undefined ? address && `http://${address}:${METER_PORT}` : new URL(meterUrl).origin
      if (origin === undefined) return 'unmetered' // the pod is gone, and its meter with it
      const { statusCode, body } = await ask('GET', origin, podUID)
      const text = await body.text()
      if (statusCode === 404) return 'unknown'
      if (statusCode !== 200) throw new Error(`the meter answered ${statusCode}`)
      const report = usageReport.parse(JSON.parse(text))
      if (report.podUID !== podUID) throw new Error('the meter answered about another pod')
      return report
    },
    async acknowledge(podUID) {
      if (meterUrl === undefined) return // a pod's own meter went with it
      const { statusCode, body } = await ask('DELETE', new URL(meterUrl).origin, podUID)
      await body.dump()
      if (statusCode !== 204 && statusCode !== 404) throw new Error(`the meter answered ${statusCode}`)
    },
    close: () => dispatcher.destroy(),
  }
}
