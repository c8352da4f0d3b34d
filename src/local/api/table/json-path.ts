/**
 * The JSONPath that printer columns use: `.spec.x`, `['a.b']`, `[0]`, `[*]`, `[?(@.type=="Ready")]`. What else kubectl's
 * JSONPath knows (ranges, functions, recursive descent) is refused when the path is compiled.
 */
type Step =
  | { field: string }
  | { index: number }
  | { every: true }
  | { where: { path: string[]; equals: boolean; value: string | number | boolean } }

const STEP =
  /\.([A-Za-z_][\w-]*)|\['((?:[^'\\]|\\.)*)'\]|\[(-?\d+)\]|(\[\*\])|\[\?\(@((?:\.[A-Za-z_][\w-]*)+)\s*(==|!=)\s*("[^"]*"|'[^']*'|-?\d+|true|false)\)\]/y

/** Compiles once; the result finds every value that the path names. Throws on a path that it does not know. */
export function compileJsonPath(path: string): (root: unknown) => unknown[] {
  const steps = parse(path)
  return (root) => steps.reduce<unknown[]>((values, step) => values.flatMap((value) => follow(value, step)), [root])
}

function parse(path: string): Step[] {
  const steps: Step[] = []
  STEP.lastIndex = 0
  while (STEP.lastIndex < path.length) {
    const at = STEP.lastIndex
    const match = STEP.exec(path)
    if (match === null) throw new Error(`JSONPath ${path}: not understood from character ${at + 1}`)
    steps.push(stepOf(match))
  }
  return steps
}

function stepOf([, field, quoted, index, every, filterPath, operator, literal]: RegExpExecArray): Step {
  if (field !== undefined) return { field }
  if (quoted !== undefined) return { field: quoted.replace(/\\(.)/g, '$1') }
  if (index !== undefined) return { index: Number(index) }
  if (every !== undefined) return { every: true }
  return { where: { path: filterPath!.slice(1).split('.'), equals: operator === '==', value: literalOf(literal!) } }
}

function literalOf(text: string): string | number | boolean {
  return /^["']/.test(text) ? text.slice(1, -1) : (JSON.parse(text) as number | boolean)
}

function follow(value: unknown, step: Step): unknown[] {
  if ('field' in step) return present(fieldOf(value, step.field))
  if ('index' in step) return Array.isArray(value) ? present(value.at(step.index)) : []
  const items = Array.isArray(value) ? (value as unknown[]) : isRecord(value) ? Object.values(value) : []
  if ('every' in step) return items
  const { path, equals, value: wanted } = step.where
  return items.filter((item) => (path.reduce(fieldOf, item) === wanted) === equals)
}

function fieldOf(value: unknown, field: string): unknown {
  return isRecord(value) && Object.hasOwn(value, field) ? value[field] : undefined
}

function present(value: unknown): unknown[] {
  return value === undefined || value === null ? [] : [value]
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
