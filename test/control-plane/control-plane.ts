import { randomBytes } from 'node:crypto'
import { mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseAllDocuments } from 'yaml'
import { KubeClient } from '../../src/kube/client.ts'
import { loadCluster } from '../../src/kube/credentials.ts'
import { httpTransport, type ClusterAccess } from '../../src/kube/http-transport.ts'
import { kubeconfigFor } from '../../src/local/api/http/kubeconfig.ts'
import { eventually } from '../kit/eventually.ts'
import { freePort } from '../kit/free-port.ts'
import { writeCredentials, type AuditLevel } from './credentials.ts'
import { apiServerFlags, etcdFlags } from './flags.ts'
import { Part } from './part.ts'

const CRDS = join(import.meta.dirname, '..', '..', 'deploy', 'crds')
const START_WITHIN_MS = 90_000
const CONTROLLERS = [
  'garbage-collector-controller',
  'namespace-controller',
  'serviceaccount-controller',
  'root-ca-certificate-publisher-controller',
  'clusterrole-aggregation-controller',
]

export interface ControlPlaneOptions {
  /** Holds etcd, kube-apiserver and kube-controller-manager. Default: what `npm test` prepared. */
  binaries?: string
  /** Where it keeps everything. Default: a new temporary folder, removed by `stop`. */
  directory?: string
  /** How much of each request the audit log holds. Default Metadata. */
  auditLevel?: AuditLevel
  /** Port of the API server. Default: any free one. */
  port?: number
}

/** One line of an audit log. */
export interface AuditLine {
  verb: string
  user: { username?: string }
  objectRef?: { resource: string; namespace?: string; name?: string; subresource?: string; apiGroup?: string }
  requestURI: string
  responseStatus: { code: number }
  requestReceivedTimestamp: string
  requestObject?: unknown
  responseObject?: unknown
}

/**
 * A real control plane on loopback: etcd, kube-apiserver and, of kube-controller-manager, garbage collection, namespaces
 * and service accounts. Carrel's kinds are installed. Its processes die with this one.
 */
export class ControlPlane {
  readonly directory: string
  readonly server: string
  /** Path of a kubeconfig of an administrator (system:masters). */
  readonly kubeconfig: string
  readonly adminToken: string
  readonly #binaries: string
  readonly #port: number
  readonly #etcdPort: number
  readonly #isTemporary: boolean
  #etcd: Part | undefined
  #apiServer: Part | undefined
  #controllerManager: Part | undefined

  private constructor(options: ControlPlaneOptions, port: number, etcdPort: number) {
    this.#binaries = options.binaries ?? process.env['CARREL_TEST_CONTROL_PLANE']!
    this.#isTemporary = options.directory === undefined
    this.directory = options.directory ?? mkdtempSync(join(tmpdir(), 'carrel-control-plane-'))
    this.#port = port
    this.#etcdPort = etcdPort
    this.server = `https://127.0.0.1:${port}`
    this.kubeconfig = join(this.directory, 'kubeconfig')
    this.adminToken = randomBytes(24).toString('base64url')
  }

  static async start(options: ControlPlaneOptions = {}): Promise<ControlPlane> {
    const plane = new ControlPlane(options, options.port ?? (await freePort()), await freePort())
    try {
      writeCredentials(
        plane.directory,
        [{ name: 'admin', token: plane.adminToken, groups: ['system:masters'] }],
        options.auditLevel ?? 'Metadata',
      )
      await plane.#startEtcd()
      await plane.startApiServer()
      await plane.#installKinds()
      await plane.#startControllerManager()
      return plane
    } catch (error) {
      await plane.stop()
      throw error
    }
  }

  /** For `httpTransport`. */
  get access(): ClusterAccess {
    return loadCluster({ kubeconfig: this.kubeconfig })
  }

  get pids(): { etcd: number; apiServer: number; controllerManager: number } {
    return { etcd: this.#etcd!.pid, apiServer: this.#apiServer!.pid, controllerManager: this.#controllerManager!.pid }
  }

  audit(): AuditLine[] {
    const lines = readFileSync(join(this.directory, 'audit.log'), 'utf8').split('\n')
    return lines.filter((line) => line !== '').map((line) => JSON.parse(line) as AuditLine)
  }

  /** The API server alone; etcd keeps what it held. Resolves when its port is free again. */
  async stopApiServer(signal: NodeJS.Signals = 'SIGKILL'): Promise<void> {
    await this.#apiServer?.end(signal)
    this.#apiServer = undefined
  }

  /** On the same port, with the same credentials. Resolves when it is ready. */
  async startApiServer(): Promise<void> {
    const etcdUrl = `http://127.0.0.1:${this.#etcdPort}`
    const flags = apiServerFlags(this.directory, { etcdUrl, address: '127.0.0.1', port: this.#port, serviceRange: '10.0.0.0/24' })
    this.#apiServer = this.#spawn('kube-apiserver', [...flags, '--endpoint-reconciler-type=none'])
    await this.#apiServer.until('the API server is ready', async () => {
      const certificate = readFileSync(join(this.directory, 'apiserver.crt'), 'utf8')
      const access = { server: this.server, ca: certificate, token: this.adminToken, user: 'admin', namespace: 'default' }
      writeFileSync(this.kubeconfig, kubeconfigFor(access), { mode: 0o600 })
      return this.#isReady()
    })
  }

  async stop(): Promise<void> {
    await Promise.all([this.#controllerManager, this.#apiServer, this.#etcd].map(async (part) => part?.end('SIGKILL')))
    if (this.#isTemporary) rmSync(this.directory, { recursive: true, force: true })
  }

  async #startEtcd(): Promise<void> {
    const peer = await freePort()
    const client = `http://127.0.0.1:${this.#etcdPort}`
    this.#etcd = this.#spawn('etcd', etcdFlags(this.directory, client, `http://127.0.0.1:${peer}`))
    await this.#etcd.until('etcd answers', async () => (await fetch(`${client}/health`)).ok)
  }

  async #installKinds(): Promise<void> {
    const transport = httpTransport(this.access)
    const path = '/apis/apiextensions.k8s.io/v1/customresourcedefinitions'
    for (const file of readdirSync(CRDS)) {
      for (const document of parseAllDocuments(readFileSync(join(CRDS, file), 'utf8'))) {
        const definition = document.toJSON() as { metadata: { name: string } }
        const { status, body } = await transport.request({ method: 'POST', path, body: definition })
        if (status !== 201 && status !== 409) throw new Error(`${file}: ${JSON.stringify(body)}`)
        await eventually(
          async () => {
            const found = await transport.request({ method: 'GET', path: `${path}/${definition.metadata.name}` })
            const { status: now } = found.body as { status?: { conditions?: { type: string; status: string }[] } }
            return now?.conditions?.some((condition) => condition.type === 'Established' && condition.status === 'True')
          },
          { withinMs: START_WITHIN_MS, everyMs: 50, because: `${definition.metadata.name} is established` },
        )
      }
    }
    await transport.close()
  }

  /** After the kinds, or its garbage collector would see them half a minute late. */
  async #startControllerManager(): Promise<void> {
    const port = await freePort()
    this.#controllerManager = this.#spawn('kube-controller-manager', [
      `--kubeconfig=${this.kubeconfig}`,
      '--leader-elect=false',
      `--controllers=${CONTROLLERS.join(',')}`,
      '--bind-address=127.0.0.1',
      `--secure-port=${port}`,
      `--cert-dir=${join(this.directory, 'controller-manager')}`,
      `--root-ca-file=${join(this.directory, 'apiserver.crt')}`,
    ])
    const client = new KubeClient(httpTransport(this.access))
    const accounts = { group: '', version: 'v1', kind: 'ServiceAccount', plural: 'serviceaccounts', namespaced: true }
    await this.#controllerManager.until('namespaces have their service account', async () =>
      Boolean(await client.find(accounts as never, 'default', 'default')),
    )
  }

  async #isReady(): Promise<boolean> {
    const transport = httpTransport(this.access)
    try {
      const { status } = await transport.request({ method: 'GET', path: '/readyz', timeoutMs: 2_000 })
      return status === 200
    } finally {
      await transport.close()
    }
  }

  #spawn(name: string, flags: string[]): Part {
    return new Part(name, [join(this.#binaries, name), ...flags], this.directory)
  }
}
