/** Lets so many at once through for each key; the others wait in the order in which they came. */
export class Turns {
  readonly #most: number
  readonly #keys = new Map<string, { running: number; waiting: (() => void)[] }>()

  constructor(most: number) {
    this.#most = most
  }

  async run<Value>(key: string, work: () => Promise<Value>): Promise<Value> {
    const turn = this.#keys.get(key) ?? { running: 0, waiting: [] }
    this.#keys.set(key, turn)
    if (turn.running < this.#most) turn.running += 1
    else await new Promise<void>((resolve) => turn.waiting.push(resolve))
    try {
      return await work()
    } finally {
      const next = turn.waiting.shift()
      if (next) next()
      else if ((turn.running -= 1) === 0) this.#keys.delete(key)
    }
  }
}
