import { spawn, spawnSync } from 'node:child_process'
import type { ChildProcess } from 'node:child_process'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { TestContext } from 'node:test'
import { kubeconfigFor } from '../../src/local/api/http/kubeconfig.ts'
import { TOKEN, readAll } from './served.ts'
import type { Served } from './served.ts'

export interface Ran {
  code: number | null
  stdout: string
  stderr: string
}

export interface Kubectl {
  /** Runs to the end, however it ends. */
  try(...args: string[]): Promise<Ran>
  /** Runs, must succeed, answers what it printed. */
  run(...args: string[]): Promise<string>
  /** Runs with this text as the manifest of `-f -`. */
  pipe(manifest: object | string, ...args: string[]): Promise<Ran>
  /** Runs in the background until the test ends. */
  start(...args: string[]): ChildProcess
  /** `kubectl edit` runs the program `editor` in it. */
  directory: string
}

/** A kubectl that hangs fails its test instead of holding all of them. */
const LONGEST_RUN_MS = 60_000

/** The kubectl of CARREL_TEST_KUBECTL or of the PATH; without one the test is skipped, under CI=true it fails. */
export async function kubectlFor(t: TestContext, served: Served): Promise<Kubectl | undefined> {
  const program = process.env.CARREL_TEST_KUBECTL ?? 'kubectl'
  if (spawnSync(program, ['version', '--client']).status !== 0) {
    const reason = `no kubectl: ${program} does not run; set CARREL_TEST_KUBECTL`
    if (process.env.CI === 'true') throw new Error(reason)
    t.skip(reason)
    return undefined
  }
  const directory = await mkdtemp(join(tmpdir(), 'kubectl-'))
  const kubeconfig = join(directory, 'kubeconfig')
  const { server, ca } = served
  await writeFile(kubeconfig, kubeconfigFor({ server: server.url, ca, token: TOKEN, user: 'admin', namespace: 'default' }), { mode: 0o600 })
  const started: ChildProcess[] = []
  t.after(async () => {
    for (const child of started) child.kill('SIGKILL')
    await rm(directory, { recursive: true, force: true })
  })
  const environment = {
    ...process.env,
    KUBECONFIG: kubeconfig,
    KUBECACHEDIR: join(directory, 'cache'),
    HOME: directory,
    KUBE_EDITOR: join(directory, 'editor'),
  }
  const start = (...args: string[]): ChildProcess => {
    const child = spawn(program, args, {
      env: environment,
      stdio: ['pipe', 'pipe', 'pipe'],
      timeout: LONGEST_RUN_MS,
      killSignal: 'SIGKILL',
    })
    started.push(child)
    return child
  }
  const finish = async (child: ChildProcess, input = ''): Promise<Ran> => {
    const ended = new Promise<number | null>((resolve, reject) => {
      child.once('error', reject)
      child.once('close', resolve)
    })
    child.stdin!.on('error', () => {})
    child.stdin!.end(input)
    const [stdout, stderr, code] = await Promise.all([readAll(child.stdout!), readAll(child.stderr!), ended])
    return { code, stdout, stderr }
  }
  return {
    directory,
    start,
    try: (...args) => finish(start(...args)),
    pipe: (manifest, ...args) => finish(start(...args), typeof manifest === 'string' ? manifest : JSON.stringify(manifest)),
    async run(...args) {
      const ran = await finish(start(...args))
      if (ran.code !== 0) throw new Error(`kubectl ${args.join(' ')} exited with ${ran.code}: ${ran.stderr}`)
      return ran.stdout
    },
  }
}
