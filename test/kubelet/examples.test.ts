import assert from 'node:assert/strict'
import { readFileSync, symlinkSync, cpSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { test, type TestContext } from 'node:test'
import { fileURLToPath } from 'node:url'
import { parse } from 'yaml'
import { dial, env, folder, needs, planned, pythonOf, realAddresses, until } from './real.ts'
import { MachineHost } from '../../src/local/kubelet/machine/machine-host.ts'
import { PodLogFiles } from '../../src/local/kubelet/machine/pod-logs.ts'

const root = fileURLToPath(new URL('../../', import.meta.url))

/** Three sessions of an unchanged example side by side, although its SDK always wants port 8080. */
async function threeSideBySide(t: TestContext, directory: string, manifest: string): Promise<void> {
  const { spec } = parse(readFileSync(join(root, manifest), 'utf8')) as { spec: { artifact: { code: { command: string[] } } } }
  const home = folder(t)
  const host = new MachineHost(env, { home, logs: new PodLogFiles(env, home), shell: process.env })
  const boots = new Set<string>()
  for (const uid of ['a', 'b', 'c']) {
    const pod = await planned(host, uid, directory, spec.artifact.code.command)
    assert.deepEqual(await host.prepare(pod), { ready: true })
    assert.ok('pid' in (await host.start(pod)))
    t.after(() => host.signal(uid, 'SIGKILL'))
    const url = `http://${pod.address}:8080`
    await until(`${uid} answers`, () =>
      fetch(`${url}/ping`).then(
        ({ ok }) => ok,
        () => false,
      ),
    )
    for (const call of [1, 2]) {
      const response = await fetch(`${url}/invocations`, {
        method: 'POST',
        headers: { 'content-type': 'application/json', 'X-Amzn-Bedrock-AgentCore-Runtime-Session-Id': uid.repeat(36) },
        body: '{"name": "Carrel"}',
      })
      const answer = (await response.json()) as { greeting: string; call: number; boot: string; sessionId: string }
      assert.deepEqual([answer.greeting, answer.call, answer.sessionId], ['Hello, Carrel!', call, uid.repeat(36)])
      boots.add(answer.boot)
    }
  }
  assert.equal(boots.size, 3)
  assert.deepEqual(await host.violations(), [])
  for (const address of realAddresses()) assert.notEqual(await dial(address, 8080), 'reached', address)
}

test('examples/hello: three sessions answer at once, each with its own memory', (t) =>
  threeSideBySide(t, join(root, 'examples/hello'), 'examples/hello/runtime.yaml'))

test('examples/python-hello: three sessions answer at once, each with its own memory', async (t) => {
  const python = pythonOf()
  if (!needs(t, 'a Python with bedrock-agentcore, named by CARREL_TEST_PYTHON', python?.hasSdk)) return
  const project = folder(t)
  cpSync(join(root, 'examples/python-hello'), join(project, 'agent'), { recursive: true, filter: (path) => !path.endsWith('.venv') })
  symlinkSync(dirname(dirname(python!.path)), join(project, '.venv'))
  await threeSideBySide(t, join(project, 'agent'), 'examples/python-hello/runtime.yaml')
})
