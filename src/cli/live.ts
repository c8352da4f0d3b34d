import { sleep } from '../env/clock.ts'
import type { CliEnv } from './env.ts'
import { CommandFailure } from './failure.ts'
import { harmless, wrapped } from './text.ts'

/** Between two looks. Each lists anew: one that fails says so, and the next may succeed. */
const LOOK_EVERY_MS = 2_000

/** What one look has found, in three forms. */
export interface Look {
  /** For a terminal, cut to its width. */
  lines(columns: number | undefined): string[]
  /** Beside it: what is missing and how to get it. */
  notes: readonly string[]
  /** For a file or a pipe, where nothing is drawn over: the titles ('' for none), and one line for each row by its key. */
  titles: string
  rows: ReadonlyMap<string, LiveLine>
}

export interface LiveLine {
  line: string
  /** Written again when this is another: what changes all the time by itself is not in it. */
  mark: string
}

/**
 * Shows `look` over and over until the user has enough, which is a clean end. On a terminal it is drawn over; elsewhere, and
 * with `asLines`, only the rows that changed are written, as lines. The first look must succeed.
 */
export async function watchLive(env: CliEnv, asLines: boolean, look: () => Promise<Look>): Promise<void> {
  const show = env.screen.terminal && !asLines ? drawing(env) : writing(env)
  show.seen(await look())
  const enough = env.enough()
  for (;;) {
    await sleep(env.clock, LOOK_EVERY_MS, enough)
    if (enough.aborted) break
    try {
      show.seen(await look())
    } catch (error) {
      if (!(error instanceof CommandFailure)) throw error
      show.failed(error.message)
    }
  }
  env.screen.endDrawing()
}

interface Shown {
  seen(look: Look): void
  failed(why: string): void
}

function drawing({ screen }: CliEnv): Shown {
  let last: Look | undefined
  const draw = (look: Look, more: readonly string[]): void => {
    const { columns, rows } = screen.terminal!
    const below = [...look.notes, ...more].flatMap((note) => wrapped(harmless(note), columns))
    const lines = look.lines(columns)
    const room = Math.max(2, rows - below.length - 1)
    const cut = lines.length > room ? [...lines.slice(0, room - 1), `… and ${lines.length - room + 1} more`] : lines
    screen.draw([...cut, ...(below.length === 0 ? [] : ['', ...below])])
  }
  return {
    seen: (look) => draw((last = look), []),
    failed: (why) => draw(last!, [`Not of this moment: ${why}`]),
  }
}

function writing({ screen }: CliEnv): Shown {
  let before: ReadonlyMap<string, LiveLine> | undefined
  let said: string | undefined
  const note = (text: string): void => {
    if (text !== said && text !== '') screen.note(harmless(text))
    said = text
  }
  return {
    seen({ titles, rows, notes }) {
      if (before === undefined && titles !== '') screen.out(titles)
      for (const [key, { line, mark }] of rows) if (before?.get(key)?.mark !== mark) screen.out(line)
      before = rows
      note(notes.join(' '))
    },
    failed: note,
  }
}
