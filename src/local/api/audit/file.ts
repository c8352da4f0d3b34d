/** Adapter: appends the audit log to a file, one JSON line for each event. */
import { createWriteStream } from 'node:fs'
import type { Log } from '../../../env/log.ts'
import type { AuditSink } from './audit.ts'

/**
 * The file is made with mode 0600. A full or failing disk loses lines, says so once in the log, and disturbs nothing
 * else: an audit line is never worth a request.
 */
export function auditFile(path: string, log: Log): AuditSink & { close(): Promise<void> } {
  const stream = createWriteStream(path, { flags: 'a', mode: 0o600 })
  let hasFailed = false
  stream.on('error', (error) => {
    if (!hasFailed) log.warn({ path, error: error.message }, 'the audit log cannot be written; requests go on without it')
    hasFailed = true
  })
  return {
    write: (event) => void (hasFailed || stream.write(`${JSON.stringify(event)}\n`)),
    close: () => new Promise((resolve) => (hasFailed || stream.destroyed ? resolve() : stream.end(() => resolve()))),
  }
}
