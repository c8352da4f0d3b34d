/**
 * Adapter: draws the key of the API server's own certificate.
 *
 * kubectl (client-go's clientcmd) sends the bearer token of a kubeconfig over TLS only: to an `http://` server it sends
 * no credentials at all. So the laptop's API server speaks TLS, with a certificate for the loopback names that it made
 * itself and that its kubeconfig carries. Node makes keys but no certificates; the two hundred bytes of X.509 are here.
 */
import { generateKeyPairSync, randomBytes, sign } from 'node:crypto'
import type { KeyObject } from 'node:crypto'
import { bits, boolean, der, explicit, integer, objectIdentifier, octets, sequence, set, time, utf8 } from './der.ts'

/** PEM texts. The certificate is its own authority: clients trust exactly it. */
export interface Certificate {
  cert: string
  key: string
}

const DAY_MS = 86_400_000
/** A clock that is a day wrong still finds it valid. */
const BACKDATED_MS = DAY_MS
const LIFETIME_MS = 3650 * DAY_MS

const ECDSA_WITH_SHA256 = sequence(objectIdentifier('1.2.840.10045.4.3.2'))
const NAME = sequence(set(sequence(objectIdentifier('2.5.4.3'), utf8('carrel embedded API'))))

/** A fresh P-256 certificate for `localhost`, `127.0.0.1` and `::1` (RFC 5280), valid for ten years from `nowMs`. */
export function loopbackCertificate(nowMs: number): Certificate {
  const { publicKey, privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  const signed = toBeSigned(publicKey, nowMs)
  const signature = sign('sha256', signed, privateKey)
  return {
    cert: pem('CERTIFICATE', sequence(signed, ECDSA_WITH_SHA256, bits(signature))),
    key: privateKey.export({ type: 'pkcs8', format: 'pem' }).toString(),
  }
}

function toBeSigned(publicKey: KeyObject, nowMs: number): Buffer {
  const versionThree = explicit(0, integer(Buffer.from([2])))
  const serial = randomBytes(16)
  serial[0] = (serial[0]! & 0x7f) | 0x40
  const validity = sequence(time(nowMs - BACKDATED_MS), time(nowMs + LIFETIME_MS))
  const subjectKey = publicKey.export({ type: 'spki', format: 'der' })
  return sequence(versionThree, integer(serial), ECDSA_WITH_SHA256, NAME, validity, NAME, subjectKey, explicit(3, extensions()))
}

function extensions(): Buffer {
  const DNS = 0x82
  const IP = 0x87
  const names = [
    der(DNS, Buffer.from('localhost')),
    der(IP, Buffer.from([127, 0, 0, 1])),
    der(IP, Buffer.from([...Array.from({ length: 15 }, () => 0), 1])),
  ]
  const SIGNS_AND_CERTIFIES = Buffer.from([0x84])
  return sequence(
    extension('2.5.29.19', true, sequence(boolean(true))),
    extension('2.5.29.15', true, bits(SIGNS_AND_CERTIFIES, 2)),
    extension('2.5.29.37', false, sequence(objectIdentifier('1.3.6.1.5.5.7.3.1'))),
    extension('2.5.29.17', false, sequence(...names)),
  )
}

function extension(id: string, critical: boolean, value: Buffer): Buffer {
  return sequence(objectIdentifier(id), ...(critical ? [boolean(true)] : []), octets(value))
}

function pem(label: string, content: Buffer): string {
  const lines = content.toString('base64').match(/.{1,64}/g)!
  return `-----BEGIN ${label}-----\n${lines.join('\n')}\n-----END ${label}-----\n`
}
