/** One line of a log file: `<time> <stream> <F|P> <text>`, as container runtimes write it; P goes on in the next. */
export interface LogLine {
  time: string
  stream: 'stdout' | 'stderr'
  full: boolean
  text: string
}

/** A longer line is written in parts. */
export const LONGEST_PART_BYTES = 16_384

export function formatLine({ time, stream, full, text }: LogLine): string {
  return `${time} ${stream} ${full ? 'F' : 'P'} ${text}\n`
}

export function parseLine(line: string): LogLine | undefined {
  const match = /^(\S+) (stdout|stderr) ([FP]) ([^]*)$/.exec(line)
  if (!match) return undefined
  return { time: match[1]!, stream: match[2] as LogLine['stream'], full: match[3] === 'F', text: match[4]! }
}

/** Cuts a stream of bytes into lines, without ever tearing a character. */
export class LineCutter {
  readonly #decoder = new TextDecoder()
  #rest = ''

  /** Lines that the chunk completes; what is too long comes in parts. */
  push(chunk: Uint8Array): { text: string; full: boolean }[] {
    return this.#cut(this.#rest + this.#decoder.decode(chunk, { stream: true }))
  }

  /** What was not ended by a line feed. */
  end(): { text: string; full: boolean }[] {
    const lines = this.#cut(this.#rest + this.#decoder.decode())
    const rest = this.#rest
    this.#rest = ''
    return rest === '' ? lines : [...lines, { text: rest, full: true }]
  }

  #cut(text: string): { text: string; full: boolean }[] {
    const pieces = text.split('\n')
    let rest = pieces.pop()!
    const lines = pieces.flatMap(partsOf)
    while (rest.length > LONGEST_PART_BYTES) {
      lines.push({ text: rest.slice(0, LONGEST_PART_BYTES), full: false })
      rest = rest.slice(LONGEST_PART_BYTES)
    }
    this.#rest = rest
    return lines
  }
}

function partsOf(line: string): { text: string; full: boolean }[] {
  const parts: { text: string; full: boolean }[] = []
  for (let at = 0; at === 0 || at < line.length; at += LONGEST_PART_BYTES) {
    parts.push({ text: line.slice(at, at + LONGEST_PART_BYTES), full: at + LONGEST_PART_BYTES >= line.length })
  }
  return parts
}

export interface ReadOptions {
  tailLines?: number
  limitBytes?: number
  sinceSeconds?: number
  sinceTime?: string
  timestamps?: boolean
}

/** The last lines that the options ask for; parts of one line count as one. */
export function select(lines: readonly LogLine[], options: ReadOptions, nowMs: number): LogLine[] {
  const sinceMs = Math.max(
    options.sinceSeconds === undefined ? -Infinity : nowMs - options.sinceSeconds * 1000,
    options.sinceTime === undefined ? -Infinity : Date.parse(options.sinceTime),
  )
  const recent = lines.filter(({ time }) => Date.parse(time) >= sinceMs)
  if (options.tailLines === undefined) return recent
  let from = recent.length
  for (let wanted = options.tailLines; from > 0; from -= 1) {
    if (recent[from - 1]!.full && wanted-- === 0) break
  }
  return recent.slice(from)
}

/** As `kubectl logs` shows it. */
export function shown({ time, full, text }: LogLine, startsLine: boolean, options: ReadOptions): string {
  return `${options.timestamps && startsLine ? `${time} ` : ''}${text}${full ? '\n' : ''}`
}
