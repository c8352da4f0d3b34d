import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { kubeconfigFor } from '../../src/local/api/http/kubeconfig.ts'
import type { User } from '../control-plane/credentials.ts'
import { apiServerFlags, etcdFlags } from '../control-plane/flags.ts'
import type { Part } from '../control-plane/part.ts'
import type { Claim } from './claim.ts'
import { DNS_DOMAIN } from './kubelet.ts'
import type { Machine } from './machine.ts'

/** Of a network of its own, where every port is free. */
const ETCD_URL = 'http://127.0.0.1:2379'
const API_PORT = 6443

/** What an installation by a chart, and the pods it brings, need. */
const CONTROLLERS = [
  'clusterrole-aggregation-controller',
  'cronjob-controller',
  'daemonset-controller',
  'deployment-controller',
  'disruption-controller',
  'endpoints-controller',
  'endpointslice-controller',
  'ephemeral-volume-controller',
  'garbage-collector-controller',
  'horizontal-pod-autoscaler-controller',
  'job-controller',
  'namespace-controller',
  'node-lifecycle-controller',
  'persistentvolume-binder-controller',
  'persistentvolume-protection-controller',
  'persistentvolumeclaim-protection-controller',
  'pod-garbage-collector-controller',
  'replicaset-controller',
  'resourcequota-controller',
  'root-ca-certificate-publisher-controller',
  'serviceaccount-controller',
  'serviceaccount-token-controller',
  'statefulset-controller',
  'taint-eviction-controller',
  'ttl-after-finished-controller',
]

/** The parts beside containerd and the kubelet, each as the user that Kubernetes has for it. */
export class Control {
  readonly server: string
  readonly #machine: Machine
  readonly #claim: Claim
  readonly #binaries: { kubernetes: string; coredns: string }
  readonly #users: User[]

  constructor(machine: Machine, claim: Claim, binaries: { kubernetes: string; coredns: string }, users: User[]) {
    this.#machine = machine
    this.#claim = claim
    this.#binaries = binaries
    this.#users = users
    this.server = `https://${claim.nodeAddress}:${API_PORT}`
  }

  startEtcd(): void {
    this.#part('etcd', etcdFlags(this.#claim.directory, ETCD_URL, 'http://127.0.0.1:2380'))
  }

  /** `isReady` is asked once there is a certificate to trust. */
  async startApiServer(isReady: () => Promise<boolean>): Promise<void> {
    const { directory, nodeAddress, serviceRange } = this.#claim
    const at = { etcdUrl: ETCD_URL, address: nodeAddress, port: API_PORT, serviceRange }
    const flags = [...apiServerFlags(directory, at), '--allow-privileged=true', `--advertise-address=${nodeAddress}`]
    const apiServer = this.#part('kube-apiserver', flags)
    await apiServer.until('the API server is ready', async () => {
      this.#writeKubeconfigs()
      return isReady()
    })
  }

  startControllers(nodeMonitorGraceSeconds: number): void {
    const { directory } = this.#claim
    this.#part('kube-controller-manager', [
      `--kubeconfig=${this.kubeconfigOf('system:kube-controller-manager')}`,
      '--leader-elect=false',
      `--controllers=${CONTROLLERS.join(',')}`,
      '--bind-address=127.0.0.1',
      `--cert-dir=${join(directory, 'controller-manager')}`,
      `--root-ca-file=${join(directory, 'apiserver.crt')}`,
      `--service-account-private-key-file=${join(directory, 'service-accounts.key')}`,
      '--use-service-account-credentials=true',
      '--node-monitor-period=1s',
      `--node-monitor-grace-period=${nodeMonitorGraceSeconds}s`,
      '--horizontal-pod-autoscaler-sync-period=5s',
    ])
    const scheduler = [`--kubeconfig=${this.kubeconfigOf('system:kube-scheduler')}`, '--leader-elect=false', '--bind-address=127.0.0.1']
    this.#part('kube-scheduler', [...scheduler, `--cert-dir=${join(directory, 'scheduler')}`])
  }

  startNetwork(nodeName: string): void {
    const { directory, nodeAddress, podRange } = this.#claim
    const proxy = {
      apiVersion: 'kubeproxy.config.k8s.io/v1alpha1',
      kind: 'KubeProxyConfiguration',
      clientConnection: { kubeconfig: this.kubeconfigOf('system:kube-proxy') },
      hostnameOverride: nodeName,
      clusterCIDR: podRange,
      mode: 'iptables',
      iptables: { minSyncPeriod: '100ms' },
      // Of the whole machine, and not this one's to set.
      conntrack: { maxPerCore: 0, min: 0, tcpEstablishedTimeout: '0s', tcpCloseWaitTimeout: '0s' },
      oomScoreAdj: 0,
      healthzBindAddress: '127.0.0.1:10256',
      metricsBindAddress: '127.0.0.1:10249',
    }
    const proxyFile = join(directory, 'kube-proxy.json')
    writeFileSync(proxyFile, JSON.stringify(proxy))
    this.#part('kube-proxy', [`--config=${proxyFile}`])
    const names = `.:53 {
  bind ${nodeAddress}
  errors
  kubernetes ${DNS_DOMAIN} in-addr.arpa {
    kubeconfig ${this.kubeconfigOf('admin')}
    pods insecure
    ttl 1
  }
  cache 1
}
`
    writeFileSync(join(directory, 'Corefile'), names)
    this.#part('coredns', ['-conf', join(directory, 'Corefile')])
  }

  kubeconfigOf(user: string): string {
    return join(this.#claim.directory, 'users', user)
  }

  #writeKubeconfigs(): void {
    const ca = readFileSync(join(this.#claim.directory, 'apiserver.crt'), 'utf8')
    mkdirSync(join(this.#claim.directory, 'users'), { recursive: true, mode: 0o700 })
    for (const { name, token } of this.#users) {
      const access = { server: this.server, ca, token, user: name, namespace: 'default' }
      writeFileSync(this.kubeconfigOf(name), kubeconfigFor(access), { mode: 0o600 })
    }
  }

  #part(name: string, flags: string[]): Part {
    const folder = name === 'coredns' ? this.#binaries.coredns : this.#binaries.kubernetes
    return this.#machine.part(name, [join(folder, name), ...flags])
  }
}
