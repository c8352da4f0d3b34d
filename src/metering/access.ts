/**
 * Who may ask a meter, and how it proves which pod it sits in. All keys come from one secret of the installation.
 *
 * The meter of a whole node is asked with `meterKey` of a pod. The meter beside an agent holds `sessionMeterKey` of its session,
 * which the operator puts into a Secret; what it is asked with, and what it answers, are made from that key and the pod's UID, so
 * that an answer speaks for one pod and one question only.
 */
import { createHash, createHmac, timingSafeEqual } from 'node:crypto'

/** Port of the meter beside an agent, at the pod's address. */
export const METER_PORT = 9465

/** The bearer that a node's meter wants for one pod: whoever holds one pod's key reads no other's usage. base64url. */
export const meterKey = (secret: string, podUID: string): string => mac(secret, 'carrel-meter-v1', podUID)

/** What the meters of one session's pods hold, whichever incarnation. base64url. */
export const sessionMeterKey = (secret: string, sessionUID: string): string => mac(secret, 'carrel-session-meter-v1', sessionUID)

/** The bearer that the meter beside an agent wants for everything but a proof. */
export const sidecarBearer = (key: string, podUID: string): string => mac(key, 'carrel-meter-bearer-v1', podUID)

/** Shows that the asker holds the key, without telling it to whoever is at the address. `nonce`: base64url of 16 to 32 random bytes. */
export const proofRequest = (key: string, nonce: string, podUID: string): string => mac(key, 'carrel-meter-ask-v1', nonce, podUID)

/** Shows that the answering meter sits in the pod (design rule 1). */
export const proofOfPod = (key: string, nonce: string, podUID: string): string => mac(key, 'carrel-meter-proof-v1', nonce, podUID)

/** Shows that an answer is the meter's, and to this question: what listens at the pod's address may be the agent. */
export const sealOfAnswer = (key: string, nonce: string, podUID: string, body: string): string =>
  mac(key, 'carrel-meter-answer-v1', nonce, podUID, createHash('sha256').update(body).digest('base64url'))

/** Header of a question that the answer is sealed with, and of the seal. */
export const NONCE_HEADER = 'carrel-nonce'
export const SEAL_HEADER = 'carrel-seal'

export const isSame = (presented: string, expected: string): boolean => {
  const [a, b] = [Buffer.from(presented), Buffer.from(expected)]
  return a.length === b.length && timingSafeEqual(a, b)
}

export const isMeterKey = (presented: string, secret: string, podUID: string): boolean => isSame(presented, meterKey(secret, podUID))

/** No part can hold a colon: they are base64url, UIDs, or constants. */
function mac(key: string, ...parts: string[]): string {
  return createHmac('sha256', key).update(parts.join(':')).digest('base64url')
}
