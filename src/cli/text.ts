/** Text for terminals: how wide it is, and nothing in it that a terminal would obey. */
import { stripVTControlCharacters } from 'node:util'

/** Cells that a character takes by Unicode's East Asian Width (W and F) and emoji presentation; combining marks take none. */
const WIDE =
  /[\u1100-\u115f\u2e80-\u303e\u3041-\ua4cf\ua960-\ua97c\uac00-\ud7a3\uf900-\ufaff\ufe30-\ufe6f\uff00-\uff60\uffe0-\uffe6\u{1b000}-\u{1b2ff}\u{1f200}-\u{1f2ff}\u{20000}-\u{3fffd}]|\p{Emoji_Presentation}/u
const NO_WIDTH = /^[\p{Mark}\p{Cf}]+$/u
const segments = new Intl.Segmenter('en', { granularity: 'grapheme' })

/** Terminal cells of a text without control characters. */
export function widthOf(text: string): number {
  // eslint-disable-next-line no-control-regex
  if (/^[\x20-\x7e]*$/.test(text)) return text.length
  let cells = 0
  for (const { segment } of segments.segment(text)) cells += NO_WIDTH.test(segment) ? 0 : WIDE.test(segment) ? 2 : 1
  return cells
}

/**
 * What others wrote (owners, session ids, messages of agents), made harmless: control characters, and the marks that turn the
 * direction of text, become `\u….`.
 */
export function harmless(text: string): string {
  return stripVTControlCharacters(text).replaceAll(
    /[\p{Cc}\u2028\u2029\u200e\u200f\u202a-\u202e\u2066-\u2069]/gu,
    (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`,
  )
}

/** At most `cells` wide; what is cut ends in …. */
export function fitted(text: string, cells: number): string {
  if (widthOf(text) <= cells) return text
  let kept = ''
  let used = 1
  for (const { segment } of segments.segment(text)) {
    used += widthOf(segment)
    if (used > cells) break
    kept += segment
  }
  return `${kept}…`
}

/** Lines of at most `cells`, broken between words where that is possible. */
export function wrapped(text: string, cells: number): string[] {
  const lines: string[] = []
  for (const word of text.split(' ')) {
    const longer = `${lines.at(-1)} ${word}`
    if (lines.length > 0 && widthOf(longer) <= cells) lines[lines.length - 1] = longer
    else lines.push(fitted(word, cells))
  }
  return lines
}

/** An id by its first and last characters: enough to tell it from others. */
export function shortened(id: string): string {
  return widthOf(id) <= 20 ? id : `${id.slice(0, 12)}…${id.slice(-6)}`
}
