import { join } from 'node:path'

/** etcd with its data in the folder. Nothing here outlives a run: it need not reach the disk. */
export function etcdFlags(directory: string, clientUrl: string, peerUrl: string): string[] {
  return [
    `--data-dir=${join(directory, 'etcd')}`,
    `--listen-client-urls=${clientUrl}`,
    `--advertise-client-urls=${clientUrl}`,
    `--listen-peer-urls=${peerUrl}`,
    `--initial-advertise-peer-urls=${peerUrl}`,
    `--initial-cluster=default=${peerUrl}`,
    '--unsafe-no-fsync',
    '--log-level=error',
  ]
}

/** kube-apiserver with the files of `writeCredentials`, and an audit log beside them. It makes its own certificate, `apiserver.crt`. */
export function apiServerFlags(directory: string, at: { etcdUrl: string; address: string; port: number; serviceRange: string }): string[] {
  const file = (name: string): string => join(directory, name)
  return [
    `--etcd-servers=${at.etcdUrl}`,
    `--bind-address=${at.address}`,
    `--secure-port=${at.port}`,
    `--cert-dir=${directory}`,
    `--service-cluster-ip-range=${at.serviceRange}`,
    '--authorization-mode=Node,RBAC',
    `--token-auth-file=${file('tokens.csv')}`,
    `--client-ca-file=${file('client-ca.crt')}`,
    `--kubelet-client-certificate=${file('kubelet-client.crt')}`,
    `--kubelet-client-key=${file('kubelet-client.key')}`,
    '--kubelet-preferred-address-types=InternalIP',
    '--service-account-issuer=https://kubernetes.default.svc',
    `--service-account-key-file=${file('service-accounts.key')}`,
    `--service-account-signing-key-file=${file('service-accounts.key')}`,
    `--audit-policy-file=${file('audit-policy.json')}`,
    `--audit-log-path=${file('audit.log')}`,
    '--profiling=false',
  ]
}
