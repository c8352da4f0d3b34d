/** Adapter: certificates by the openssl command. */
import { execFileSync } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'

/** Makes an authority and, signed by it, `server.crt` and `server.key` for the loopback (and `more` names). Answers the authority's file. */
export function certificateFor(directory: string, more: readonly string[] = []): string {
  const openssl = (...parameters: string[]): void => void execFileSync('openssl', parameters, { cwd: directory, stdio: 'pipe' })
  const key = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes']
  openssl('req', '-x509', ...key, '-days', '2', '-subj', '/CN=test authority', '-keyout', 'ca.key', '-out', 'ca.crt')
  openssl('req', ...key, '-subj', '/CN=redis', '-keyout', 'server.key', '-out', 'server.csr')
  const names = ['IP:127.0.0.1', 'DNS:localhost', ...more.map((name) => `DNS:${name}`)]
  writeFileSync(join(directory, 'names'), `subjectAltName=${names.join(',')}\n`)
  const signing = ['-CA', 'ca.crt', '-CAkey', 'ca.key', '-CAcreateserial', '-days', '2', '-extfile', 'names']
  openssl('x509', '-req', '-in', 'server.csr', ...signing, '-out', 'server.crt')
  return join(directory, 'ca.crt')
}
