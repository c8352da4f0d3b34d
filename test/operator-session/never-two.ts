/**
 * One session whose pods end in every way, on nodes that fall silent and come back, under operators that die: before a pod
 * is made, each older one is gone, or told to go and overdue on a node that is silent; and no call ever enters an older one.
 */
import type { Pod } from '../../src/kube/objects.ts'
import { CALLER, SESSION_ID } from '../search/virtual-installation.ts'
import type { Call, HandKubelet } from './hand-kubelet.ts'

const ROUNDS = 6
const STEP_MS = 100
const OVERDUE_MS = 5_000
/** Times of deletion are to the second. */
const ROUNDED_MS = 1_000
const WAYS = ['node falls silent', 'process dies with its node', 'evicted', 'out of memory', 'stopped', 'deleted'] as const

export async function neverTwo(kubelet: HandKubelet, seed: number): Promise<string[]> {
  const story = new Story(kubelet, seed)
  for (let round = 1; round <= ROUNDS; round += 1) await story.round(round)
  return story.told
}

class Story {
  readonly told: string[] = []
  readonly #kubelet: HandKubelet
  readonly #random: { fraction(): number }
  readonly #seen = new Set<string>()
  readonly #silent = new Set<string>()
  /** Pods told to go, and when their kubelet has ended them. */
  readonly #endsAtMs = new Map<string, number>()
  #served: Pod | undefined

  constructor(kubelet: HandKubelet, seed: number) {
    this.#kubelet = kubelet
    this.#random = kubelet.installation.random(`story-${seed}`)
  }

  async round(round: number): Promise<void> {
    const kubelet = this.#kubelet
    const call = kubelet.call()
    await this.#until(() => call.entered !== undefined, `round ${round}: the call is answered`)
    this.#isOfNewest(call, round)
    await kubelet.installation.advance(3_000 * this.#random.fraction())
    const way = WAYS[Math.floor(this.#random.fraction() * WAYS.length)]!
    this.told.push(way)
    await this.#end(this.#served!, way, round)
    const isOver = async (): Promise<boolean> => {
      const { status, spec } = await kubelet.session()
      return status?.phase === 'Terminated' && status.incarnation === spec.incarnation
    }
    await this.#until(isOver, `round ${round}: ${way}: it is over`)
    await kubelet.installation.advance(10_000) // whatever lags has seen it
  }

  #isOfNewest({ entered }: Call, round: number): void {
    if (entered?.outcome !== 'entered') throw new Error(`round ${round}: ${JSON.stringify(entered)}`)
    if (entered.pod.uid !== this.#served?.metadata.uid) throw new Error(`round ${round}: a call entered a pod that is not the newest`)
    entered.release()
  }

  async #end(pod: Pod, way: (typeof WAYS)[number], round: number): Promise<void> {
    const kubelet = this.#kubelet
    const { installation } = kubelet
    if (this.#random.fraction() < 0.4) this.#operatorDies()
    switch (way) {
      case 'node falls silent':
        await this.#silence(round)
        return kubelet.disrupt(pod, 'DeletionByTaintManager')
      case 'process dies with its node':
        await kubelet.now(installation.host.signal(pod.metadata.uid!))
        await installation.advance(20_000 * this.#random.fraction())
        return this.#silence(round)
      case 'evicted':
        return kubelet.disrupt(pod, 'EvictionByEvictionAPI')
      case 'out of memory':
        return void (await kubelet.agent(pod, { terminated: { exitCode: 137, reason: 'OOMKilled' } }))
      case 'stopped':
        return void (await installation.settle(installation.desk.stop(kubelet.target, CALLER, SESSION_ID, undefined), 30_000))
      case 'deleted':
        return kubelet.remove(pod)
    }
  }

  /** The next pods go to another one; now and then an older one comes back. */
  async #silence(round: number): Promise<void> {
    const kubelet = this.#kubelet
    const { nodeName } = kubelet
    for (const silent of this.#silent) {
      if (this.#random.fraction() < 0.5) continue
      this.#silent.delete(silent)
      await kubelet.node('True', silent)
    }
    this.#silent.add(nodeName)
    await kubelet.node('Unknown', nodeName)
    kubelet.nodeName = `hand-${round}`
    await kubelet.node('True')
  }

  #operatorDies(): void {
    this.#kubelet.installation.operator.kill()
    this.#kubelet.installation.startOperator()
    this.told.push('operator dies')
  }

  /** Meanwhile kubelets start pods, and end those that are told to go. */
  async #until(isSo: () => boolean | Promise<boolean>, what: string): Promise<void> {
    for (let waitedMs = 0; waitedMs < 180_000; waitedMs += STEP_MS) {
      if (await isSo()) return
      const pods = await this.#kubelet.everyPod()
      for (const pod of pods) await this.#keep(pod, pods)
      await this.#kubelet.installation.advance(STEP_MS)
    }
    throw new Error(`${what}: ${JSON.stringify((await this.#kubelet.session()).status)}`)
  }

  async #keep(pod: Pod, pods: readonly Pod[]): Promise<void> {
    const { uid = '', deletionTimestamp } = pod.metadata
    if (!this.#seen.has(uid)) {
      this.#seen.add(uid)
      this.#isAlone(pod, pods)
      this.#served = await this.#kubelet.running()
    }
    if (!deletionTimestamp || this.#silent.has(pod.spec?.nodeName ?? '')) return
    const nowMs = this.#kubelet.nowMs
    const endsAtMs = this.#endsAtMs.get(uid) ?? nowMs + 8_000 * this.#random.fraction()
    this.#endsAtMs.set(uid, endsAtMs)
    if (nowMs >= endsAtMs) await this.#kubelet.gone(pod)
  }

  #isAlone(pod: Pod, pods: readonly Pod[]): void {
    const nowMs = this.#kubelet.installation.clock.now()
    for (const other of pods) {
      const { name, deletionTimestamp } = other.metadata
      if (other.metadata.uid === pod.metadata.uid) continue
      const isOverdue = deletionTimestamp !== undefined && nowMs >= Date.parse(deletionTimestamp) + OVERDUE_MS - ROUNDED_MS
      if (!isOverdue || !this.#silent.has(other.spec?.nodeName ?? ''))
        throw new Error(`${pod.metadata.name} was made while ${name} was there (${this.told.join(', ')})`)
    }
  }
}
