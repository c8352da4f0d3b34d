/** Adapter: the log of a bench's processes. */
import type { Log } from '../../src/env/log.ts'

/** What a bench's processes log: only what should not happen, so that a broken round says why. */
export const quiet: Log = { debug: () => {}, info: () => {}, warn: complain, error: complain }

function complain(fields: object, message: string): void {
  const { err, ...rest } = fields as { err?: Error }
  process.stderr.write(`${message} ${JSON.stringify(rest)} ${err?.message ?? ''}\n`)
}
