/** Operators as processes on a real kube-apiserver: who leads, and what becomes of one that was paused. */
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { join } from 'node:path'
import { test, type TestContext } from 'node:test'
import { KubeClient } from '../../src/kube/client.ts'
import { httpTransport } from '../../src/kube/http-transport.ts'
import { LEASES } from '../../src/kube/lease.ts'
import { ControlPlane } from '../control-plane/control-plane.ts'
import { eventually } from '../kit/eventually.ts'
import { needs } from '../kit/ring.ts'

const MAIN = join(import.meta.dirname, '..', '..', 'src', 'operator', 'main.ts')
const within = (because: string) => ({ withinMs: 60_000, everyMs: 10, because })

class OperatorProcess {
  readonly exited: Promise<number | null>
  readonly kill: (signal: NodeJS.Signals) => void
  #log = ''

  constructor(t: TestContext, kubeconfig: string) {
    const child = spawn(process.execPath, [MAIN, '--kubeconfig', kubeconfig, '--artifacts', 'code'], {
      stdio: ['ignore', 'ignore', 'pipe'],
    })
    child.stderr.on('data', (chunk: Buffer) => (this.#log += chunk.toString('utf8')))
    this.exited = new Promise((resolve) => child.once('exit', (code) => resolve(code)))
    this.kill = (signal) => void child.kill(signal)
    t.after(() => void child.kill('SIGKILL'))
  }

  async said(message: string): Promise<void> {
    await eventually(() => this.#log.includes(`"msg":"${message}"`), within(message)).catch((error: unknown) => {
      throw new Error(`its log: ${this.#log.slice(-2_000)}`, { cause: error })
    })
  }

  hasSaid(message: string): boolean {
    return this.#log.includes(`"msg":"${message}"`)
  }
}

test('one operator leads; the next one takes over when it ends; one that was paused past its Lease exits with 1', async (t) => {
  if (!needs(t, 'CARREL_TEST_CONTROL_PLANE')) return
  const plane = await ControlPlane.start()
  const transport = httpTransport(plane.access)
  t.after(async () => {
    await transport.close()
    await plane.stop()
  })
  const admin = new KubeClient(transport)
  const namespaces = { group: '', version: 'v1', kind: 'Namespace', plural: 'namespaces', namespaced: false }
  await admin.create(namespaces, { apiVersion: 'v1', kind: 'Namespace', metadata: { name: 'carrel-system' } })

  const first = new OperatorProcess(t, plane.kubeconfig)
  await first.said('leading')
  const second = new OperatorProcess(t, plane.kubeconfig)
  await second.said('operator ready')
  assert.equal(second.hasSaid('leading'), false)

  const endedAtMs = performance.now()
  first.kill('SIGTERM')
  await second.said('leading')
  // A second from the release on; the process has to hear of its end first.
  assert.ok(performance.now() - endedAtMs < 2_000, `${performance.now() - endedAtMs} ms`)
  assert.equal(await first.exited, 0)

  const third = new OperatorProcess(t, plane.kubeconfig)
  await third.said('operator ready')
  const pausedAtMs = performance.now()
  second.kill('SIGSTOP')
  await third.said('leading')
  assert.ok(performance.now() - pausedAtMs < 5_000, `${performance.now() - pausedAtMs} ms`)
  second.kill('SIGCONT')
  assert.equal(await second.exited, 1)
  assert.ok(second.hasSaid('the Lease is lost; this process must end'))
  assert.match((await admin.get(LEASES, 'carrel-system', 'operator')).spec!.holderIdentity!, /_/)
  assert.equal(third.hasSaid('the Lease is lost; this process must end'), false)
})
