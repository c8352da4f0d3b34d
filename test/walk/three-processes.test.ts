import assert from 'node:assert/strict'
import { spawn, type ChildProcess } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import type { TestContext } from 'node:test'
import { eventually } from '../kit/eventually.ts'
import { LocalInstallation } from '../kit/local-installation.ts'
import { runtimeManifest } from '../kit/manifest.ts'
import { onLaptop } from '../kit/place.ts'
import { RawGateway, newSessionId } from '../kit/raw-gateway.ts'

const ROOT = join(import.meta.dirname, '..', '..')

/** A process of its own; its JSON log lines. Ended with the test. */
function launch(t: TestContext, entry: string, ...parameters: string[]): { child: ChildProcess; lines: string[] } {
  const child = spawn(process.execPath, [join(ROOT, entry), ...parameters], { stdio: ['ignore', 'ignore', 'pipe'] })
  const lines: string[] = []
  child.stderr!.on('data', (chunk: Buffer) => lines.push(...chunk.toString('utf8').split('\n')))
  t.after(() => void child.kill('SIGKILL'))
  return { child, lines }
}

onLaptop(
  'API, operator and gateway as three processes over HTTP: open, call, idle end, reopen; the gateway drains on SIGTERM',
  async (t) => {
    const installation = await LocalInstallation.start(t, { args: ['--only-api'] })
    const { home } = installation
    const operator = launch(t, 'src/operator/main.ts', '--kubeconfig', join(home, 'operator.kubeconfig'), '--artifacts', 'code')
    const gateway = launch(
      t,
      'src/gateway/main.ts',
      '--kubeconfig',
      join(home, 'gateway.kubeconfig'),
      '--host',
      '127.0.0.1',
      '--port',
      '0',
      '--spool-directory',
      join(home, 'spool'),
      '--proof',
      'none',
    )
    const ready = await eventually(() => gateway.lines.find((line) => line.includes('gateway ready')), {
      withinMs: 20_000,
      because: 'the gateway is ready',
    })
    await eventually(() => operator.lines.some((line) => line.includes('operator ready')), {
      withinMs: 20_000,
      because: 'the operator is ready',
    })
    const { port } = JSON.parse(ready) as { port: number }
    const wire = new RawGateway(`http://127.0.0.1:${port}`, {
      accessKeyId: installation.env['AWS_ACCESS_KEY_ID']!,
      secretAccessKey: installation.env['AWS_SECRET_ACCESS_KEY']!,
      region: 'us-east-1',
    })

    const arn = await installation.apply(runtimeManifest('probe', { idleTimeoutSeconds: 2 }))
    const sessionId = newSessionId()
    const first = await wire.ask<{ boot: string }>(arn, sessionId, { do: 'boot' })
    await eventually(async () => (await installation.session(sessionId))?.status?.endReason === 'IdleTimeout', {
      withinMs: 10_000,
      because: 'it idles out',
    })
    const second = await wire.ask<{ boot: string }>(arn, sessionId, { do: 'boot' })
    assert.notEqual(second.boot, first.boot)
    assert.equal((await installation.session(sessionId))?.spec.incarnation, 2)
    const users = new Set(
      installation
        .audit()
        .filter(({ verb }) => verb === 'create')
        .map(({ user }) => user.username),
    )
    assert.ok(users.has('system:serviceaccount:carrel-system:operator') && users.has('system:serviceaccount:carrel-system:gateway'))

    const slow = wire.ask<{ slept: number }>(arn, sessionId, { do: 'sleep', ms: 1_500 })
    await new Promise((resolve) => setTimeout(resolve, 300))
    const exited = new Promise<number | null>((resolve) => gateway.child.once('exit', resolve))
    gateway.child.kill('SIGTERM')
    assert.equal((await slow).slept, 1_500, 'an open call is let end')
    assert.equal(await exited, 0)
    await assert.rejects(wire.ask(arn, sessionId, { do: 'boot' }), 'and no new one is taken')
    operator.child.kill('SIGTERM')
    assert.equal(await new Promise((resolve) => operator.child.once('exit', resolve)), 0)
    assert.ok(!readFileSync(join(home, 'logs', 'carrel.log'), 'utf8').includes('"level":50'), 'no error was logged')
  },
)
