/** Adapter: the terminal, or the file or pipe in its place. */
import type { Screen } from './env.ts'

const ENTER = '\u001b[?1049h\u001b[?25l'
const LEAVE = '\u001b[?25h\u001b[?1049l'

/** Who reads our output may leave early (`| head`): then the process ends as if it had said all. */
export function systemScreen(): Screen & { restore(): void } {
  const { stdout, stderr, env } = process
  stdout.on('error', (error: NodeJS.ErrnoException) => process.exit(error.code === 'EPIPE' ? 0 : 1))
  const isTerminal = stdout.isTTY && env['TERM'] !== 'dumb'
  let drawn: readonly string[] | undefined
  const restore = (): void => {
    if (drawn === undefined) return
    drawn = undefined
    stdout.write(LEAVE)
  }
  return {
    colour: isTerminal && !env['NO_COLOR'],
    get terminal() {
      return isTerminal ? { columns: stdout.columns, rows: stdout.rows } : undefined
    },
    out: (text) => void stdout.write(`${text}\n`),
    stream: (part) => void stdout.write(part),
    note: (text) => void stderr.write(`${text}\n`),
    draw(lines) {
      const enter = drawn === undefined ? ENTER : ''
      drawn = lines
      // Each line is cleared behind its text, and the rest below: no flicker of an empty screen.
      stdout.write(`${enter}\u001b[H${lines.map((line) => `${line}\u001b[K`).join('\r\n')}\u001b[J`)
    },
    endDrawing() {
      const last = drawn
      restore()
      if (last) stdout.write(`${last.join('\n')}\n`)
    },
    restore,
  }
}
