/** Adapter: structured logs, JSON lines by pino, secrets redacted. */
import pino from 'pino'
import { scrub } from './scrub.ts'

/** A log to a file (created 0600), or to stderr. Synchronous: a line that was logged before a crash is there after it. */
export function openLog(options: { name: string; level?: string; file?: string }): pino.Logger {
  return pino(
    { name: options.name, level: options.level ?? 'info', hooks: { streamWrite: scrub } },
    pino.destination({ dest: options.file ?? 2, sync: true, mkdir: true, mode: 0o600 }),
  )
}
