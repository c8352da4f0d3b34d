/** Adapter: reads meters over HTTP. */
import { randomBytes } from 'node:crypto'
import { Agent, request, type Dispatcher } from 'undici'
import {
  isSame,
  METER_PORT,
  meterKey,
  NONCE_HEADER,
  SEAL_HEADER,
  sealOfAnswer,
  sessionMeterKey,
  sidecarBearer,
} from '../../metering/access.ts'
import { usageReport, type UsageReport } from '../../metering/report.ts'
import type { MeterAnswer, Meters } from '../env.ts'
import type { OperatorSettings } from '../settings.ts'

const ANSWER_WITHIN_MS = 1_000
const LONGEST_BODY_BYTES = 64 * 1024
const CONNECTIONS = 16
const NONCE_BYTES = 16

/** Nobody measures: sessions have no usage. */
export const NO_METERS: Meters = { read: async () => 'unmetered', acknowledge: async () => {} }

type Ask = (method: 'GET' | 'DELETE', url: string, headers: Record<string, string>) => Promise<Dispatcher.ResponseData>

/**
 * One meter for all pods at `meterUrl`, else each pod's own at its address, where pods have one (`meterImage`). Follows no redirect; a report about another pod is an
 * error, and so is the answer of a pod that its own meter did not seal. Close it when the process ends.
 */
export function httpMeters({
  meterUrl,
  meterImage,
  meterSecret,
}: Pick<OperatorSettings, 'meterUrl' | 'meterImage' | 'meterSecret'>): Meters & { close(): Promise<void> } {
  if (meterSecret === undefined || (meterUrl ?? meterImage) === undefined) return { ...NO_METERS, close: async () => {} }
  const dispatcher = new Agent({
    connect: { timeout: ANSWER_WITHIN_MS },
    keepAliveTimeout: 4_000,
    connections: CONNECTIONS,
    maxResponseSize: LONGEST_BODY_BYTES,
  })
  const ask: Ask = (method, url, headers) => request(url, { method, dispatcher, headers, signal: AbortSignal.timeout(ANSWER_WITHIN_MS) })
  const meters = meterUrl === undefined ? metersOfPods(ask, meterSecret) : meterOfAll(ask, new URL(meterUrl).origin, meterSecret)
  return { ...meters, close: () => dispatcher.destroy() }
}

/** It knows pods that are gone too, until they are acknowledged. */
function meterOfAll(ask: Ask, origin: string, secret: string): Meters {
  const about = (method: 'GET' | 'DELETE', podUID: string): Promise<Dispatcher.ResponseData> =>
    ask(method, `${origin}/usage/${encodeURIComponent(podUID)}`, { authorization: `Bearer ${meterKey(secret, podUID)}` })
  return {
    async read({ uid }) {
      const { statusCode, body } = await about('GET', uid)
      const text = await body.text()
      return statusCode === 404 ? 'unknown' : reportIn(statusCode, text, uid)
    },
    async acknowledge(podUID) {
      const { statusCode, body } = await about('DELETE', podUID)
      await body.dump()
      if (statusCode !== 204 && statusCode !== 404) throw new Error(`the meter answered ${statusCode}`)
    },
  }
}

/** Each beside its agent. The agent could have taken its port: what is not sealed with the session's key is no answer. */
function metersOfPods(ask: Ask, secret: string): Meters {
  return {
    async read({ uid, sessionUID, address }): Promise<MeterAnswer> {
      if (address === undefined) return 'unmetered' // the pod is gone, and its meter with it
      const key = sessionMeterKey(secret, sessionUID)
      const nonce = randomBytes(NONCE_BYTES).toString('base64url')
      const host = address.includes(':') ? `[${address}]` : address
      const { statusCode, headers, body } = await ask('GET', `http://${host}:${METER_PORT}/usage/${encodeURIComponent(uid)}`, {
        authorization: `Bearer ${sidecarBearer(key, uid)}`,
        [NONCE_HEADER]: nonce,
      })
      const text = await body.text()
      if (!isSame(String(headers[SEAL_HEADER]), sealOfAnswer(key, nonce, uid, text)))
        throw new Error(`the pod's meter answered ${statusCode} without its seal: is another program on port ${METER_PORT}?`)
      return statusCode === 404 ? notVisibleIn(text) : reportIn(statusCode, text, uid)
    },
    acknowledge: async () => {}, // it went with the pod
  }
}

function reportIn(statusCode: number, text: string, podUID: string): UsageReport {
  if (statusCode !== 200) throw new Error(`the meter answered ${statusCode}`)
  const report = usageReport.parse(JSON.parse(text))
  if (report.podUID !== podUID) throw new Error('the meter answered about another pod')
  return report
}

function notVisibleIn(text: string): { notVisible: string } {
  const { message } = JSON.parse(text) as { message?: unknown }
  return { notVisible: typeof message === 'string' ? message.slice(0, 500) : 'its meter cannot see the pod' }
}
