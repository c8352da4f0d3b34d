import { spawnSync } from 'node:child_process'
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

export interface User {
  name: string
  token: string
  groups: string[]
}

/** How much of each request the audit log holds. */
export type AuditLevel = 'Metadata' | 'RequestResponse'

/** The files that `apiServerFlags` names: keys of the service accounts and towards the kubelet, the users' tokens, what is audited. */
export function writeCredentials(directory: string, users: User[], auditLevel: AuditLevel): void {
  mkdirSync(directory, { recursive: true, mode: 0o700 })
  const write = (file: string, text: string): void => writeFileSync(join(directory, file), text, { mode: 0o600 })
  write('tokens.csv', users.map(({ name, token, groups }) => `${token},${name},${name},"${groups.join(',')}"\n`).join(''))
  const policy = { apiVersion: 'audit.k8s.io/v1', kind: 'Policy', omitStages: ['RequestReceived', 'ResponseStarted'] }
  write('audit-policy.json', JSON.stringify({ ...policy, rules: [{ level: auditLevel }] }))
  const openssl = (parameters: string): void => {
    const { status, stderr } = spawnSync('openssl', parameters.split(' '), { cwd: directory, encoding: 'utf8' })
    if (status !== 0) throw new Error(`openssl ${parameters}: ${stderr}`)
  }
  const key = '-newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes'
  openssl('genpkey -algorithm RSA -pkeyopt rsa_keygen_bits:2048 -out service-accounts.key')
  openssl(`req -x509 ${key} -keyout client-ca.key -out client-ca.crt -days 3650 -subj /CN=carrel-client-ca`)
  openssl(`req ${key} -keyout kubelet-client.key -out kubelet-client.csr -subj /O=system:masters/CN=kube-apiserver-kubelet-client`)
  openssl('x509 -req -in kubelet-client.csr -CA client-ca.crt -CAkey client-ca.key -CAcreateserial -days 3650 -out kubelet-client.crt')
}
