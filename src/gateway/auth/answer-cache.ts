import { ApiError, TransportError } from '../../kube/errors.ts'
import type { Clock } from '../../env/clock.ts'

/** An answer this young is given without asking. */
const FRESH_MS = 4_000
/** Until then it is given and asked for beside: a right that was taken away serves no longer than this, and one answer. */
const SERVED_MS = 8_000
/** While nobody answers, what was allowed before stays so for this long, for live sessions only (security rule 10). */
const LONGEST_STALE_MS = 120_000
/** The least recently used go first. */
const MOST_ENTRIES = 10_000
/** Questions that are under way; a flood of new callers waits in nobody's queue. */
const MOST_ASKED = 64

export interface Answered<Answer> {
  answer: Answer
  /** Nobody could be asked anew. */
  stale: boolean
}

interface Entry<Answer> {
  answer?: Answer
  /** Monotonic, when it was asked; what changed later is not in the answer. */
  askedAtMs: number
  asking?: Promise<void>
}

/** The reviewer has no time or no answer: the caller is to come again. */
export class ReviewUnavailable extends Error {
  override readonly name = 'ReviewUnavailable'
}

/** Answers of the API server, for seconds: the hot path asks nobody (design rule 6). */
export class AnswerCache<Answer> {
  readonly #clock: Clock
  readonly #entries = new Map<string, Entry<Answer>>()
  #asked = 0

  constructor(clock: Clock) {
    this.#clock = clock
  }

  /** Throws ReviewUnavailable when there is no answer, and none that is young enough. Concurrent questions share one. */
  async get(key: string, ask: () => Promise<Answer>): Promise<Answered<Answer>> {
    const entry = this.#entryOf(key)
    const ageMs = this.#clock.monotonic() - entry.askedAtMs
    if (entry.answer !== undefined && ageMs < FRESH_MS) return { answer: entry.answer, stale: false }
    const asking = this.#ask(entry, ask)
    if (entry.answer !== undefined && ageMs < SERVED_MS) {
      asking.catch(() => {}) // asked again by the next call
      return { answer: entry.answer, stale: false }
    }
    try {
      await asking
      return { answer: entry.answer!, stale: false }
    } catch (error) {
      // Whatever it says that is no answer: a server that has just started refuses its own parts for a while.
      const isOut = error instanceof ReviewUnavailable || error instanceof TransportError || error instanceof ApiError
      if (isOut && entry.answer !== undefined && ageMs < LONGEST_STALE_MS) return { answer: entry.answer, stale: true }
      if (entry.answer === undefined) this.#entries.delete(key)
      throw isOut ? new ReviewUnavailable('the Kubernetes API does not answer', { cause: error }) : error
    }
  }

  #entryOf(key: string): Entry<Answer> {
    const entry = this.#entries.get(key) ?? { askedAtMs: -Infinity }
    this.#entries.delete(key)
    this.#entries.set(key, entry)
    if (this.#entries.size > MOST_ENTRIES) this.#entries.delete(this.#entries.keys().next().value!)
    return entry
  }

  #ask(entry: Entry<Answer>, ask: () => Promise<Answer>): Promise<void> {
    if (entry.asking) return entry.asking
    if (this.#asked >= MOST_ASKED) return Promise.reject(new ReviewUnavailable('too many callers are being looked up at once'))
    this.#asked += 1
    const askedAtMs = this.#clock.monotonic()
    const asking = ask()
      .then((answer) => {
        entry.answer = answer
        entry.askedAtMs = askedAtMs
      })
      .finally(() => {
        this.#asked -= 1
        delete entry.asking
      })
    entry.asking = asking
    return asking
  }
}
