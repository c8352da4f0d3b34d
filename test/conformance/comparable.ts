/**
 * A recording without what two servers may well differ in. Uids, and resourceVersions of objects, become the order in which
 * they appeared, so that it still counts which are the same; a time becomes its form; managedFields go.
 */
const UID = /\b[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\b/g
const TIME = /\b\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?(?:Z|[+-]\d\d:\d\d)/g
const VERSIONS_IN_TEXT = /(resource version: |current: |ResourceVersion in (?:the precondition|record) \()\d+( \(\d+\))?/g

type Json = Record<string, unknown>

export class Comparables {
  readonly #symbols = new Map<string, string>()
  readonly #masks: [string, string][] = []

  /** From here on this text reads so. */
  mask(text: string, as: string): void {
    this.#masks.push([text, as])
  }

  of(value: unknown): unknown {
    if (typeof value === 'string') return this.#text(value)
    if (Array.isArray(value)) return value.map((each) => this.of(each))
    if (typeof value !== 'object' || value === null) return value
    const isOfList = 'items' in value || 'rows' in value || ('kind' in value && value.kind === 'Status')
    return Object.fromEntries(
      Object.entries(value).map(([key, inner]) => [key, key === 'metadata' ? this.#metadata(inner, isOfList) : this.of(inner)]),
    )
  }

  #metadata(value: unknown, isOfList: boolean): unknown {
    if (typeof value !== 'object' || value === null) return value
    const { managedFields: _managed, resourceVersion, continue: token, ...rest } = value as Json
    const isAnonymous = isOfList || rest['uid'] === undefined
    return {
      ...(this.of(rest) as Json),
      ...(resourceVersion === undefined
        ? {}
        : { resourceVersion: isAnonymous ? `<a version>` : this.#symbol('version', String(resourceVersion)) }),
      ...(token === undefined ? {} : { continue: token === '' ? '' : '<token>' }),
    }
  }

  #text(value: string): string {
    const unmasked = this.#masks.reduce((text, [from, to]) => text.replaceAll(from, to), value)
    return unmasked
      .replace(UID, (uid) => this.#symbol('uid', uid))
      .replace(TIME, (time) => `<time of ${time.length} characters>`)
      .replace(VERSIONS_IN_TEXT, '$1<version>')
  }

  #symbol(kind: string, value: string): string {
    const key = `${kind} ${value}`
    const symbol = this.#symbols.get(key) ?? `<${kind} ${this.#symbols.size + 1}>`
    this.#symbols.set(key, symbol)
    return symbol
  }
}

/** Paths at which two values differ, with what is there. */
export function differingAt(one: unknown, other: unknown, path = ''): { path: string; one: unknown; other: unknown }[] {
  if (Object.is(one, other)) return []
  const areBoth = typeof one === 'object' && typeof other === 'object' && one !== null && other !== null
  if (!areBoth || Array.isArray(one) !== Array.isArray(other)) return [{ path, one, other }]
  const keys = new Set([...Object.keys(one), ...Object.keys(other)])
  return [...keys].flatMap((key) => differingAt((one as Json)[key], (other as Json)[key], path === '' ? key : `${path}.${key}`))
}
