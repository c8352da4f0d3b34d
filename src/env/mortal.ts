/**
 * A process that can die at any instruction. `mortal` wraps every port of an Env; after `kill`, nothing that went through
 * a port ever settles: promises stay pending, timers do not fire, iterables yield no more. So the code of a "crashed"
 * process simply stops where it awaited, and runs no `catch` and no `finally`, as under SIGKILL.
 *
 * `observe` sees each call before it is made. A test counts writes with it, or hashes the trace.
 */
export interface Mortal<E extends object> {
  env: E
  kill(): void
  readonly alive: boolean
}

export interface PortCall {
  /** Path of the call, such as `kubernetes.request`. */
  port: string
  arguments: readonly unknown[]
}

type Callable = (...parameters: unknown[]) => unknown

export function mortal<E extends object>(env: E, observe?: (call: PortCall, settled?: unknown) => void): Mortal<E> {
  const life = { alive: true }

  function wrapPort(port: object, path: string): object {
    return new Proxy(port, {
      get(target, property) {
        const value: unknown = Reflect.get(target, property)
        if (typeof property === 'symbol') return value
        const name = path ? `${path}.${property}` : property
        if (typeof value === 'function') return wrapCall(value as Callable, target, name)
        if (isPort(value)) return wrapPort(value, name)
        return value
      },
    })
  }

  function wrapCall(call: Callable, owner: object, name: string): Callable {
    return (...parameters) => {
      if (!life.alive) return nothing()
      observe?.({ port: name, arguments: parameters })
      const guarded = parameters.map((value) => (typeof value === 'function' ? ifAlive(value as Callable) : value))
      return wrapResult(Reflect.apply(call, owner, guarded))
    }
  }

  function ifAlive(call: Callable): Callable {
    return (...parameters) => (life.alive ? call(...parameters) : undefined)
  }

  function wrapResult(result: unknown): unknown {
    if (result instanceof Promise) return guardPromise(result)
    if (isAsyncIterable(result)) return guardIterable(result)
    return result
  }

  function guardPromise(promise: Promise<unknown>): Promise<unknown> {
    return new Promise((resolve, reject) => {
      promise.then(
        (value: unknown) => life.alive && resolve(wrapResult(value)),
        (error: unknown) => life.alive && reject(error),
      )
    })
  }

  function guardIterable(iterable: AsyncIterable<unknown>): AsyncIterable<unknown> {
    return {
      [Symbol.asyncIterator]() {
        const iterator = iterable[Symbol.asyncIterator]()
        return {
          next: () => guardPromise(iterator.next()) as Promise<IteratorResult<unknown>>,
          return: (value) => guardPromise(iterator.return?.(value) ?? Promise.resolve({ done: true, value })) as never,
        }
      },
    }
  }

  return {
    env: wrapPort(env, '') as E,
    kill: () => void (life.alive = false),
    get alive() {
      return life.alive
    },
  }
}

/** What a dead process gets from a port: never an answer. It can be cancelled, as the timer that it may be taken for. */
function nothing(): object {
  return Object.assign(new Promise(() => {}), { cancel: () => {} })
}

function isPort(value: unknown): value is object {
  return typeof value === 'object' && value !== null && !Array.isArray(value) && !ArrayBuffer.isView(value)
}

function isAsyncIterable(value: unknown): value is AsyncIterable<unknown> {
  return typeof value === 'object' && value !== null && Symbol.asyncIterator in value
}
