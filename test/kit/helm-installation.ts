import { readFileSync, readdirSync } from 'node:fs'
import { dirname, join } from 'node:path'
import type { TestContext } from 'node:test'
import type { AuditLine } from '../control-plane/control-plane.ts'
import { bed, type Bed } from './bed.ts'
import { eventually } from './eventually.ts'
import { Installed, type Identity } from './installed.ts'

const DEFAULT = '/api/v1/namespaces/default'
const SYSTEM = '/api/v1/namespaces/carrel-system'
const KINDS = '/apis/carrel.dev/v1alpha1/namespaces/default'
const RBAC = '/apis/rbac.authorization.k8s.io/v1/namespaces/default'
/** Of a test, not of the chart. */
const NOT_THE_CHARTS = '?labelSelector=app.kubernetes.io%2Fmanaged-by%21%3DHelm'
const GATEWAY_COMMAND = '/carrel/dist/gateway/main.js'
/** Carrel gives it to every agent (contract 1.6), and to nothing else. */
const OF_AN_AGENT = 'DOCKER_CONTAINER=1'
const EMPTY_WITHIN_MS = 60_000

/** As the chart gives it: agents in pods of a node. One for a whole run, lent to one test after the other, empty. */
export class HelmInstallation extends Installed {
  readonly #bed: Bed
  readonly #lentAt = new Date()
  readonly #auditFrom: number

  private constructor(opened: Bed) {
    super(opened.home)
    this.#bed = opened
    this.#auditFrom = readFileSync(opened.auditFile).length
  }

  /** Emptied when the test ends. */
  static async lend(t: TestContext): Promise<HelmInstallation> {
    const installation = new HelmInstallation(await bed())
    t.after(async () => {
      await installation.#empty()
      await installation.close()
    })
    return installation
  }

  /** The node's own files. */
  get nodeDirectory(): string {
    return dirname(this.#bed.auditFile)
  }

  override kubeconfigOf(identity: Identity): string {
    return identity === 'admin' ? this.env['KUBECONFIG']! : join(this.home, `${identity}.kubeconfig`)
  }

  override gatewayPids(): number[] {
    return this.#pids().filter((pid) => ofProcess(pid, 'cmdline').includes(GATEWAY_COMMAND))
  }

  override gatewayLog(): Promise<string[]> {
    return this.#logOf('carrel.dev/part=gateway')
  }

  override async everyLog(): Promise<string> {
    return [...(await this.gatewayLog()), ...(await this.#logOf('carrel.dev/part=operator'))].join('\n')
  }

  override audit(): AuditLine[] {
    const text = readFileSync(this.#bed.auditFile).subarray(this.#auditFrom).toString('utf8')
    const lines = text.split('\n').filter((line) => line !== '')
    return lines.map((line) => JSON.parse(line) as AuditLine)
  }

  override agents(podUID = ''): number[] {
    return this.#pids(podUID).filter((pid) => ofProcess(pid, 'environ').includes(OF_AN_AGENT))
  }

  override async pidHere(sessionId: string, pid: number): Promise<number> {
    const { podUID = 'none' } = (await this.session(sessionId))?.status ?? {}
    const found = this.#pids(podUID).find((here) => new RegExp(`^NSpid:.*\\s${pid}$`, 'm').test(ofProcess(here, 'status').join('')))
    if (found === undefined) throw new Error(`no process of pod ${podUID} is ${pid} to itself`)
    return found
  }

  override async remains(): Promise<string[]> {
    const objects = await this.api.everyObject(['events', 'nodes'])
    return [...objects, ...this.agents().map((pid) => `process ${pid}`)].toSorted()
  }

  /** Of the node's pods, or of one. */
  #pids(podUID = ''): number[] {
    const all = readdirSync('/proc')
      .filter((name) => /^\d+$/.test(name))
      .map(Number)
    return all.filter((pid) => {
      const groups = ofProcess(pid, 'cgroup').join('')
      return groups.includes(`${this.#bed.cgroupRoot}/`) && groups.includes(podUID)
    })
  }

  async #logOf(labelSelector: string): Promise<string[]> {
    const selector = encodeURIComponent(labelSelector)
    const { body } = await this.api.call<{ items: { metadata: { name: string } }[] }>('GET', `${SYSTEM}/pods?labelSelector=${selector}`)
    const since = encodeURIComponent(this.#lentAt.toISOString())
    const logs = await Promise.all(
      body.items.map(({ metadata }) => this.api.call<string>('GET', `${SYSTEM}/pods/${metadata.name}/log?sinceTime=${since}`)),
    )
    return logs.flatMap((log) => log.body.split('\n').filter((line) => line !== ''))
  }

  async #empty(): Promise<void> {
    const now = { apiVersion: 'v1', kind: 'DeleteOptions', gracePeriodSeconds: 0 }
    // Pods first, at once: agents that ignore SIGTERM would have their grace else.
    const listed = [`${DEFAULT}/pods`, `${KINDS}/agentruntimes`, `${KINDS}/agentsessions`]
    for (const path of listed) await this.api.call('DELETE', path, now)
    await eventually(
      async () => {
        const lists = await Promise.all(listed.map((path) => this.api.call<{ items: unknown[] }>('GET', path)))
        return lists.every(({ body }) => body.items.length === 0) && this.agents().length === 0
      },
      { withinMs: EMPTY_WITHIN_MS, because: 'nothing of the test is left on the cluster' },
    )
    for (const path of [`${DEFAULT}/secrets`, `${RBAC}/rolebindings`, `${RBAC}/roles`, `${DEFAULT}/events`])
      await this.api.call('DELETE', `${path}${NOT_THE_CHARTS}`, now)
    const keys = await this.api.call<{ items: { metadata: { name: string }; type: string }[] }>('GET', `${SYSTEM}/secrets`)
    for (const { metadata, type } of keys.body.items) {
      if (type === 'carrel.dev/access-key' && metadata.name !== 'local-access-key')
        await this.api.call('DELETE', `${SYSTEM}/secrets/${metadata.name}`)
    }
  }
}

/** A file of proc(5), by its zero-separated parts; a process that is gone has none. */
function ofProcess(pid: number, file: 'cgroup' | 'cmdline' | 'environ' | 'status'): string[] {
  try {
    return readFileSync(`/proc/${pid}/${file}`, 'utf8').split('\0')
  } catch {
    return []
  }
}
