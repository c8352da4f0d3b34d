import { fitted, harmless, widthOf } from './text.ts'

export interface Column<Row> {
  title: string
  /** `-` is for what is not there. */
  cell: (row: Row) => string
  align?: 'right'
  /** Whether it is worth a look; coloured where there are colours. */
  tone?: (row: Row) => Tone | undefined
}

export type Tone = 'good' | 'bad' | 'faint'

const CODES: Record<Tone | 'title', string> = { good: '32', bad: '31', faint: '2', title: '1' }
const GAP = '  '

export interface TableStyle {
  colour: boolean
  /** Cells of a line; undefined: lines may be of any length. */
  columns?: number | undefined
}

/** Lines, the first of them titles. What cells hold is made harmless here, so that no caller can forget it. */
export function table<Row>(columns: readonly Column<Row>[], rows: readonly Row[], style: TableStyle): string[] {
  const cells = rows.map((row) => columns.map(({ cell }) => harmless(cell(row)) || '-'))
  const widths = columns.map(({ title }, at) => Math.max(widthOf(title), ...cells.map((row) => widthOf(row[at]!))))
  const line = (texts: readonly string[], tones: readonly (Tone | 'title' | undefined)[]): string => {
    const padded = texts.map((text, at) => {
      const room = ' '.repeat(widths[at]! - widthOf(text))
      return columns[at]!.align === 'right' ? room + text : at === columns.length - 1 ? text : text + room
    })
    // A line that is cut carries no colours: its codes could be cut with it.
    const plain = padded.join(GAP).trimEnd()
    if (style.columns !== undefined && widthOf(plain) > style.columns) return fitted(plain, style.columns)
    return padded
      .map((text, at) => painted(text, style.colour ? tones[at] : undefined))
      .join(GAP)
      .trimEnd()
  }
  const titles = columns.map(({ title }) => title)
  return [
    line(
      titles,
      titles.map(() => 'title'),
    ),
    ...rows.map((row, at) =>
      line(
        cells[at]!,
        columns.map(({ tone }) => tone?.(row)),
      ),
    ),
  ]
}

export function painted(text: string, tone: Tone | 'title' | undefined): string {
  return tone === undefined ? text : `\u001b[${CODES[tone]}m${text}\u001b[0m`
}
