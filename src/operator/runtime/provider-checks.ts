import type { CustomJWT } from '../../crds/authorizer.ts'
import { sleep } from '../../env/clock.ts'
import { DONE, again, runController, type Outcome } from '../../kube/controller.ts'
import { WorkQueue } from '../../kube/workqueue.ts'
import type { OperatorEnv, ProviderVerdict } from '../env.ts'

const WORKERS = 16
/** A provider that has not answered by then is not waited for. */
const LONGEST_CHECK_MS = 3_000
const PERIOD_MS = { failing: 60_000, ready: 600_000 }
/** Each period by up to this share longer or shorter, so that checks spread. */
const JITTER = 0.1

interface Provider {
  customJWT: CustomJWT
  runtimes: Set<string>
  verdict: ProviderVerdict | undefined
}

/**
 * What is known of the identity providers that runtimes name, looked at again and again beside the reconciles: a provider that
 * does not answer holds nobody up. One check serves all runtimes of a provider.
 */
export class ProviderChecks {
  readonly #env: OperatorEnv
  readonly #wake: (runtimeKey: string) => void
  readonly #queue: WorkQueue
  /** By discovery URL. */
  readonly #providers = new Map<string, Provider>()
  readonly #urlsOf = new Map<string, ReadonlySet<string>>()

  /** `wake`: called with each runtime whose verdict has changed. */
  constructor(env: OperatorEnv, wake: (runtimeKey: string) => void) {
    this.#env = env
    this.#wake = wake
    this.#queue = new WorkQueue(env)
  }

  /** Checks until the signal aborts. */
  run(signal: AbortSignal): Promise<void> {
    const options = { env: this.#env, name: 'identityprovider', queue: this.#queue, workers: WORKERS }
    return runController({ ...options, reconcile: (url) => this.#check(url) }, signal)
  }

  /** Which providers the runtime has now; none when it is gone. */
  want(runtimeKey: string, customJWTs: readonly CustomJWT[]): void {
    const urls = new Set(customJWTs.map(({ discoveryUrl }) => discoveryUrl))
    for (const url of this.#urlsOf.get(runtimeKey) ?? []) if (!urls.has(url)) this.#leave(url, runtimeKey)
    if (urls.size === 0) this.#urlsOf.delete(runtimeKey)
    else this.#urlsOf.set(runtimeKey, urls)
    for (const customJWT of customJWTs) this.#join(customJWT, runtimeKey)
  }

  /** Undefined until it was checked for the first time. */
  verdictOn({ discoveryUrl }: CustomJWT): ProviderVerdict | undefined {
    return this.#providers.get(discoveryUrl)?.verdict
  }

  #join(customJWT: CustomJWT, runtimeKey: string): void {
    const url = customJWT.discoveryUrl
    const known = this.#providers.get(url)
    if (known) return void known.runtimes.add(runtimeKey)
    this.#providers.set(url, { customJWT, runtimes: new Set([runtimeKey]), verdict: undefined })
    this.#queue.add(url)
  }

  #leave(url: string, runtimeKey: string): void {
    const provider = this.#providers.get(url)
    provider?.runtimes.delete(runtimeKey)
    if (provider?.runtimes.size === 0) this.#providers.delete(url)
  }

  async #check(url: string): Promise<Outcome> {
    const provider = this.#providers.get(url)
    if (provider === undefined) return DONE
    const verdict = await this.#verdictIn(provider)
    const before = provider.verdict
    provider.verdict = verdict
    if (before === undefined || codeOf(before) !== codeOf(verdict)) for (const key of provider.runtimes) this.#wake(key)
    const periodMs = verdict.ok ? PERIOD_MS.ready : PERIOD_MS.failing
    return again(periodMs * (1 + JITTER * (2 * this.#env.random.fraction() - 1)))
  }

  async #verdictIn({ customJWT }: Provider): Promise<ProviderVerdict> {
    const enough = new AbortController()
    const late = sleep(this.#env.clock, LONGEST_CHECK_MS, enough.signal).then((): ProviderVerdict => ({ ok: false, code: 'TooSlow' }))
    try {
      return await Promise.race([this.#env.providers.check(customJWT), late])
    } catch (error) {
      this.#env.log.warn({ provider: customJWT.discoveryUrl, err: error }, 'an identity provider could not be checked')
      return { ok: false, code: 'CheckFailed' }
    } finally {
      enough.abort()
    }
  }
}

function codeOf(verdict: ProviderVerdict): string | undefined {
  return verdict.ok ? undefined : verdict.code
}
