/** What a client's Accept header asks for, as far as this server can say it (RFC 9110 12.5.1; Kubernetes' "API concepts"). */
export type Representation = 'json' | 'table' | 'metadata'

export interface MediaRange {
  /** `application/json`, in lower case. */
  type: string
  parameters: Record<string, string>
}

/** The ranges of an Accept header in the order of preference. Absent or empty: anything. */
export function parseAccept(header: string | undefined): MediaRange[] {
  const ranges = (header ?? '')
    .split(',')
    .map(parseMediaType)
    .filter((range) => range.type !== '')
  if (ranges.length === 0) return [{ type: '*/*', parameters: {} }]
  const quality = (range: MediaRange): number => Number(range.parameters.q ?? 1)
  return ranges.filter((range) => quality(range) > 0).sort((a, b) => quality(b) - quality(a))
}

/** `application/json; charset=utf-8` → type and parameters. */
export function parseMediaType(text: string): MediaRange {
  const [type = '', ...rest] = text.split(';').map((part) => part.trim())
  const parameters = rest
    .filter((part) => part.includes('='))
    .map((part) => {
      const at = part.indexOf('=')
      return [
        part.slice(0, at).trim().toLowerCase(),
        part
          .slice(at + 1)
          .trim()
          .replace(/^"(.*)"$/, '$1'),
      ] as const
    })
  return { type: type.toLowerCase(), parameters: Object.fromEntries(parameters) }
}

/** The real server knows no `application/*`. */
export const isJson = ({ type }: MediaRange): boolean => type === 'application/json' || type === '*/*'

/**
 * The first range that can be answered; undefined (406) when there is none. kubectl's `protobuf,json` thus gets JSON,
 * and `json;as=Table,json` a table.
 */
export function negotiate(accept: string | undefined): Representation | undefined {
  for (const range of parseAccept(accept).filter(isJson)) {
    const { as, g, v } = range.parameters
    if (as === undefined) return 'json'
    if (g !== 'meta.k8s.io' || v !== 'v1') continue
    if (as === 'Table') return 'table'
    if (as === 'PartialObjectMetadata' || as === 'PartialObjectMetadataList') return 'metadata'
  }
  return undefined
}
