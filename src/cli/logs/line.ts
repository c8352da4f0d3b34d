import { scrub } from '../../telemetry/scrub.ts'
import { harmless } from '../text.ts'

/** What an agent logged, for a terminal: credentials taken out, nothing in it that a terminal obeys. */
export function shownLine(line: string): string {
  return harmlessLine(scrub(line))
}

/** Tabs stay, and so does nothing else that a terminal obeys. */
export function harmlessLine(line: string): string {
  return line.replace(/\r$/, '').split('\t').map(harmless).join('\t')
}

/** A line is shown when it is whole; one that goes on and on is cut here and there. */
const LONGEST_LINE_CHARACTERS = 64 * 1024

/** The lines of a text that comes in parts. The last one may lack its line feed. */
export async function* linesOf(parts: AsyncIterable<Uint8Array>): AsyncGenerator<string> {
  const decoder = new TextDecoder()
  let rest = ''
  for await (const part of parts) {
    const lines = (rest + decoder.decode(part, { stream: true })).split('\n')
    rest = lines.pop()!
    yield* lines
    if (rest.length < LONGEST_LINE_CHARACTERS) continue
    yield rest
    rest = ''
  }
  rest += decoder.decode()
  if (rest !== '') yield rest
}
