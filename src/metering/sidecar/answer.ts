/**
 * What the meter beside an agent answers, and to whom. Pure.
 *
 * Everything is said to holders of its key only; to all others nothing that they did not bring themselves (security rule 11).
 */
import { isSame, proofOfPod, proofRequest, sealOfAnswer, sidecarBearer } from '../access.ts'
import type { UsageReport } from '../report.ts'
import type { AgentState } from './agent-watch.ts'

export interface MeterView {
  key: string
  podUID: string
  usage(): UsageReport | { notVisible: string }
  agent(): AgentState
}

export interface Question {
  method: string
  /** As on the request line. */
  target: string
  authorization: string | undefined
  /** Of `NONCE_HEADER`. */
  nonce: string | undefined
}

export interface Answer {
  status: 200 | 401 | 403 | 404
  /** JSON. */
  body: string
  /** Of the body, when the question had a nonce. */
  seal?: string
}

/** base64url of 16 to 32 bytes: less could be guessed, and was then perhaps answered before. */
const NONCE = /^[\w-]{22,43}$/
const PROOF = /^\/proof\?nonce=([\w-]{22,43})&ask=([\w-]{1,86})$/
const USAGE = /^\/usage\/([\w-]{1,64})$/

/**
 * - `/proof?nonce=N&ask=A`: 200 `{podUID, proof}`; 403 when A shows no key, or means another pod (`src/metering/access.ts`).
 * - `/usage/<pod UID>`: 200 with the report; 404 `{reason: 'NotVisible', message}` where the pod cannot be seen from inside.
 * - `/agent`: 200 with the agent's state.
 *
 * The last two want the bearer, else 401. All else is 404.
 */
export function answerOf(question: Question, view: MeterView): Answer {
  if (question.method !== 'GET') return NOTHING
  const proof = PROOF.exec(question.target)
  if (proof) return proofFor(proof[1]!, proof[2]!, view)
  const podUID = USAGE.exec(question.target)?.[1]
  if (podUID === undefined && question.target !== '/agent') return NOTHING
  if (!isHolder(question, view)) return said(401, { message: 'a bearer of this meter is needed' })
  if (podUID === undefined) return sealed(said(200, view.agent()), question, view)
  if (podUID !== view.podUID) return NOTHING
  const usage = view.usage()
  const answer = 'notVisible' in usage ? said(404, { reason: NOT_VISIBLE, message: usage.notVisible }) : said(200, usage)
  return sealed(answer, question, view)
}

/** Reason of the 404 of a meter that cannot see the pod. */
const NOT_VISIBLE = 'NotVisible'

function proofFor(nonce: string, ask: string, { key, podUID }: MeterView): Answer {
  if (!isSame(ask, proofRequest(key, nonce, podUID))) return said(403, { message: 'this question shows no key of this pod' })
  return said(200, { podUID, proof: proofOfPod(key, nonce, podUID) })
}

function isHolder({ authorization }: Question, { key, podUID }: MeterView): boolean {
  const bearer = /^Bearer (\S{1,128})$/i.exec(authorization ?? '')?.[1]
  return bearer !== undefined && isSame(bearer, sidecarBearer(key, podUID))
}

function sealed(answer: Answer, { nonce }: Question, { key, podUID }: MeterView): Answer {
  return nonce !== undefined && NONCE.test(nonce) ? { ...answer, seal: sealOfAnswer(key, nonce, podUID, answer.body) } : answer
}

function said(status: Answer['status'], body: object): Answer {
  return { status, body: JSON.stringify(body) }
}

const NOTHING = said(404, { message: 'there is nothing here' })
