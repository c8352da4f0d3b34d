/**
 * Adapter: asks the meter at a pod's address for the proof that it sits in that pod (design rule 1), by HTTP.
 *
 * Promises: 'proven' is answered only for the holder of the session's key that speaks for this very pod and for a nonce that was
 * made for this question. It reads at most 512 bytes of a body, follows nobody, and ends in time.
 */
import { request, type IncomingMessage } from 'node:http'
import type { Random } from '../../env/random.ts'
import { METER_PORT, isSame, proofOfPod, proofRequest, sessionMeterKey } from '../../metering/access.ts'
import type { Unproven, UpstreamPod } from '../upstream.ts'
import { Turns } from './turns.ts'

export type Proof = 'proven' | Unproven
/** Asked once for each connection, after it is open. Never rejects. */
export type Prove = (pod: UpstreamPod) => Promise<Proof>

const TIMEOUT_MS = 1_000
const LONGEST_BODY_BYTES = 512
const LONGEST_HEAD_BYTES = 4_096
const NONCE_BYTES = 16
/** Of one pod at a time: its meter is small, and serves other gateways, too. */
const MOST_QUESTIONS = 8

interface Prover {
  random: Random
  /** The installation's secret: every session's key comes from it. */
  secret: string
  /** For each question. Default a second. */
  timeoutMs?: number
  /** Hears of each. */
  told?: (proof: Proof) => void
}

export function meterProof({ random, secret, timeoutMs = TIMEOUT_MS, told }: Prover): Prove {
  const turns = new Turns(MOST_QUESTIONS)
  const prove: Prove = async (pod) => {
    const key = sessionMeterKey(secret, pod.sessionUID)
    const nonce = Buffer.from(random.bytes(NONCE_BYTES)).toString('base64url')
    const answer = await ask(pod.address, `/proof?nonce=${nonce}&ask=${proofRequest(key, nonce, pod.uid)}`, timeoutMs)
    const proof = typeof answer === 'string' ? answer : judge(answer, pod.uid, proofOfPod(key, nonce, pod.uid))
    told?.(proof)
    return proof
  }
  return (pod) => turns.run(pod.uid, () => prove(pod))
}

interface Answer {
  status: number
  body: string
}

function judge({ status, body }: Answer, podUID: string, expected: string): Proof {
  if (status === 403) return 'otherPod'
  const given = status === 200 ? parse(body) : undefined
  if (given === undefined) return 'unreadable'
  return isSame(given.proof, expected) && given.podUID === podUID ? 'proven' : 'otherPod'
}

function parse(body: string): { podUID: string; proof: string } | undefined {
  try {
    const { podUID, proof } = JSON.parse(body) as { podUID?: unknown; proof?: unknown }
    return typeof podUID === 'string' && typeof proof === 'string' ? { podUID, proof } : undefined
  } catch {
    return undefined
  }
}

/** A connection of its own for each question: one that was kept might lead to whoever had the address before. */
function ask(host: string, path: string, timeoutMs: number): Promise<Answer | Unproven> {
  return new Promise((resolve) => {
    const asked = request({ host, port: METER_PORT, path, agent: false, maxHeaderSize: LONGEST_HEAD_BYTES })
    const timer = setTimeout(() => settle('noMeter'), timeoutMs)
    function settle(answer: Answer | Unproven): void {
      clearTimeout(timer)
      asked.destroy()
      resolve(answer)
    }
    asked.once('response', (response) => void read(response).then(settle))
    asked.on('error', (error: NodeJS.ErrnoException) => settle(error.code?.startsWith('HPE_') ? 'unreadable' : 'noMeter'))
    asked.once('close', () => settle('noMeter')) // whatever else ends it, such as an upgrade that nobody asked for
    asked.end()
  })
}

async function read(response: IncomingMessage): Promise<Answer | Unproven> {
  const status = response.statusCode ?? 0
  if (status !== 200) return { status, body: '' }
  const chunks: Buffer[] = []
  let bytes = 0
  try {
    for await (const chunk of response as AsyncIterable<Buffer>) {
      bytes += chunk.length
      if (bytes > LONGEST_BODY_BYTES) return 'unreadable'
      chunks.push(chunk)
    }
  } catch {
    return 'noMeter' // broke off
  }
  return { status, body: Buffer.concat(chunks).toString() }
}
