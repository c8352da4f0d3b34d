import { shownLine } from '../logs/line.ts'
import { painted, type Tone } from '../table.ts'
import { widthOf, wrapped } from '../text.ts'

/** What a page shows below one title. */
export interface Section {
  title: string
  /** Fields, or lines as they are (a table). What has no value is left out; a section without content too. */
  content: readonly Field[] | readonly string[]
}

export interface Field {
  label: string
  /** Line feeds in it begin a new line. What else a terminal obeys, and what looks like a credential, is taken out here. */
  value: string | undefined
  tone?: Tone | undefined
}

/** For a file or a pipe. */
const COLUMNS_ELSEWHERE = 120
const LONGEST_COLUMNS = 140
const INDENT = '  '

/** One screen: titles at the left, fields aligned below them, long values wrapped beside their label. */
export function page(sections: readonly Section[], style: { colour: boolean; columns: number | undefined }): string {
  const columns = Math.min(style.columns ?? COLUMNS_ELSEWHERE, LONGEST_COLUMNS)
  const shown = sections.map(({ title, content }) => ({ title, lines: linesOf(content, columns, style.colour) }))
  return shown
    .filter(({ lines }) => lines.length > 0)
    .map(({ title, lines }) => [painted(title, style.colour ? 'title' : undefined), ...lines].join('\n'))
    .join('\n\n')
}

function linesOf(content: Section['content'], columns: number, colour: boolean): string[] {
  const labels = content.map((each) => (typeof each === 'string' || !each.value ? 0 : widthOf(each.label)))
  const width = Math.max(0, ...labels)
  return content.flatMap((each) => {
    if (typeof each === 'string') return [`${INDENT}${each}`]
    if (!each.value) return []
    const room = Math.max(20, columns - INDENT.length - width - 2)
    const lines = each.value.split('\n').flatMap((line) => wrapped(shownLine(line), room))
    return lines.map((line, at) => {
      const label = at === 0 ? each.label : ''
      return `${INDENT}${label}${' '.repeat(width - widthOf(label))}  ${painted(line, colour ? each.tone : undefined)}`
    })
  })
}
