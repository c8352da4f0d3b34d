import type { ProcessHost } from '../process-host.ts'
import type { PodMeter } from './pod-meter.ts'

/**
 * The host with a meter: each pod is measured from its first process to its last, and is not over before its final report is
 * written down. A pod of which only a report is left from an earlier run is a left-over like one with processes.
 */
export function meteredHost(host: ProcessHost, meter: PodMeter): ProcessHost {
  return {
    async prepare(pod) {
      const prepared = await host.prepare(pod)
      if ('ready' in prepared) meter.expect(pod.uid)
      return prepared
    },
    async start(pod) {
      const started = await host.start(pod)
      if ('pid' in started) meter.begin(pod.uid, started.pid)
      return started
    },
    exited: (podUID) => host.exited(podUID),
    signal: (podUID, signal) => host.signal(podUID, signal),
    processes: (podUID) => host.processes(podUID),
    violations: () => host.violations(),
    async cleanup(podUID) {
      await meter.end(podUID)
      await host.cleanup(podUID)
    },
    async forget(podUID) {
      await host.forget(podUID)
      await meter.gone(podUID)
    },
    async leftovers() {
      return [...new Set([...(await host.leftovers()), ...meter.leftovers()])]
    },
    nextAddress: () => host.nextAddress(),
  }
}
