/** Adapter: runs kubectl against a subject. */
import { spawn } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { kubeconfigFor } from '../../src/local/api/http/kubeconfig.ts'
import type { Stage } from './conformance.ts'
import type { Differs } from './differences.ts'

export interface Ran {
  code: number | null
  stdout: string
  stderr: string
}

/** A kubectl that hangs fails its test instead of holding all of them. */
const LONGEST_RUN_MS = 60_000

/** Runs kubectl in the scenario's namespace, with `input` for `-f -`, and records what it said. */
export async function kubectl(on: Stage, words: string[], input: object | string = '', differs: Differs = {}): Promise<Ran> {
  const directory = homeOf(on)
  const child = spawn(process.env['CARREL_TEST_KUBECTL']!, words, {
    env: { PATH: process.env['PATH'], HOME: directory, KUBECONFIG: join(directory, 'kubeconfig') },
    stdio: ['pipe', 'pipe', 'pipe'],
    timeout: LONGEST_RUN_MS,
    killSignal: 'SIGKILL',
  })
  child.stdin.on('error', () => {}) // it may end before it has read all
  child.stdin.end(typeof input === 'string' ? input : JSON.stringify(input))
  const ended = new Promise<number | null>((resolve, reject) => {
    child.once('error', reject)
    child.once('close', resolve)
  })
  const [stdout, stderr, code] = await Promise.all([textOf(child.stdout), textOf(child.stderr), ended])
  on.record(`kubectl ${words.join(' ')}`, { code, stdout: withoutAges(stdout), stderr }, differs)
  return { code, stdout, stderr }
}

/** What kubectl knows of a server it keeps there between its runs. */
function homeOf(on: Stage): string {
  const known = homes.get(on)
  if (known !== undefined) return known
  const directory = mkdtempSync(join(tmpdir(), 'carrel-kubectl-'))
  homes.set(on, directory)
  on.after(() => rmSync(directory, { recursive: true, force: true }))
  const { server, ca, token } = on.subject.access
  writeFileSync(join(directory, 'kubeconfig'), kubeconfigFor({ server, ca, token, user: 'admin', namespace: on.namespace }), {
    mode: 0o600,
  })
  return directory
}

const homes = new WeakMap<Stage, string>()

async function textOf(stream: AsyncIterable<Buffer>): Promise<string> {
  const chunks: Buffer[] = []
  for await (const chunk of stream) chunks.push(chunk)
  return Buffer.concat(chunks).toString('utf8')
}

/** `12s` and `3m4s`, with the spaces that fill the column. */
function withoutAges(text: string): string {
  return text.replaceAll(/\b(\d+m)?\d+s\b */g, '<age> ')
}
