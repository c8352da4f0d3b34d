import type { KubeObject } from '../../src/kube/objects.ts'
import type { Lease } from '../../src/kube/lease.ts'
import type { Resource } from '../../src/kube/resource.ts'

export const THINGS: Resource = { group: 'test.example', version: 'v1', kind: 'Thing', plural: 'things', namespaced: true }

/** A thing in namespace `team`; its uid defaults to its name. */
export function thing(name: string, version: number, uid = name, labels: Record<string, string> = {}): KubeObject {
  return {
    apiVersion: 'test.example/v1',
    kind: 'Thing',
    metadata: { name, namespace: 'team', uid, resourceVersion: String(version), labels },
  }
}

/** What every API server has and anybody may make: good for tests of the client. */
export function lease(name: string, namespace = 'default'): Lease {
  return { apiVersion: 'coordination.k8s.io/v1', kind: 'Lease', metadata: { name, namespace } }
}
