/** Adapter: reads flags and environment once, at start, by one schema (style 10). */
import { Command, InvalidArgumentError, Option } from 'commander'
import { z } from 'zod'

/**
 * Parses `argv` and the environment by a flat zod object. `idleSeconds` is the flag `--idle-seconds` and the variable
 * `CARREL_IDLE_SECONDS`; the flag wins. Descriptions become `--help`. A boolean that defaults to true is `--no-x`.
 * An unknown flag or a bad value prints what is wrong and exits with 2; `--help` exits with 0.
 */
export function readSettings<Shape extends z.ZodRawShape>(
  about: { name: string; description: string },
  schema: z.ZodObject<Shape>,
  argv: readonly string[] = process.argv.slice(2),
  environment: Record<string, string | undefined> = process.env,
): z.output<z.ZodObject<Shape>> {
  const command = new Command(about.name).description(about.description).helpOption('-h, --help', 'show this').allowExcessArguments(false)
  command.exitOverride((error) => process.exit(error.exitCode === 0 ? 0 : 2))
  for (const [key, field] of Object.entries(schema.shape)) command.addOption(optionOf(key, field as z.ZodType))
  command.parse([...argv], { from: 'user' })

  const given: Record<string, unknown> = {}
  for (const key of Object.keys(schema.shape)) {
    const fromFlag = command.getOptionValueSource(key) === 'cli' ? command.getOptionValue(key) : undefined
    const value: unknown = fromFlag ?? environment[variableOf(key)]
    if (value !== undefined) given[key] = value
  }
  const parsed = schema.safeParse(given)
  if (parsed.success) return parsed.data
  for (const issue of parsed.error.issues) {
    const key = String(issue.path[0])
    process.stderr.write(`${about.name}: ${flagOf(key)} (or ${variableOf(key)}): ${issue.message}\n`)
  }
  process.stderr.write(`${about.name}: --help shows every setting\n`)
  return process.exit(2)
}

function optionOf(key: string, field: z.ZodType): Option {
  const fallback = z.safeParse(field, undefined)
  const isSwitch = fallback.success && typeof fallback.data === 'boolean'
  const shown = fallback.success && fallback.data !== undefined && !isSwitch ? `; default ${JSON.stringify(fallback.data)}` : ''
  const text = `${field.description ?? ''} (${variableOf(key)}${shown})`
  if (isSwitch) return new Option(fallback.data === true ? flagOf(key).replace('--', '--no-') : flagOf(key), text)
  const option = new Option(`${flagOf(key)} <value>`, text)
  return option.argParser((value: string) => {
    const parsed = z.safeParse(field, value)
    if (!parsed.success) throw new InvalidArgumentError(parsed.error.issues[0]!.message)
    return value
  })
}

function flagOf(key: string): string {
  return `--${key.replaceAll(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`
}

function variableOf(key: string): string {
  return `CARREL_${key.replaceAll(/[A-Z]/g, (letter) => `_${letter}`).toUpperCase()}`
}
