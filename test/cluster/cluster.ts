/**
 * A whole Kubernetes of one node on this machine, for tests: etcd, kube-apiserver, kube-controller-manager, kube-scheduler,
 * kube-proxy, CoreDNS, containerd with runc, and a kubelet, all real. It has processes, mounts and a network of its own; a
 * process here reaches its API server, node, pods and Services by their addresses. Root on Linux is needed.
 *
 *   const cluster = await Cluster.start({ images: [imageArchive('probe')] })
 *   execFileSync(kubectl, ['--kubeconfig', cluster.kubeconfig, 'get', 'pods', '--all-namespaces'])
 *   await cluster.stop()
 *
 * Nothing outlives the process that started it, even when that is killed; files and empty cgroups are removed by `stop` or
 * by the next start of any cluster. Images come from archives, and pods say imagePullPolicy Never or IfNotPresent; or from a
 * registry by `useRegistry`. The runtime handler is `runc`. NetworkPolicies are kept by the API server and not enforced.
 */
import { randomBytes } from 'node:crypto'
import { chmodSync, existsSync, mkdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { KubeClient } from '../../src/kube/client.ts'
import { loadCluster } from '../../src/kube/credentials.ts'
import { httpTransport, type ClusterAccess } from '../../src/kube/http-transport.ts'
import type { AuditLine } from '../control-plane/control-plane.ts'
import { writeCredentials, type AuditLevel, type User } from '../control-plane/credentials.ts'
import { makeCgroups } from './cgroups.ts'
import { claim, release, type Claim } from './claim.ts'
import { Containers } from './containers.ts'
import { Control } from './control.ts'
import { imageArchive } from './images/archives.ts'
import { Kubelet, NODE_NAME } from './kubelet.ts'
import { Machine } from './machine.ts'

const SANDBOX_IMAGE = 'docker.io/library/carrel-test-pause:latest'
const NODES = { group: '', version: 'v1', kind: 'Node', plural: 'nodes', namespaced: false }
const ACCOUNTS = { group: '', version: 'v1', kind: 'ServiceAccount', plural: 'serviceaccounts', namespaced: true }

export interface ClusterOptions {
  /** OCI archives whose images the node has. */
  images?: string[]
  /** How much of each request the audit log holds. Default Metadata. */
  auditLevel?: AuditLevel
  /** A node that has said nothing for as long is not ready; its pods are evicted as their tolerations say. Default 40. */
  nodeMonitorGraceSeconds?: number
  /** Default 200. */
  maxPods?: number
  /** PersistentVolumes that wait for a claim, each a folder of this machine. Default none. */
  volumes?: number
  /** Folders of this machine that every container has too, at the same path. Default none. */
  shared?: string[]
  /** Holds Kubernetes' parts and etcd. Default: what `npm test` prepared. */
  binaries?: string
  /** Holds containerd, its shim and CoreDNS. Default: what `npm test` prepared. */
  nodeBinaries?: string
}

export class Cluster {
  readonly nodeName = NODE_NAME
  readonly #claim: Claim
  readonly #adminToken: string
  #machine: Machine | undefined
  #control: Control | undefined
  #containers: Containers | undefined
  #kubelet: Kubelet | undefined

  private constructor(claimed: Claim) {
    this.#claim = claimed
    this.#adminToken = randomBytes(24).toString('base64url')
  }

  /** Resolves when the node is ready and the images are there. */
  static async start(options: ClusterOptions = {}): Promise<Cluster> {
    if (process.getuid?.() !== 0) throw new Error('a cluster makes networks, mounts and cgroups: run as root, on Linux')
    const cluster = new Cluster(await claim())
    try {
      await cluster.#start(options)
      return cluster
    } catch (error) {
      await cluster.stop()
      throw error
    }
  }

  /** Path of a kubeconfig of an administrator (system:masters). */
  get kubeconfig(): string {
    return this.#control!.kubeconfigOf('admin')
  }

  /** Path of the kubeconfig of the node's kubelet. */
  get kubeletKubeconfig(): string {
    return this.#control!.kubeconfigOf(`system:node:${NODE_NAME}`)
  }

  get adminToken(): string {
    return this.#adminToken
  }

  /** For `httpTransport`. */
  get access(): ClusterAccess {
    return loadCluster({ kubeconfig: this.kubeconfig })
  }

  get server(): string {
    return this.#control!.server
  }

  /** Certificate, in PEM, that the API server's is to be checked by. */
  get ca(): string {
    return readFileSync(join(this.directory, 'apiserver.crt'), 'utf8')
  }

  get directory(): string {
    return this.#claim.directory
  }

  get nodeAddress(): string {
    return this.#claim.nodeAddress
  }

  /** This machine, as seen from the node and its pods. */
  get hostAddress(): string {
    return this.#claim.hostAddress
  }

  /** Below each hierarchy of cgroups, the group in which the pods are. */
  get cgroupRoot(): string {
    return `/${this.#claim.name}`
  }

  get auditFile(): string {
    return join(this.directory, 'audit.log')
  }

  audit(): AuditLine[] {
    const lines = readFileSync(this.auditFile, 'utf8').split('\n')
    return lines.filter((line) => line !== '').map((line) => JSON.parse(line) as AuditLine)
  }

  /** Stopped, it leaves the containers running. Started again, it takes them over. */
  get kubelet(): { stop(): Promise<void>; start(): void } {
    return this.#kubelet!
  }

  /** Path of the node's network namespace. */
  get netns(): string {
    return this.#machine!.netns
  }

  /** A command on the node: its output. */
  run(command: string[]): Promise<string> {
    return this.#machine!.run(command)
  }

  /** Puts the images of an OCI archive onto the node, by the names that it carries. */
  importImage(archive: string): Promise<void> {
    return this.#containers!.import(archive)
  }

  /** Gives an image of the node another name too; both as `docker.io/library/name:tag`. */
  nameImage(reference: string, name: string): Promise<void> {
    return this.#containers!.name(reference, name)
  }

  /** Pulls of a registry, such as `registry.test`, go to a server at this URL; `hostAddress` is this machine's. */
  useRegistry(registry: string, url: string): void {
    this.#containers!.useRegistry(registry, url)
  }

  async stop(): Promise<void> {
    await this.#machine?.stop()
    await release(this.#claim)
  }

  async #start(options: ClusterOptions): Promise<void> {
    const binaries = folderWith('kubelet', 'CARREL_TEST_CONTROL_PLANE', options.binaries)
    const nodeBinaries = folderWith('containerd', 'CARREL_TEST_NODE', options.nodeBinaries)
    const users = this.#users()
    writeCredentials(this.directory, users, options.auditLevel ?? 'Metadata')
    makeCgroups(this.#claim.name)
    this.#machine = await Machine.start(this.#claim)
    this.#control = new Control(this.#machine, this.#claim, { kubernetes: binaries, coredns: nodeBinaries }, users)
    await Promise.all([this.#startControl(), this.#startContainers(nodeBinaries, options)])
    this.#control.startControllers(options.nodeMonitorGraceSeconds ?? 40)
    this.#control.startNetwork(NODE_NAME)
    this.#kubelet = new Kubelet(this.#machine, this.#claim, {
      binary: join(binaries, 'kubelet'),
      kubeconfig: this.kubeletKubeconfig,
      containerSocket: this.#containers!.socket,
      clientCaFile: join(this.directory, 'client-ca.crt'),
      maxPods: options.maxPods ?? 200,
    })
    this.#kubelet.start()
    for (let number = 1; number <= (options.volumes ?? 0); number++) await this.#offerVolume(`volume-${number}`)
    await this.#untilReady()
  }

  async #startControl(): Promise<void> {
    this.#control!.startEtcd()
    await this.#control!.startApiServer(() => this.#isReady())
  }

  async #startContainers(binaries: string, { images = [], shared = [] }: ClusterOptions): Promise<void> {
    this.#containers = new Containers(this.#machine!, this.#claim, { binaries, sandboxImage: SANDBOX_IMAGE, shared })
    await this.#containers.start([imageArchive('pause'), ...images])
  }

  /** For any user: the kubelet gives no folder of the node to a pod's group. */
  async #offerVolume(name: string): Promise<void> {
    const path = join(this.directory, name)
    mkdirSync(path)
    chmodSync(path, 0o777)
    const volume = {
      capacity: { storage: '10Gi' },
      accessModes: ['ReadWriteOnce'],
      persistentVolumeReclaimPolicy: 'Retain',
      hostPath: { path },
    }
    const transport = httpTransport(this.access)
    const body = { apiVersion: 'v1', kind: 'PersistentVolume', metadata: { name }, spec: volume }
    await transport.request({ method: 'POST', path: '/api/v1/persistentvolumes', body })
    await transport.close()
  }

  #users(): User[] {
    const user = (name: string, ...groups: string[]): User => ({ name, token: randomBytes(24).toString('base64url'), groups })
    return [
      { name: 'admin', token: this.#adminToken, groups: ['system:masters'] },
      user('system:kube-controller-manager'),
      user('system:kube-scheduler'),
      user('system:kube-proxy'),
      user(`system:node:${NODE_NAME}`, 'system:nodes'),
    ]
  }

  async #isReady(): Promise<boolean> {
    const transport = httpTransport(this.access)
    try {
      return (await transport.request({ method: 'GET', path: '/readyz', timeoutMs: 2_000 })).status === 200
    } finally {
      await transport.close()
    }
  }

  async #untilReady(): Promise<void> {
    const transport = httpTransport(this.access)
    const client = new KubeClient(transport)
    const isReady = async (): Promise<boolean> => {
      const account = await client.find(ACCOUNTS as never, 'default', 'default')
      const node = (await client.find(NODES as never, '', NODE_NAME)) as { status?: { conditions?: { type: string; status: string }[] } }
      return account !== undefined && node?.status?.conditions?.some(({ type, status }) => type === 'Ready' && status === 'True') === true
    }
    try {
      await this.#kubelet!.until('the node is ready', isReady)
    } finally {
      await transport.close()
    }
  }
}

function folderWith(program: string, variable: string, given: string | undefined): string {
  const folder = given ?? process.env[variable]
  if (folder === undefined) throw new Error(`${variable} is not set: run by npm test, which prepares what a cluster needs`)
  if (!existsSync(join(folder, program)))
    throw new Error(`${variable}=${folder} has no ${program}: unset it, and npm test prepares it anew`)
  return folder
}
