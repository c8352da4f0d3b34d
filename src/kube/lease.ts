/** `coordination.k8s.io/v1` Leases, as leader election and membership use them. */
import { rfc3339Micros } from '../env/clock.ts'
import type { KubeObject } from './objects.ts'
import type { Resource } from './resource.ts'

export interface Lease extends KubeObject {
  spec?: LeaseSpec
}

export interface LeaseSpec {
  /** Absent or '': nobody's. */
  holderIdentity?: string
  leaseDurationSeconds?: number
  /** metav1.MicroTime: exactly six digits, or the server answers 400. For people; nobody here compares wall clocks. */
  acquireTime?: string
  renewTime?: string
  leaseTransitions?: number
}

export const LEASES: Resource<Lease> = {
  group: 'coordination.k8s.io',
  version: 'v1',
  kind: 'Lease',
  plural: 'leases',
  namespaced: true,
}

/**
 * A MicroTime that differs from the one before, though the wall clock stands still or goes back: its last three digits
 * count. A renewal that changes nothing is no write to the API server, and then nobody would see it.
 */
export function renewTimeOf(epochMs: number, serial: number): string {
  return `${rfc3339Micros(epochMs).slice(0, 23)}${String(serial % 1000).padStart(3, '0')}Z`
}
