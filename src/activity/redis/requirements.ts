/**
 * Why this server cannot be the activity store, from its INFO; undefined when it can. One that evicts keys would forget who
 * holds a pod open; one that keeps nothing on disk would forget which pods are closed when it restarts.
 */
export function faultIn(info: string): string | undefined {
  const fields = new Map(info.split(/\r?\n/).map((line) => line.split(':', 2) as [string, string]))
  const is = (field: string): string => fields.get(field)?.trim() ?? 'unknown'
  if (is('loading') === '1') return 'is still loading its data'
  if (is('role') !== 'master') return 'is a replica: name the primary, or an address that follows it'
  if (is('cluster_enabled') === '1') return 'is part of a Redis Cluster, which is not supported: name a single primary'
  if (is('maxmemory_policy') !== 'noeviction') {
    return `may evict keys (maxmemory-policy is ${is('maxmemory_policy')}), and so forget who is in use: set "maxmemory-policy noeviction"`
  }
  if (is('aof_enabled') !== '1')
    return 'keeps no append-only file, and would forget at a restart which pods are closed: set "appendonly yes"'
  return undefined
}
