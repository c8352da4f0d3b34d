import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { cpSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { test, type TestContext } from 'node:test'
import { LAYERS } from '../../scripts/house/layers.ts'
import { lintHouse } from '../../scripts/lint-house.ts'

const ROOT = join(import.meta.dirname, '..', '..')

/** A copy of the shipped source with these files added or replaced. */
function planted(t: TestContext, files: Record<string, string>): string {
  const root = mkdtempSync(join(tmpdir(), 'carrel-house-'))
  t.after(() => rmSync(root, { recursive: true }))
  cpSync(join(ROOT, 'src'), join(root, 'src'), { recursive: true })
  for (const [file, text] of Object.entries(files)) {
    mkdirSync(dirname(join(root, 'src', file)), { recursive: true })
    writeFileSync(join(root, 'src', file), text)
  }
  return root
}

/** `file rule` of each finding, sorted. */
const found = (root: string): string[] =>
  lintHouse(root)
    .map(({ file, line, rule }) => `${file}:${line} ${rule}`)
    .toSorted()

test('the shipped source keeps the rules of the house', () => {
  assert.deepEqual(lintHouse(ROOT), [])
})

test('every import that the table of layers does not allow is refused, by import, re-export, import() or type', (t) => {
  const forms = [
    (to: string) => `import { x } from '../${to}/planted.ts'`,
    (to: string) => `export * from '../${to}/planted.ts'`,
    (to: string) => `export const later = () => import('../${to}/planted.ts')`,
    (to: string) => `export type { X } from '../${to}/planted.ts'`,
    (to: string) => `export type Y = import('../${to}/planted.ts').Y`,
    (to: string) => `export const some = (name: string) => import(\`../${to}/\${name}.ts\`)`,
  ]
  const files: Record<string, string> = {}
  const expected: string[] = []
  const layers = Object.keys(LAYERS)
  for (const from of layers) {
    const forbidden = layers.filter((to) => to !== from && !LAYERS[from]!.includes(to))
    const text = forbidden.flatMap((to) => forms.map((form) => form(to)))
    if (text.length === 0) continue
    files[`${from}/planted.ts`] = ['/** Adapter: of a test. */', ...text].join('\n')
    expected.push(...text.map((_, index) => `src/${from}/planted.ts:${index + 2} layers`))
  }
  assert.deepEqual(found(planted(t, files)), expected.toSorted())
})

test('the rules that matter most are in the table', () => {
  for (const [from, to] of [
    'operator gateway',
    'gateway operator',
    'local operator',
    'local gateway',
    'kube crds',
    'kube sessions',
    'gateway local',
  ].map((pair) => pair.split(' '))) {
    assert.ok(!LAYERS[from!]!.includes(to!), `${from} must not import ${to}`)
  }
  for (const layer of ['env', 'sessions', 'telemetry']) assert.deepEqual(LAYERS[layer], [])
})

test('only the wiring of a local installation may take operator and gateway', (t) => {
  const text = "import { Operator } from '../../operator/operator.ts'\nexport const planted = Operator"
  assert.deepEqual(found(planted(t, { 'local/start/planted.ts': text, 'local/api/planted.ts': text })), [
    'src/local/api/planted.ts:1 layers',
  ])
})

test('crds takes types of kube/objects, nothing else of kube; the gateway never loads client-node; a new folder needs a layer; nothing leaves src', (t) => {
  const files = {
    'crds/planted.ts':
      "import type { KubeObject } from '../kube/objects.ts'\nimport { keyOf } from '../kube/store.ts'\nimport type { Client } from '../kube/client.ts'\nexport const planted = (one: KubeObject, _: Client): string => keyOf(one)",
    'gateway/planted.ts':
      "/** Adapter: of a test. */\nimport type { V1Pod } from '@kubernetes/client-node'\nimport { KubeConfig } from '@kubernetes/client-node'\nimport '@kubernetes/client-node/dist/config.js'\nexport const planted = (_pod: V1Pod) => new KubeConfig()",
    'leftovers/planted.ts': "import { rfc3339Millis } from '../env/clock.ts'\nexport const planted = rfc3339Millis",
    'kube/planted.ts': "export { prepareRings } from '../../scripts/rings/prepare.ts'",
  }
  assert.deepEqual(found(planted(t, files)), [
    'src/crds/planted.ts:2 layers',
    'src/crds/planted.ts:3 layers',
    'src/gateway/planted.ts:3 layers',
    'src/gateway/planted.ts:4 layers',
    'src/kube/planted.ts:1 layers',
    'src/leftovers/planted.ts:1 layers',
  ])
})

/** Each a line that must be refused outside adapters. */
const AMBIENT = [
  'export const a = Date.now()',
  'export const a = new Date()',
  'export const a = Date()',
  'export const a = performance.now()',
  'export const a = Math.random()',
  'export const a = setTimeout(() => {}, 1)',
  'export const a = globalThis.setTimeout',
  'export const a = { wait: setInterval }',
  'export const a = [setImmediate]',
  'export const a = { setTimeout }',
  'export const a = setImmediate as unknown',
  "export const a = fetch('http://127.0.0.1')",
  'export const a = process.env["HOME"]',
  'export const a = process.hrtime.bigint()',
  'export const a = crypto.randomUUID()',
  'export const a = AbortSignal.timeout(1)',
  "export const a = Math['random']()",
  'const { random } = Math; export const a = random',
  'const a = Math; export const b = a.random()',
  'export const a = (0, Date)()',
  'export const a = new Date(...[])',
  "export const a = new Intl.DateTimeFormat('en').format()",
  "export const a = eval('1')",
  'export const a = (process: number) => process; export const b = process.env',
  'export function a(b: (fetch: string) => void) { if (b) { const fetch = 1; b(`${fetch}`) } return fetch }',
  'export class A extends WebSocket {}',
  "export const a = console.log('here')",
  "import { readFileSync } from 'node:fs'",
  "import { connect } from 'net'",
  "import * as http from 'node:http'",
  "import { spawn } from 'node:child_process'",
  "import { lookup } from 'node:dns'",
  "import { setTimeout as wait } from 'node:timers/promises'",
  "import { request } from 'undici'",
  "import Redis from 'ioredis'",
  "export { createServer } from 'node:net'",
  "import { isIP, createConnection } from 'node:net'",
  "import * as net from 'node:net'",
  "export const a = () => import('node:fs')",
  'export const a = () => import(`node:fs`)',
  'export const a = (name: string) => import(name)',
  'export const a = (name: string) => import(`${name}.js`)',
  "import { randomBytes } from 'node:crypto'",
  "import { createHash, randomUUID as id } from 'node:crypto'",
  "import * as crypto from 'node:crypto'",
  "import crypto from 'node:crypto'",
  "export * from 'node:crypto'",
]

/** Lines that only look like it. */
const HARMLESS = [
  'export const a = new Date(0).toISOString()',
  "export const a = Date.parse('2026-11-24T00:00:00Z') + Date.UTC(2026)",
  'export const a = (x: unknown): x is Date => x instanceof Date',
  'export const a = (clock: { setTimeout(): void }) => clock.setTimeout()',
  'export const a = (fetch: () => void) => fetch()',
  'export const a = ({ fetch, b: [process] }: { fetch: () => void; b: number[] }) => [1].map(() => [fetch(), process])',
  'export function a() { if (a) { const fetch = 1; return () => fetch } return a }',
  'export const a = function process() { return process }',
  'export const a = Math.max(1, Math.floor(2.5))',
  'export const a = (b: AbortSignal[]) => AbortSignal.any(b)',
  'export const a = (model: string) => import(`@kubernetes/client-node/dist/gen/models/${model}.js`)',
  'export interface Port { fetch(url: string): void; process: string }',
  "import { createHash, createHmac, timingSafeEqual } from 'node:crypto'",
  "import { isIP, BlockList, type Socket } from 'node:net'",
  "import { type Socket } from 'node:path'",
  "import type { Server } from 'node:http'",
  'export const a = { Date: 1, process: 2, performance: 3 }',
]

test('ambient time, chance and I/O are refused where they stand, each form of them', (t) => {
  const files = Object.fromEntries(AMBIENT.map((line, index) => [`operator/planted-${index}.ts`, `/** Not an adapter. */\n${line}\n`]))
  const findings = lintHouse(planted(t, files))
  for (const [index, line] of AMBIENT.entries()) {
    assert.ok(
      findings.some(({ file, line: at, rule }) => file === `src/operator/planted-${index}.ts` && at === 2 && rule === 'env'),
      line,
    )
  }
})

test('what only looks like it passes, and so does an adapter', (t) => {
  const harmless = HARMLESS.map((line, index) => [`operator/harmless-${index}.ts`, `${line}\n`])
  const adapters = AMBIENT.map((line, index) => [`operator/adapter-${index}.ts`, `/**\n * Adapter: of a test.\n */\n${line}\n`])
  assert.deepEqual(lintHouse(planted(t, Object.fromEntries([...harmless, ...adapters]))), [])
})

test('a file that only mentions the word later on is no adapter', (t) => {
  const root = planted(t, { 'operator/planted.ts': '/** Decides. */\n/** Adapter: no. */\nexport const a = Date.now()\n' })
  assert.deepEqual(found(root), ['src/operator/planted.ts:3 env'])
})

test('a file over 400 lines and a file that does not parse are refused', (t) => {
  const root = planted(t, { 'kube/planted.ts': 'export {}\n'.repeat(400), 'operator/planted.ts': 'export const = 1\n' })
  assert.deepEqual(found(root), ['src/kube/planted.ts:1 length', 'src/operator/planted.ts:1 syntax'])
})

test('the command names file, line, rule and what to do, and exits with 1', (t) => {
  const root = planted(t, {
    'gateway/planted.ts': "import { Operator } from '../operator/operator.ts'\nexport const a = [Operator, Date.now()]\n",
  })
  const { status, stderr } = spawnSync(process.execPath, [join(ROOT, 'scripts', 'lint-house.ts'), root], { encoding: 'utf8' })
  assert.equal(status, 1)
  assert.equal(
    stderr,
    'src/gateway/planted.ts:1 layers: gateway must not import operator\nsrc/gateway/planted.ts:2 env: Date reads the clock here: use env.clock\n',
  )
})
