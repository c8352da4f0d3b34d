import { denied, validation } from '../errors.ts'

/** Request headers as sent: names in lower case, values in order. Built from the raw list, so nothing is merged or lost. */
export class Headers {
  readonly #values = new Map<string, string[]>()

  constructor(raw: readonly string[]) {
    for (let index = 0; index < raw.length; index += 2) {
      const name = raw[index]!.toLowerCase()
      const values = this.#values.get(name) ?? []
      values.push(raw[index + 1]!)
      this.#values.set(name, values)
    }
  }

  all(name: string): readonly string[] {
    return this.#values.get(name) ?? []
  }

  /** Throws 400 when it was sent more than once: nobody may choose which one counts. */
  one(name: string): string | undefined {
    const values = this.all(name)
    if (values.length > 1) throw validation(name, `the header ${name} was sent ${values.length} times`)
    return values[0]
  }

  names(): Iterable<string> {
    return this.#values.keys()
  }
}

export const SESSION_HEADER = 'x-amzn-bedrock-agentcore-runtime-session-id'

/** 33 to 256 characters (contract 2.1, T10), printable; undefined when none was sent. */
export function sessionIdOf(headers: Headers): string | undefined {
  const values = headers.all(SESSION_HEADER)
  if (values.length > 1) throw validation('runtimeSessionId', 'the session header was sent more than once')
  const sessionId = values[0]
  if (sessionId === undefined) return undefined
  if (sessionId.length < 33 || sessionId.length > 256) {
    throw validation('runtimeSessionId', `a session id has 33 to 256 characters; this one has ${sessionId.length}`)
  }
  // eslint-disable-next-line no-control-regex
  if (/[\u0000-\u001f\u007f]/.test(sessionId)) throw validation('runtimeSessionId', 'a session id must not hold control characters')
  return sessionId
}

/** Against DNS rebinding and web pages (security rule 5). `hosts` undefined: any Host, as behind an ingress. */
export function checkOrigin(headers: Headers, hosts: ReadonlySet<string> | undefined): void {
  const host = headers.all('host')
  if (host.length !== 1) throw validation('host', 'exactly one Host header is expected')
  if (hosts === undefined) return
  if (!hosts.has(host[0]!.toLowerCase()))
    throw denied(`this gateway answers to ${[...hosts].join(', ')} only, not to the Host of this request`)
  if (headers.all('origin').length > 0) throw denied('requests of web pages (with an Origin header) are not served')
}
