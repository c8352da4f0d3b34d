/** Adapter: when a watch showed each pod first, and with an address: what anybody who waits for a pod can know. */
import type { Pod } from '../../src/kube/objects.ts'
import { PODS, pathOf } from '../../src/kube/resource.ts'
import type { Transport } from '../../src/kube/transport.ts'
import { NAMESPACE } from './bed.ts'

export interface Sighting {
  pod: Pod
  /** By performance.now(). */
  seenAtMs: number
  address?: { ip: string; atMs: number }
}

export class Sightings {
  readonly #seen = new Map<string, Sighting>()
  readonly #waiting = new Set<() => void>()
  #failure: Error | undefined

  /** From now on, until the signal aborts. */
  static async start(kubernetes: Transport, signal: AbortSignal): Promise<Sightings> {
    const sightings = new Sightings()
    const { body } = await kubernetes.request({ method: 'GET', path: pathOf(PODS, NAMESPACE) })
    const { resourceVersion } = (body as Pod).metadata
    sightings.#follow(kubernetes, resourceVersion!, signal).catch((error: Error) => sightings.#fail(error))
    return sightings
  }

  /** Resolves as soon as such a pod has an address. */
  async addressOf(isIt: (pod: Pod) => boolean): Promise<Required<Sighting>> {
    for (;;) {
      if (this.#failure) throw this.#failure
      const found = this.find(isIt)
      if (found?.address) return { ...found, address: found.address }
      await new Promise<void>((resolve) => this.#waiting.add(resolve))
    }
  }

  find(isIt: (pod: Pod) => boolean): Sighting | undefined {
    return [...this.#seen.values()].find(({ pod }) => isIt(pod))
  }

  async #follow(kubernetes: Transport, resourceVersion: string, signal: AbortSignal): Promise<void> {
    const query = { watch: 'true', resourceVersion, timeoutSeconds: '7200' }
    for await (const event of kubernetes.watch({ path: pathOf(PODS, NAMESPACE), query, signal })) {
      if (event.type === 'BOOKMARK') continue
      if (event.type === 'ERROR') throw new Error(event.object.message)
      this.#take(event.object as Pod)
    }
    if (!signal.aborted) throw new Error('the watch of pods ended')
  }

  #take(pod: Pod): void {
    const atMs = performance.now()
    const { uid } = pod.metadata
    const before = this.#seen.get(uid!)
    const ip = pod.status?.podIP
    const address = before?.address ?? (ip ? { ip, atMs } : undefined)
    this.#seen.set(uid!, { pod, seenAtMs: before?.seenAtMs ?? atMs, ...(address ? { address } : {}) })
    this.#wake()
  }

  #fail(error: Error): void {
    this.#failure = error
    this.#wake()
  }

  #wake(): void {
    for (const wake of this.#waiting) wake()
    this.#waiting.clear()
  }
}
