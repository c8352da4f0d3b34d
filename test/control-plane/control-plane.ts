import { spawn, spawnSync, type ChildProcess } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { closeSync, mkdirSync, mkdtempSync, openSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseAllDocuments } from 'yaml'
import { KubeClient } from '../../src/kube/client.ts'
import { loadCluster } from '../../src/kube/credentials.ts'
import { httpTransport, type ClusterAccess } from '../../src/kube/http-transport.ts'
import { kubeconfigFor } from '../../src/local/api/http/kubeconfig.ts'
import { eventually } from '../kit/eventually.ts'
import { freePort } from '../kit/free-port.ts'

const CRDS = join(import.meta.dirname, '..', '..', 'deploy', 'crds')
const START_WITHIN_MS = 90_000
const CONTROLLERS = [
  'garbage-collector-controller',
  'namespace-controller',
  'serviceaccount-controller',
  'root-ca-certificate-publisher-controller',
]

export interface ControlPlaneOptions {
  /** Holds etcd, kube-apiserver and kube-controller-manager. Default: what `npm test` prepared. */
  binaries?: string
  /** Where it keeps everything. Default: a new temporary folder, removed by `stop`. */
  directory?: string
  /** How much of each request the audit log holds. Default Metadata. */
  auditLevel?: 'Metadata' | 'RequestResponse'
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
  #etcd: ChildProcess | undefined
  #apiServer: ChildProcess | undefined
  #controllerManager: ChildProcess | undefined

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
      plane.#prepare(options.auditLevel ?? 'Metadata')
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
    return { etcd: this.#etcd!.pid!, apiServer: this.#apiServer!.pid!, controllerManager: this.#controllerManager!.pid! }
  }

  audit(): AuditLine[] {
    const lines = readFileSync(join(this.directory, 'audit.log'), 'utf8').split('\n')
    return lines.filter((line) => line !== '').map((line) => JSON.parse(line) as AuditLine)
  }

  /** The API server alone; etcd keeps what it held. Resolves when its port is free again. */
  async stopApiServer(signal: NodeJS.Signals = 'SIGKILL'): Promise<void> {
    await ended(this.#apiServer, signal)
    this.#apiServer = undefined
  }

  /** On the same port, with the same credentials. Resolves when it is ready. */
  async startApiServer(): Promise<void> {
    const at = (file: string): string => join(this.directory, file)
    this.#apiServer = this.#spawn('kube-apiserver', [
      `--etcd-servers=http://127.0.0.1:${this.#etcdPort}`,
      '--bind-address=127.0.0.1',
      `--secure-port=${this.#port}`,
      `--cert-dir=${this.directory}`,
      '--service-cluster-ip-range=10.0.0.0/24',
      '--authorization-mode=Node,RBAC',
      `--token-auth-file=${at('tokens.csv')}`,
      `--client-ca-file=${at('client-ca.crt')}`,
      `--kubelet-client-certificate=${at('kubelet-client.crt')}`,
      `--kubelet-client-key=${at('kubelet-client.key')}`,
      '--kubelet-preferred-address-types=InternalIP',
      '--service-account-issuer=https://kubernetes.default.svc',
      `--service-account-key-file=${at('service-accounts.key')}`,
      `--service-account-signing-key-file=${at('service-accounts.key')}`,
      `--audit-policy-file=${at('audit-policy.json')}`,
      `--audit-log-path=${at('audit.log')}`,
      '--endpoint-reconciler-type=none',
      '--profiling=false',
    ])
    await this.#until('the API server is ready', this.#apiServer, 'kube-apiserver', async () => {
      const certificate = readFileSync(at('apiserver.crt'), 'utf8')
      const access = { server: this.server, ca: certificate, token: this.adminToken, user: 'admin', namespace: 'default' }
      writeFileSync(this.kubeconfig, kubeconfigFor(access), { mode: 0o600 })
      return this.#isReady()
    })
  }

  async stop(): Promise<void> {
    await Promise.all([this.#controllerManager, this.#apiServer, this.#etcd].map((child) => ended(child, 'SIGKILL')))
    if (this.#isTemporary) rmSync(this.directory, { recursive: true, force: true })
  }

  #prepare(auditLevel: string): void {
    mkdirSync(this.directory, { recursive: true, mode: 0o700 })
    const write = (file: string, text: string): void => writeFileSync(join(this.directory, file), text, { mode: 0o600 })
    write('tokens.csv', `${this.adminToken},admin,admin,system:masters\n`)
    write(
      'audit-policy.json',
      JSON.stringify({
        apiVersion: 'audit.k8s.io/v1',
        kind: 'Policy',
        omitStages: ['RequestReceived', 'ResponseStarted'],
        rules: [{ level: auditLevel }],
      }),
    )
    const openssl = (parameters: string): void => {
      const { status, stderr } = spawnSync('openssl', parameters.split(' '), { cwd: this.directory, encoding: 'utf8' })
      if (status !== 0) throw new Error(`openssl ${parameters}: ${stderr}`)
    }
    const key = '-newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes'
    openssl('genpkey -algorithm RSA -pkeyopt rsa_keygen_bits:2048 -out service-accounts.key')
    openssl(`req -x509 ${key} -keyout client-ca.key -out client-ca.crt -days 3650 -subj /CN=carrel-client-ca`)
    openssl(`req ${key} -keyout kubelet-client.key -out kubelet-client.csr -subj /O=system:masters/CN=kube-apiserver-kubelet-client`)
    openssl('x509 -req -in kubelet-client.csr -CA client-ca.crt -CAkey client-ca.key -CAcreateserial -days 3650 -out kubelet-client.crt')
  }

  async #startEtcd(): Promise<void> {
    const peer = await freePort()
    const client = `http://127.0.0.1:${this.#etcdPort}`
    this.#etcd = this.#spawn('etcd', [
      `--data-dir=${join(this.directory, 'etcd')}`,
      `--listen-client-urls=${client}`,
      `--advertise-client-urls=${client}`,
      `--listen-peer-urls=http://127.0.0.1:${peer}`,
      `--initial-advertise-peer-urls=http://127.0.0.1:${peer}`,
      `--initial-cluster=default=http://127.0.0.1:${peer}`,
      '--unsafe-no-fsync',
      '--log-level=error',
    ])
    await this.#until('etcd answers', this.#etcd, 'etcd', async () => (await fetch(`${client}/health`)).ok)
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
    await this.#until('namespaces have their service account', this.#controllerManager, 'kube-controller-manager', async () =>
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

  /** With a parent's death comes its own: a test that is killed leaves nothing behind. */
  #spawn(name: string, parameters: string[]): ChildProcess {
    const log = openSync(join(this.directory, `${name}.log`), 'a', 0o600)
    const child = spawn('setpriv', ['--pdeathsig', 'KILL', join(this.#binaries, name), ...parameters], { stdio: ['ignore', log, log] })
    closeSync(log)
    return child
  }

  async #until(what: string, child: ChildProcess, name: string, isSo: () => Promise<boolean>): Promise<void> {
    const died = new Promise<never>((_, reject) => {
      const tell = (): void => {
        const log = readFileSync(join(this.directory, `${name}.log`), 'utf8')
          .split('\n')
          .slice(-15)
          .join('\n')
        reject(new Error(`${name} ended before ${what}: ${log}`))
      }
      child.once('exit', tell)
      child.once('error', tell)
    })
    died.catch(() => {}) // it ends one day, long after this
    await Promise.race([eventually(isSo, { withinMs: START_WITHIN_MS, everyMs: 50, because: what }), died])
  }
}

async function ended(child: ChildProcess | undefined, signal: NodeJS.Signals): Promise<void> {
  if (child === undefined || child.pid === undefined || child.exitCode !== null || child.signalCode !== null) return
  const exit = new Promise((resolve) => child.once('exit', resolve))
  child.kill(signal)
  await exit
}
