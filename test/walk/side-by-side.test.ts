import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { chmodSync, cpSync, existsSync, mkdtempSync, readFileSync, rmSync, symlinkSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import type { TestContext } from 'node:test'
import { parse } from 'yaml'
import type { AgentRuntime } from '../../src/crds/agent-runtime.ts'
import { CONFINED_UID, confined, confinedHome } from '../kit/confined.ts'
import { realAddresses, reachedFromOutside } from '../kit/dial.ts'
import { LocalInstallation } from '../kit/local-installation.ts'
import { onProcesses } from '../kit/place.ts'
import { newSessionId } from '../kit/raw-gateway.ts'
import { needs, needsRoot } from '../kit/ring.ts'

const ROOT = join(import.meta.dirname, '..', '..')
const EXAMPLES = ['hello', 'python-hello']

interface Greeting {
  greeting: string
  call: number
  boot: string
  sessionId: string
}

/** The examples as users copy them, each with its dependencies beside it. */
function copyOfExamples(t: TestContext, virtualEnvironment: string): string {
  const project = mkdtempSync(join(tmpdir(), 'carrel-project-'))
  t.after(() => rmSync(project, { recursive: true }))
  chmodSync(project, 0o755)
  for (const example of EXAMPLES)
    cpSync(join(ROOT, 'examples', example), join(project, 'examples', example), {
      recursive: true,
      filter: (path) => !path.endsWith('.venv'),
    })
  symlinkSync(join(ROOT, 'node_modules'), join(project, 'node_modules'))
  symlinkSync(virtualEnvironment, join(project, 'examples', 'python-hello', '.venv'))
  return project
}

onProcesses(
  'three Python and three TypeScript sessions of the unchanged examples answer at once, as a user without rights and without /.dockerenv',
  async (t) => {
    const python = needs(t, 'CARREL_TEST_PYTHON')
    if (!python || !needsRoot(t)) return
    const virtualEnvironment = dirname(dirname(python))
    const project = copyOfExamples(t, virtualEnvironment)
    const home = confinedHome()
    const base = execFileSync(python, ['-c', 'import sys; print(sys.base_prefix)'], { encoding: 'utf8' }).trim()
    const folders = [ROOT, project, virtualEnvironment, base, dirname(process.execPath), home]
    const command = [...confined(t, folders), 'env', `--chdir=${project}`, process.execPath, join(ROOT, 'bin', 'start.js')]
    const installation = await LocalInstallation.start(t, { home, command })

    const arns: string[] = []
    for (const example of EXAMPLES) {
      const manifest = parse(readFileSync(join(ROOT, 'examples', example, 'runtime.yaml'), 'utf8')) as AgentRuntime
      arns.push(await installation.apply({ ...manifest, metadata: { ...manifest.metadata, namespace: 'default' } }))
    }
    const sessions = arns.flatMap((arn) => [1, 2, 3].map(() => ({ arn, id: newSessionId() })))
    const callAll = (): Promise<Greeting[]> =>
      Promise.all(sessions.map(({ arn, id }) => installation.gateway.ask<Greeting>(arn, id, { name: 'Carrel' })))
    const first = await callAll()
    const second = await callAll()
    for (const [index, { id }] of sessions.entries()) {
      assert.deepEqual([first[index]!.greeting, first[index]!.call, first[index]!.sessionId], ['Hello, Carrel!', 1, id])
      assert.deepEqual(second[index], { ...first[index]!, call: 2 }, 'the second call found the same process')
    }
    assert.equal(new Set(first.map(({ boot }) => boot)).size, sessions.length)

    const agents = installation.agents()
    assert.ok(agents.length >= sessions.length)
    for (const pid of agents) {
      assert.match(readFileSync(`/proc/${pid}/status`, 'utf8'), new RegExp(`^Uid:\\s+${CONFINED_UID}\\s+${CONFINED_UID}\\s`, 'm'))
      assert.ok(!existsSync(`/proc/${pid}/root/.dockerenv`))
    }
    assert.ok(realAddresses().length > 0, 'this machine has a network interface')
    assert.deepEqual(await reachedFromOutside([8080]), [])
  },
)
