import assert from 'node:assert/strict'
import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { test, type TestContext } from 'node:test'
import { KubeClient } from '../../src/kube/client.ts'
import { EVENTS } from '../../src/kube/events.ts'
import type { Pod } from '../../src/kube/objects.ts'
import { PODS } from '../../src/kube/resource.ts'
import { EmbeddedApi } from '../../src/local/api/api.ts'
import { IDENTITIES } from '../../src/local/api/identities.ts'
import { inProcessTransport } from '../../src/local/api/in-process.ts'
import { MemoryPersistence } from '../../src/local/api/persistence.ts'
import { ProcessKubelet } from '../../src/local/kubelet/kubelet.ts'
import { freePort } from '../kit/free-port.ts'
import { agentPod, terminatedOf } from './kit.ts'
import { dial, env, folder, isAlive, machine, realAddresses, until, write } from './real.ts'

interface Installation {
  client: KubeClient
  home: string
  stop: () => Promise<void>
  reach: (name: string, phase: string) => Promise<Pod>
}

/** The kubelet on the embedded API and this machine. */
async function install(t: TestContext): Promise<Installation> {
  const { home, host, logs } = machine(t)
  const api = new EmbeddedApi({ ...env, persistence: new MemoryPersistence(), logs })
  await api.start()
  const client = new KubeClient(inProcessTransport(api, IDENTITIES.admin))
  const kubernetes = inProcessTransport(api, IDENTITIES.kubelet)
  const ending = new AbortController()
  const running = new ProcessKubelet({ ...env, kubernetes, host }, { nodeName: 'laptop', region: 'us-east-1', workingDirectory: '/' }).run(
    ending.signal,
  )
  const stop = async (): Promise<void> => {
    ending.abort()
    await running
    api.close()
  }
  t.after(stop)
  return {
    client,
    home,
    stop,
    async reach(name, phase) {
      return until(`pod ${name} is ${phase}`, async () => {
        const pod = await client.find(PODS, 'default', name)
        return pod?.status?.phase === phase ? pod : undefined
      })
    },
  }
}

function podOf(directory: string, command: string[], name = 'a'): Pod {
  return agentPod(name, { directory, command })
}

test('an agent that evades the shim is ended within moments, and status, event and log say what happened', async (t) => {
  const { client, reach } = await install(t)
  // Says it first: it may be ended as soon as it listens.
  const port = await freePort()
  const code = `console.log('port', ${port}); require('net').createServer().listen(${port}, '::')`
  await client.create(PODS, podOf(folder(t), ['env', '-u', 'NODE_OPTIONS', 'node', '-e', code]))
  const pod = await reach('a', 'Failed')
  assert.equal(pod.status?.reason, 'ListensOffLoopback')
  assert.match(await client.logs('default', 'a'), new RegExp(`^port ${port}$`, 'm'))
  const { reason, message } = terminatedOf(pod)
  assert.equal(reason, 'ListensOffLoopback')
  assert.ok(message?.includes(`:${port}`), message)
  await until('an event tells it', async () =>
    (await client.list(EVENTS, { namespace: 'default' })).items.some((event) => event.reason === 'ListensOffLoopback'),
  )
  for (const address of realAddresses()) assert.notEqual(await dial(address, port), 'reached')
})

test('a stopped pod leaves no process, no file, no log', async (t) => {
  const { client, home, reach } = await install(t)
  const files = write(folder(t), { 'agent.sh': "trap '' TERM; echo pids $$; setsid sleep 600 & sleep 600; sleep 600\n" })
  const { metadata } = await client.create(PODS, podOf(files, ['sh', 'agent.sh']))
  await reach('a', 'Running')
  const pid = await until('it runs', async () => Number(/pids (\d+)/.exec(await client.logs('default', 'a'))?.[1]))
  await client.delete(PODS, 'default', 'a', { uid: metadata.uid!, gracePeriodSeconds: 1 })
  await until('the object is gone', async () => (await client.find(PODS, 'default', 'a')) === undefined)
  assert.equal(isAlive(pid), false)
  assert.deepEqual(readdirSync(join(home, 'pods')), [])
  await until('the log is gone', () => readdirSync(join(home, 'logs/pods')).length === 0)
})

test('a command that does not exist fails the pod at once with a sentence that names it', async (t) => {
  const { client, reach } = await install(t)
  await client.create(PODS, podOf(folder(t), ['pyhton', 'agent.py']))
  const { reason, message } = terminatedOf(await reach('a', 'Failed'))
  assert.equal(reason, 'StartError')
  assert.match(message ?? '', /"pyhton" was not found in PATH/)
})

test('twenty pods side by side have twenty addresses, and none outlives its kubelet', async (t) => {
  const { client, home, reach, stop } = await install(t)
  const directory = write(folder(t), { 'agent.sh': 'sleep 600\n' })
  const names = Array.from({ length: 20 }, (_, index) => `p${index}`)
  await Promise.all(names.map((name) => client.create(PODS, podOf(directory, ['sh', 'agent.sh'], name))))
  const pods = []
  for (const name of names) pods.push(await reach(name, 'Running'))
  assert.equal(new Set(pods.map(({ status }) => status?.podIP)).size, 20)
  await stop()
  assert.deepEqual(readdirSync(join(home, 'pods')), [])
  for (const name of names) assert.equal((await client.find(PODS, 'default', name))?.status?.reason, 'NodeShutdown')
})
