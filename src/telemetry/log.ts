/** Adapter: structured logs, JSON lines by pino, secrets redacted. */
import pino from 'pino'

/** Fields that never appear in a log, wherever they sit one level deep. */
const REDACTED = ['authorization', 'token', 'secret', 'secretAccessKey', 'password']

/** A log to a file (created 0600), or to stderr. Synchronous: a line that was logged before a crash is there after it. */
export function openLog(options: { name: string; level?: string; file?: string }): pino.Logger {
  const paths = REDACTED.flatMap((field) => [field, `*.${field}`])
  return pino(
    { name: options.name, level: options.level ?? 'info', redact: { paths, censor: '[redacted]' } },
    pino.destination({ dest: options.file ?? 2, sync: true, mkdir: true, mode: 0o600 }),
  )
}
