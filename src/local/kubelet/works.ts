import type { Exit, Violation } from './process-host.ts'
import type { Ending, Running, Work } from './work.ts'

/** What this kubelet is doing, by pod UID. It is memory only: after a restart the API and the machine say what was. */
export class Works {
  readonly #works = new Map<string, Work>()
  readonly #written = new Map<string, string>()
  readonly exits = new Map<string, Exit>()
  readonly violations = new Map<string, Violation>()

  get(uid: string): Work | undefined {
    return this.#works.get(uid)
  }

  set(uid: string, work: Work): void {
    this.#works.set(uid, work)
  }

  /** Of pods with a process. */
  live(): [uid: string, work: Running | Ending][] {
    return [...this.#works].filter(
      (entry): entry is [string, Running | Ending] => entry[1].step === 'running' || entry[1].step === 'ending',
    )
  }

  isWritten(uid: string, status: string): boolean {
    return this.#written.get(uid) === status
  }

  wrote(uid: string, status: string): void {
    this.#written.set(uid, status)
  }

  drop(uid: string): void {
    for (const map of [this.#works, this.#written, this.exits, this.violations]) map.delete(uid)
  }
}
