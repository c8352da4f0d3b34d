export interface AskedDocument {
  url: string
  /** On whose behalf, without a slash at its end: a trusted issuer's own origin may be on any port and address. */
  issuer: string
  /** Of the document that one has; the answer may be that it has not changed. */
  etag?: string | undefined
  /** For all of it: name, connection, and the last byte. */
  withinMs: number
}

export type FetchedDocument = { changed: true; document: Record<string, unknown>; etag?: string } | { changed: false }

/** Gets a JSON object that a tenant named. Throws DocumentError. A port: `guarded-fetch.ts` is the real one. */
export type FetchDocument = (asked: AskedDocument) => Promise<FetchedDocument>
