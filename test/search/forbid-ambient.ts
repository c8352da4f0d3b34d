/**
 * While a search runs, whatever reads time or chance, or waits, beside the Env throws: a schedule that is not drawn from
 * the seed could not be replayed. Answers the way back.
 */
export function forbidAmbient(): () => void {
  const real = { Date, setTimeout, setInterval, setImmediate, fetch, random: Math.random, timeout: AbortSignal.timeout }
  const forbidden = (name: string) => (): never => {
    throw new Error(`${name} is ambient: a search must take it from the Env`)
  }
  class PureDate extends Date {
    constructor(epoch?: number | string) {
      if (epoch === undefined) forbidden('new Date()')()
      super(epoch!)
    }
    static override now = forbidden('Date.now')
  }
  Object.assign(globalThis, {
    Date: PureDate,
    setTimeout: forbidden('setTimeout'),
    setInterval: forbidden('setInterval'),
    setImmediate: forbidden('setImmediate'),
    fetch: forbidden('fetch'),
  })
  Math.random = forbidden('Math.random')
  AbortSignal.timeout = forbidden('AbortSignal.timeout')
  return () => {
    const { random, timeout, ...globals } = real
    Object.assign(globalThis, globals)
    Math.random = random
    AbortSignal.timeout = timeout
  }
}
