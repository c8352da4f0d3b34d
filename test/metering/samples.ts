import { add, begin, end, type MeterState, type Sample } from '../../src/metering/integrate.ts'

export const GB = 2 ** 30

/** Readings of a pod that uses `cpu` vCPUs and `bytes`, once a second, the first of them one second after `fromMs`. */
export function steadily(fromMs: number, seconds: number, cpuBefore: number, cpu: number, bytes: number): Sample[] {
  return Array.from({ length: seconds }, (_, index) => ({
    atMs: fromMs + (index + 1) * 1000,
    cpuSeconds: cpuBefore + (index + 1) * cpu,
    memoryBytes: bytes,
  }))
}

export function metered(samples: readonly Sample[], state: MeterState = begin(0)): MeterState {
  return samples.reduce(add, state)
}

export function ended(samples: readonly Sample[]): MeterState {
  return end(metered(samples), undefined, 0)
}
