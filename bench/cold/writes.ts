/** Who wrote what for one pod or session, by the API server's audit log. */
import type { AuditLine } from '../../test/control-plane/control-plane.ts'

const WRITES = new Set(['create', 'update', 'patch', 'delete', 'deletecollection'])

/** `who | verb of what` → how often. Events are not among them. */
export type Writes = ReadonlyMap<string, number>

/** Accepted writes to objects of these names. */
export function writesTo(lines: readonly AuditLine[], isIts: (resource: string, name: string) => boolean): Writes {
  const found = lines.filter(({ verb, objectRef: object, responseStatus }) => {
    const isWrite = WRITES.has(verb) && responseStatus.code < 300 && object?.name !== undefined && object.resource !== 'events'
    return isWrite && isIts(object.resource, object.name!)
  })
  const writes = new Map<string, number>()
  for (const line of found) writes.set(rowOf(line), (writes.get(rowOf(line)) ?? 0) + 1)
  return writes
}

export const countOf = (writes: Writes): number => [...writes.values()].reduce((sum, times) => sum + times, 0)

/** A Markdown table of the mean over all. */
export function tableOf(all: readonly Writes[]): string {
  const rows = [...new Set(all.flatMap((writes) => [...writes.keys()]))].toSorted()
  const mean = (row: string): number => all.reduce((sum, writes) => sum + (writes.get(row) ?? 0), 0) / all.length
  return ['| who | what | each |', '| --- | --- | --- |', ...rows.map((row) => `| ${row} | ${Number(mean(row).toFixed(2))} |`)].join('\n')
}

function rowOf({ user, verb, objectRef }: AuditLine): string {
  const who = (user.username ?? 'nobody').replace(/^system:(serviceaccount:[^:]+:)?/, '').replace(/^node:.*/, 'kubelet')
  const { resource, subresource } = objectRef!
  return `${who} | ${verb} ${resource}${subresource ? `/${subresource}` : ''}`
}
