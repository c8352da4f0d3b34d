import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { statSync } from 'node:fs'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { eventually } from '../kit/eventually.ts'
import { temporaryHome } from '../kit/temporary-home.ts'
import { Installation } from '../kit/installation.ts'
import { LocalInstallation } from '../kit/local-installation.ts'
import { runtimeManifest } from '../kit/manifest.ts'
import { everywhere, onLaptop } from '../kit/place.ts'
import { newSessionId } from '../kit/raw-gateway.ts'

const ROOT = join(import.meta.dirname, '..', '..')

onLaptop('npm start: the example answers, the gateway and the API are ready, Ctrl-C ends every child within 5 s', async (t) => {
  const installation = await LocalInstallation.start(t, { hello: true })
  assert.match(installation.output, /answered +200 in \d+ ms: .*"greeting"/)
  assert.match(installation.output, /kubectl get art,ags,pods/)
  for (const path of ['/healthz', '/readyz']) {
    assert.equal((await fetch(`${installation.gateway.url.origin}${path}`)).status, 200, `gateway ${path}`)
    assert.equal((await installation.api.call('GET', path)).status, 200, `API ${path}`)
  }
  const arn = installation.env['CARREL_RUNTIME_ARN']!
  assert.match(arn, /:runtime\/hello-/)
  assert.ok(installation.agents().length > 0)
  for (const file of ['env', 'kubeconfig', 'operator.kubeconfig', 'api-certificate.json']) {
    assert.equal(statSync(join(installation.home, file)).mode & 0o777, 0o600, `${file} is private`)
  }
  const ms = await installation.stop()
  assert.ok(ms < 5_000, `${ms} ms`)
  assert.deepEqual(installation.agents(), [])
})

onLaptop('state survives a restart: sessions that were live end as PodLost, and their next call opens the next incarnation', async (t) => {
  const home = temporaryHome()
  const before = await LocalInstallation.launch({ home })
  const arn = await before.apply(runtimeManifest('probe'))
  const sessionId = newSessionId()
  const first = await before.gateway.ask<{ boot: string }>(arn, sessionId, { do: 'boot' })
  const { body } = await before.api.call<{ metadata: { resourceVersion: string } }>('GET', '/api/v1/namespaces')
  await before.stop('SIGTERM')

  const after = await before.restart()
  t.after(() => after.stop())
  await eventually(async () => (await after.session(sessionId))?.status?.endReason === 'PodLost', {
    withinMs: 10_000,
    because: 'the session is PodLost',
  })
  const stale = await after.api.call<{ type: string; object: { code: number } }>(
    'GET',
    `/api/v1/namespaces?watch=true&resourceVersion=${body.metadata.resourceVersion}`,
  )
  assert.deepEqual([stale.body.type, stale.body.object.code], ['ERROR', 410], 'an older watch is told to list anew')
  const second = await after.gateway.ask<{ boot: string }>(arn, sessionId, { do: 'boot' })
  assert.notEqual(second.boot, first.boot)
  assert.equal((await after.session(sessionId))?.spec.incarnation, 2)
})

onLaptop('after kill -9 the next start finds and ends the agents that were left over', async (t) => {
  const home = temporaryHome()
  const killed = await LocalInstallation.launch({ home })
  const arn = await killed.apply(runtimeManifest('probe'))
  const sessionId = newSessionId()
  await killed.gateway.ask(arn, sessionId, { do: 'boot' })
  const { pid: stubborn } = await killed.gateway.ask<{ pid: number }>(arn, sessionId, { do: 'stubborn' })
  await killed.killHard()
  const leftOver = killed.agents()
  assert.ok(leftOver.includes(stubborn), 'they outlived it')
  killed.gateway.close()

  const next = await killed.restart()
  t.after(() => next.stop())
  await eventually(() => !next.agents().some((pid) => leftOver.includes(pid)), {
    withinMs: 5_000,
    because: 'every left-over agent is ended',
  })
  await next.gateway.ask(arn, sessionId, { do: 'boot' })
})

onLaptop(
  'two installations run side by side; a third on the same folder or on a busy port is told who has it and which flag to use',
  async (t) => {
    const [one, two] = await Promise.all([LocalInstallation.start(t), LocalInstallation.start(t)])
    const arns = await Promise.all([one, two].map((installation) => installation.apply(runtimeManifest('probe'))))
    const sessionId = newSessionId()
    const boots = await Promise.all(
      [one, two].map((installation, index) => installation.gateway.ask<{ boot: string }>(arns[index]!, sessionId, { do: 'boot' })),
    )
    assert.notEqual(boots[0]!.boot, boots[1]!.boot)

    const start = (...parameters: string[]): { status: number | null; stderr: string } =>
      spawnSync(process.execPath, [join(ROOT, 'bin', 'start.js'), ...parameters], { encoding: 'utf8', timeout: 20_000, cwd: ROOT })
    const sameFolder = start('--home', one.home, '--port', '0', '--api-port', '0')
    assert.equal(sameFolder.status, 1)
    assert.match(sameFolder.stderr, /process \d+ already runs an installation in .*--home/)

    const holder = createServer().listen(0, '127.0.0.1')
    await new Promise((resolve) => holder.once('listening', resolve))
    t.after(() => holder.close())
    const { port } = holder.address() as { port: number }
    const home = temporaryHome()
    for (const flag of ['--port', '--api-port']) {
      const busy = start('--home', home, '--port', '0', '--api-port', '0', flag, String(port))
      assert.equal(busy.status, 1)
      assert.match(busy.stderr, new RegExp(`port ${port} is held by process ${process.pid} .*${flag} N`))
    }
    const unknown = start('--no-such-flag')
    assert.equal(unknown.status, 2)
    assert.match(unknown.stderr, /no-such-flag/)
    assert.match(
      spawnSync(process.execPath, [join(ROOT, 'bin', 'start.js'), '--help'], { encoding: 'utf8' }).stdout,
      /--api-port.*CARREL_API_PORT/s,
    )
  },
)

everywhere('afterwards nothing is left: objects, processes and files are those of before', async (t) => {
  const installation = await Installation.start(t, { args: ['--session-ttl', '1'] })
  const before = await installation.remains()
  const arn = await installation.apply(runtimeManifest('probe'))
  for (let count = 0; count < 3; count += 1) {
    const sessionId = newSessionId()
    await installation.gateway.ask(arn, sessionId, { do: 'write', text: 'mine' })
    await installation.gateway.ask(arn, sessionId, { do: 'stubborn' })
    await installation.gateway.stop(arn, sessionId)
  }
  await installation.gateway.ask(arn, newSessionId(), { do: 'boot' })
  await eventually(async () => (await installation.sessions()).length === 1, {
    withinMs: 15_000,
    because: 'ended sessions are removed after their TTL',
  })
  await installation.api.call('DELETE', '/apis/carrel.dev/v1alpha1/namespaces/default/agentruntimes/probe')
  await eventually(async () => JSON.stringify(await installation.remains()) === JSON.stringify(before), {
    withinMs: 10_000,
    because: 'all is as before',
  }).catch(async (error: unknown) => {
    assert.deepEqual(await installation.remains(), before)
    throw error
  })
  assert.ok(!(await installation.everyLog()).includes('"level":50'), 'no error was logged')
})
