/** Puts the audit log's writes beside the changes that watches showed: a write that changed nothing is a no-op. */
import type { AuditLine } from '../../test/control-plane/control-plane.ts'
import type { Changes } from './witness.ts'

const WRITES = new Set(['create', 'update', 'patch', 'delete', 'deletecollection'])

export interface Tally {
  /** Accepted writes to sessions and pods. */
  session: number
  pod: number
  /** Accepted ones that changed nothing. */
  noOp: number
  /** Writes to both that were refused. */
  refused: number
  events: number
  /** To anything else (nodes, leases): they go on without sessions. */
  background: number
  /** `who | write | what it changed` → how often. */
  rows: Map<string, number>
  /** Stories of objects that had no-ops. */
  suspects: string[]
}

export function tally(lines: readonly AuditLine[], changes: Changes): Tally {
  const result: Tally = { session: 0, pod: 0, noOp: 0, refused: 0, events: 0, background: 0, rows: new Map(), suspects: [] }
  const accepted = new Map<string, AuditLine[]>()
  for (const line of lines.filter(({ verb, objectRef }) => WRITES.has(verb) && objectRef !== undefined)) {
    const { resource, namespace, name } = line.objectRef!
    if (resource === 'events') result.events += 1
    else if (resource !== 'agentsessions' && resource !== 'pods') result.background += 1
    else if (line.responseStatus.code >= 300)
      count(result.rows, rowOf(line, `refused with ${line.responseStatus.code}`), ++result.refused && 1)
    else accepted.set(`${resource} ${namespace}/${name}`, [...(accepted.get(`${resource} ${namespace}/${name}`) ?? []), line])
  }
  for (const [key, writes] of accepted) {
    result[key.startsWith('pods') ? 'pod' : 'session'] += writes.length
    const seen = changes.get(key) ?? []
    const isWhole = seen.length === writes.length
    writes.forEach((line, index) => count(result.rows, rowOf(line, isWhole ? seen[index]! : '?'), 1))
    result.noOp += Math.max(0, writes.length - seen.length)
    if (!isWhole) result.suspects.push(`${key}: writes ${writes.map((line) => rowOf(line, '')).join('; ')}. Changes: ${seen.join('; ')}`)
  }
  return result
}

function rowOf({ user, verb, objectRef }: AuditLine, changed: string): string {
  const { resource, subresource } = objectRef!
  const who = (user.username ?? 'nobody').split(':').slice(-1)[0]!
  return `${resource} | ${who} | ${verb}${subresource ? ` ${subresource}` : ''} | ${changed}`
}

function count(rows: Map<string, number>, row: string, times: number): void {
  rows.set(row, (rows.get(row) ?? 0) + times)
}
