import { closeSync, openSync, readFileSync, readSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'
import type { AuditLine } from '../control-plane/control-plane.ts'
import { eventually } from '../kit/eventually.ts'
import type { LocalInstallation } from '../kit/local-installation.ts'
import { replicasOf } from './kit.ts'

const LEASE = '/apis/coordination.k8s.io/v1/namespaces/carrel-system/leases/operator'
const LEADS_WITHIN_MS = 20_000
const POLL_MS = 2

/** The process of the operator that leads: one that lives and whose identity is in the Lease. */
export async function leaderOf(installation: LocalInstallation): Promise<{ pid: number; identity: string }> {
  return eventually(
    async () => {
      const { body } = await installation.api.call<{ spec?: { holderIdentity?: string } }>('GET', LEASE)
      const identity = body.spec?.holderIdentity
      const pid = identity && pidOf(installation, identity)
      const lives = replicasOf(installation).operators.some((operator) => operator.pid === pid)
      return pid && lives ? { pid, identity } : undefined
    },
    { withinMs: LEADS_WITHIN_MS, because: 'an operator leads' },
  )
}

/** Resolves when every operator lives and follows the cluster, so that another can take over. */
export async function everyOperatorFollows(installation: LocalInstallation): Promise<void> {
  const follows = (pid: number): boolean =>
    linesOf(installation).some((line) => line.includes(`"pid":${pid},`) && line.includes('"msg":"operator ready"'))
  await eventually(() => replicasOf(installation).operators.every(({ pid }) => pid !== undefined && follows(pid)), {
    withinMs: LEADS_WITHIN_MS,
    because: 'every operator follows the cluster',
  })
}

/** From the line that an operator logs when its term begins. */
function pidOf(installation: LocalInstallation, identity: string): number | undefined {
  const line = linesOf(installation).findLast((text) => text.includes(identity) && text.includes('"msg":"leading"'))
  return line === undefined ? undefined : (JSON.parse(line) as { pid: number }).pid
}

function linesOf(installation: LocalInstallation): string[] {
  const logs = join(installation.home, 'logs')
  const files = readdirSync(logs).filter((file) => file.startsWith('operator-'))
  return files.flatMap((file) => readFileSync(join(logs, file), 'utf8').split('\n'))
}

/** The writes of the operators as the API server's audit log tells of them, from now on; Leases and events apart. */
export class OperatorWrites {
  readonly #file: number
  #offset: number
  #rest = ''
  #count = 0

  constructor(installation: LocalInstallation) {
    const path = installation.auditFile()
    this.#file = openSync(path, 'r')
    this.#offset = readFileSync(path).length
  }

  /** Resolves right after the answer of the `count`th write; false when `until` settles first. */
  async reach(count: number, until: Promise<unknown>): Promise<boolean> {
    let isOver = false
    void until.finally(() => (isOver = true)).catch(() => {})
    while (this.#count < count) {
      if (isOver) return false
      if (this.#read() === 0) await wait(POLL_MS)
    }
    return true
  }

  close(): void {
    closeSync(this.#file)
  }

  #read(): number {
    const buffer = Buffer.alloc(256 * 1024)
    const length = readSync(this.#file, buffer, 0, buffer.length, this.#offset)
    this.#offset += length
    const lines = (this.#rest + buffer.toString('utf8', 0, length)).split('\n')
    this.#rest = lines.pop()!
    for (const line of lines) if (isWrite(JSON.parse(line) as AuditLine)) this.#count += 1
    return length
  }
}

function isWrite({ user, verb, objectRef }: AuditLine): boolean {
  const ofOperator = user.username === 'system:serviceaccount:carrel-system:operator'
  const isAside = objectRef?.resource === 'leases' || objectRef?.resource === 'events'
  return ofOperator && !isAside && ['create', 'update', 'patch', 'delete'].includes(verb)
}
