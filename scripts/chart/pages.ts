/** values.yaml and values.schema.json, from the schema of the values. */
import { stringify } from 'yaml'
import { z } from 'zod'
import { chartValues } from './values.ts'

/** Comments are broken before it. */
const LONGEST_LINE = 120

/** For Helm, which refuses what does not fit. */
export function valuesSchema(): string {
  const { $schema: _, ...schema } = z.toJSONSchema(chartValues, { target: 'draft-7', io: 'input' })
  return `${JSON.stringify({ $schema: 'http://json-schema.org/draft-07/schema#', ...schema }, undefined, 2)}\n`
}

/** Every value with its default, under what it means. */
export function valuesPage(head: string): string {
  const lines = [`# ${head}`, ...linesOf(chartValues, chartValues.parse({}), 0)]
  return `${lines.join('\n')}\n`
}

function linesOf(schema: z.ZodObject, defaults: Record<string, unknown>, depth: number): string[] {
  const indent = '  '.repeat(depth)
  return Object.entries(schema.shape).flatMap(([key, field]) => {
    if (depth === 0 && key === 'global') return []
    const { description = '' } = field as z.ZodType
    const group = groupOf(field as z.ZodType)
    const comment = wrapped(description, LONGEST_LINE - indent.length - 2).map((line) => `${indent}# ${line}`)
    const gap = depth === 0 ? [''] : []
    if (group) return [...gap, ...comment, `${indent}${key}:`, ...linesOf(group, defaults[key] as Record<string, unknown>, depth + 1)]
    const value = stringify({ [key]: defaults[key] }, { lineWidth: 0, singleQuote: true })
      .trimEnd()
      .split('\n')
    return [...gap, ...comment, ...value.map((line) => indent + line)]
  })
}

/** A field that is a group of values of ours, not one value that happens to be an object. */
function groupOf(field: z.ZodType): z.ZodObject | undefined {
  return field instanceof z.ZodPrefault && field.unwrap() instanceof z.ZodObject ? (field.unwrap() as z.ZodObject) : undefined
}

function wrapped(text: string, width: number): string[] {
  return text.split(' ').reduce<string[]>((lines, word) => {
    const last = lines.at(-1)
    if (last === undefined || last.length + 1 + word.length > width) return [...lines, word]
    return [...lines.slice(0, -1), `${last} ${word}`]
  }, [])
}
