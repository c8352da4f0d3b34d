import { sleep, type Clock } from '../../src/env/clock.ts'
import type { Random } from '../../src/env/random.ts'
import type { Dial } from '../../src/gateway/env.ts'
import type { Exit, HostWatcher, PlacedPod, ProcessHost } from '../../src/local/kubelet/process-host.ts'
import type { Probe } from '../../src/operator/env.ts'

interface SimulatedAgent {
  podUID: string
  address: string
  /** Monotonic: from when its port answers. */
  listensAtMs: number
  exit: PromiseWithResolvers<Exit>
  alive: boolean
}

/**
 * The edge of the virtual world: processes, their ports and their pings, without any machine. Everything above it (kubelet,
 * API server, operator, the gateway's decisions, activity store) is the shipped code.
 */
export class SimulatedHost implements ProcessHost {
  readonly agents = new Map<string, SimulatedAgent>()
  /** Every pod that was ever started, in order. */
  readonly started: string[] = []
  /** Sees pods before they end. */
  watcher: HostWatcher | undefined
  /** Longest time that a ping takes. */
  pingMs = 3
  readonly #clock: Clock
  readonly #random: Random
  #addresses = 0

  constructor(clock: Clock, random: Random) {
    this.#clock = clock
    this.#random = random
  }

  async prepare(): Promise<{ ready: true }> {
    await sleep(this.#clock, this.#random.fraction() * 5)
    return { ready: true }
  }

  async start(pod: PlacedPod): Promise<{ pid: number }> {
    const listensAtMs = this.#clock.monotonic() + 20 + this.#random.fraction() * 200
    this.started.push(pod.uid)
    this.agents.set(pod.uid, { podUID: pod.uid, address: pod.address, listensAtMs, exit: Promise.withResolvers<Exit>(), alive: true })
    return { pid: this.started.length }
  }

  exited(podUID: string): Promise<Exit> {
    return this.agents.get(podUID)?.exit.promise ?? Promise.resolve({ exitCode: 0 })
  }

  async signal(podUID: string): Promise<void> {
    await sleep(this.#clock, this.#random.fraction() * 30)
    const agent = this.agents.get(podUID)
    if (!agent?.alive) return
    this.watcher?.signalled(podUID, [1])
    agent.alive = false
    agent.exit.resolve({ exitCode: 143, signal: 15 })
  }

  async processes(podUID: string): Promise<number[]> {
    return this.agents.get(podUID)?.alive ? [1] : []
  }

  async violations(): Promise<[]> {
    return []
  }

  async cleanup(): Promise<void> {}
  async forget(): Promise<void> {}

  async leftovers(): Promise<string[]> {
    return []
  }

  async nextAddress(): Promise<string> {
    this.#addresses += 1
    return `127.1.${this.#addresses >> 8}.${this.#addresses & 255}`
  }

  isAlive(podUID: string): boolean {
    return this.agents.get(podUID)?.alive ?? false
  }

  #listening(address: string): SimulatedAgent | undefined {
    const now = this.#clock.monotonic()
    return [...this.agents.values()].find((agent) => agent.address === address && agent.alive && agent.listensAtMs <= now)
  }

  readonly probe: Probe = {
    ping: async (address) => {
      if (this.pingMs > 0) await sleep(this.#clock, this.#random.fraction() * this.pingMs)
      return this.#listening(address) ? { answer: 'Healthy' } : { answer: 'refused' }
    },
  }

  readonly dial: Dial = {
    connect: async (address) => {
      await sleep(this.#clock, this.#random.fraction())
      return this.#listening(address) ? 'connected' : 'refused'
    },
  }
}
