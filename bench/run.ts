/** Adapter: `npm run bench`: runs benches by name and writes what they measured, as JSON and as a Markdown table. */
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { z } from 'zod'
import { prepareControlPlane } from '../scripts/rings/control-plane.ts'
import { prepareRings } from '../scripts/rings/prepare.ts'
import { readSettings } from '../src/env/settings.ts'
import { BENCHES } from './benches.ts'
import type { Bench, BenchSettings } from './runner/bench.ts'
import { machineFacts } from './runner/machine.ts'
import { markdownOf } from './runner/markdown.ts'
import { resultOf, type BenchResult } from './runner/result.ts'
import { runRounds } from './runner/rounds.ts'

const ROUNDS = 5
const count = z.coerce.number().int().min(1)
const flags = z.object({
  rounds: count.optional().describe('How often each case is measured; by default 5 times, or what the bench names.'),
  objects: count.default(10_000).describe('Sessions, and as many pods, that are listed and watched.'),
  changes: count.default(10_000).describe('Changes to them that are watched.'),
  sessions: count.default(20).describe('Sessions that are driven from first call to end.'),
  seconds: z.coerce.number().min(0.5).default(10).describe('How long each case of the gateway is measured in a round, after a warm-up.'),
  nginx: z
    .stringbool()
    .or(z.boolean())
    .default(true)
    .describe('Leave out nginx beside the gateway (installed from Debian where it is not there).'),
  api: z
    .enum(['embedded', 'real', 'both'])
    .default('both')
    .describe('API server: embedded, real (a kube-apiserver, built once and kept as for the tests), or both.'),
  out: z.string().min(1).default('bench/results').describe('Folder of the JSON files.'),
})

const argv = process.argv.slice(2)
const names = argv.slice(
  0,
  [...argv, '-'].findIndex((word) => word.startsWith('-')),
)
const list = BENCHES.map(({ name, about }) => `  ${name}\n      ${about}`).join('\n')
const settings = readSettings(
  {
    name: 'npm run bench -- [NAME...]',
    description: `Runs the benches that are named, or below a name; without one, all of them.\n\n${list}`,
  },
  flags,
  argv.slice(names.length),
)

const chosen = names.length === 0 ? BENCHES : BENCHES.filter(({ name }) => names.some((one) => name === one || name.startsWith(`${one}/`)))
const unknown = names.find((one) => !BENCHES.some(({ name }) => name === one || name.startsWith(`${one}/`)))
if (unknown !== undefined) giveUp(`no bench is called ${unknown}; there are:\n${list}`)
const apis = settings.api === 'both' ? (['embedded', 'real'] as const) : [settings.api]
if (apis.includes('real')) process.env['CARREL_TEST_CONTROL_PLANE'] ??= prepareControlPlane()

// Standard output is the page: what is prepared is told beside it.
console.log = console.error
if (names.length === 0) process.stderr.write(`${list}\n\n`)
for (const bench of chosen) {
  const missing = missingRing(bench)
  if (missing !== undefined) {
    if (names.length > 0) giveUp(`${bench.name}: ${missing}`, 1)
    say(`${bench.name} is left out: ${missing}`)
    continue
  }
  const { result, broken } = await runOne(bench, { ...settings, rounds: settings.rounds ?? bench.rounds ?? ROUNDS, apis, say }).catch(
    (error: Error) => giveUp(error.message, 1),
  )
  mkdirSync(settings.out, { recursive: true })
  const file = join(settings.out, `${bench.name.replaceAll('/', '-')}.json`)
  writeFileSync(file, `${JSON.stringify(result, undefined, 2)}\n`)
  process.stdout.write(`${markdownOf(result)}\n`)
  if (broken) giveUp(`${bench.name} broke off: ${broken.message}`, 1)
}
// At once: the kit of the tests brings node:test along, which would add a summary of no tests.
process.exit(0)

function say(text: string): void {
  process.stderr.write(`${text}\n`)
}

/** Prepares what the bench needs; says why it cannot run. */
function missingRing({ rings = [] }: Bench): string | undefined {
  if (rings.length === 0) return undefined
  if (process.getuid?.() !== 0) return 'it starts a whole cluster, which takes root'
  Object.assign(process.env, prepareRings(undefined, rings))
  return rings.map((variable) => process.env[`${variable}_MISSING`]).find((why) => why !== undefined)
}

async function runOne(bench: Bench, benchSettings: BenchSettings): Promise<{ result: BenchResult; broken: Error | undefined }> {
  const startedAt = new Date().toISOString()
  const startedAtMs = performance.now()
  const { runs, notes, broken } = await runRounds(bench, benchSettings)
  const durationSeconds = (performance.now() - startedAtMs) / 1000
  return { result: resultOf(bench, benchSettings, runs, { startedAt, durationSeconds, machine: machineFacts(), notes }), broken }
}

function giveUp(message: string, code = 2): never {
  process.stderr.write(`npm run bench: ${message}\n`)
  process.exit(code)
}
