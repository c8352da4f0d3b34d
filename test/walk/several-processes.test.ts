import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { TestContext } from 'node:test'
import { KubeClient } from '../../src/kube/client.ts'
import { httpTransport } from '../../src/kube/http-transport.ts'
import { kubeconfigFor } from '../../src/local/api/http/kubeconfig.ts'
import { eventually } from '../kit/eventually.ts'
import { LocalInstallation } from '../kit/local-installation.ts'
import { runtimeManifest } from '../kit/manifest.ts'
import { onLaptop } from '../kit/place.ts'
import { lendPlane } from '../kit/planes.ts'
import { newSessionId } from '../kit/raw-gateway.ts'
import { RedisServer } from '../kit/redis.ts'
import { needs } from '../kit/ring.ts'
import { gatewaysOf, replicasOf } from '../replicas/kit.ts'

const ROOT = join(import.meta.dirname, '..', '..')
const LAUNCHER = join(ROOT, 'bin', 'start.js')

/** A process that has ended and was not waited for by anybody has no command line any more. */
function alive(pid: number): boolean {
  const path = `/proc/${pid}/cmdline`
  return existsSync(path) && readFileSync(path, 'utf8') !== ''
}

function temporaryFolder(t: TestContext): string {
  const folder = mkdtempSync(join(tmpdir(), 'carrel-home-'))
  t.after(() => rmSync(folder, { recursive: true, force: true }))
  return folder
}

/** What a start that cannot work says, and how it ends. */
function refusal(t: TestContext, ...parameters: string[]): { status: number | null; stderr: string } {
  const fixed = ['--port', '0', '--api-port', '0', '--no-hello', '--home', temporaryFolder(t)]
  const { status, stderr } = spawnSync(process.execPath, [LAUNCHER, ...fixed, ...parameters], {
    encoding: 'utf8',
    timeout: 30_000,
    cwd: ROOT,
  })
  return { status, stderr }
}

onLaptop(
  'npm start --replicas 2 on the embedded API: one session through either gateway; a replica that dies is started again; all end with it',
  async (t) => {
    if (!needs(t, 'CARREL_TEST_REDIS')) return
    const redis = await RedisServer.start()
    t.after(() => redis.stop())
    const home = temporaryFolder(t)
    const installation = await LocalInstallation.launch({ home, args: ['--replicas', '2', '--redis', redis.url] })
    t.after(() => installation.stop())
    const arn = await installation.apply(runtimeManifest('probe'))
    const sessionId = newSessionId()
    const boots = await Promise.all(
      gatewaysOf(t, installation).map((gateway) => gateway.ask<{ boot: string }>(arn, sessionId, { do: 'boot' })),
    )
    assert.equal(boots.length, 2)
    assert.equal(boots[0]!.boot, boots[1]!.boot)

    const { gateways, operators } = replicasOf(installation)
    process.kill(gateways[0]!.pid!, 'SIGKILL')
    assert.equal(
      (await installation.gateway.ask<{ boot: string }>(arn, sessionId, { do: 'boot' })).boot,
      boots[0]!.boot,
      'the other serves',
    )
    await eventually(() => replicasOf(installation).gateways.every(({ pid, port }) => pid && port && pid !== gateways[0]!.pid), {
      withinMs: 15_000,
      because: 'it is started again',
    })

    const pids = [...replicasOf(installation).gateways, ...operators].map(({ pid }) => pid!)
    await installation.killHard()
    await eventually(() => !pids.some(alive), { withinMs: 5_000, because: 'no replica outlives the process that started it' })
  },
)

onLaptop('npm start refuses what cannot work, in one line that says what to do', async (t) => {
  if (!needs(t, 'CARREL_TEST_REDIS')) return
  const alone = refusal(t, '--replicas', '2')
  assert.deepEqual([alone.status, /--replicas needs --redis URL/.test(alone.stderr)], [1, true], alone.stderr)

  const nobody = refusal(t, '--redis', 'redis://127.0.0.1:1')
  assert.equal(nobody.status, 1)
  assert.match(nobody.stderr, /carrel: .*127\.0\.0\.1:1/)

  const folder = temporaryFolder(t)
  const foreign = join(folder, 'kubeconfig')
  writeFileSync(foreign, kubeconfigFor({ server: 'https://192.0.2.1:6443', ca: 'x', token: 'x', user: 'x', namespace: 'default' }))
  const remote = refusal(t, '--kubeconfig', foreign)
  assert.equal(remote.status, 1)
  assert.match(remote.stderr, /192\.0\.2\.1:6443, which is not on this machine.*install the chart/)
  const missing = refusal(t, '--kubeconfig', join(folder, 'nowhere'))
  assert.equal(missing.status, 1)
  assert.match(missing.stderr, /nowhere cannot be read \(ENOENT\)/)
})

onLaptop('npm start refuses a control plane that has nodes of its own: they would take the pods', async (t) => {
  if (!needs(t, 'CARREL_TEST_CONTROL_PLANE')) return
  const lent = await lendPlane()
  t.after(() => lent.giveBack())
  const transport = httpTransport(lent.plane.access)
  t.after(() => transport.close())
  const nodes = { group: '', version: 'v1', kind: 'Node', plural: 'nodes', namespaced: false }
  await new KubeClient(transport).create(nodes, { apiVersion: 'v1', kind: 'Node', metadata: { name: 'worker-1' } })
  const refused = refusal(t, '--kubeconfig', lent.plane.kubeconfig)
  assert.equal(refused.status, 1)
  assert.match(refused.stderr, /has nodes of its own \(worker-1\)/)
})
