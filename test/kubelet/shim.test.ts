import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { folder, machine, needs, pythonOf, until, write, realAddresses, dial } from './real.ts'

const agent = (name: string): string => readFileSync(fileURLToPath(new URL(`./agents/${name}`, import.meta.url)), 'utf8')

interface NodeAddress {
  address: string
  port: number
}

test('Node: every bind to all addresses goes to the session, every other stays', async (t) => {
  const { host, output, run } = machine(t)
  const pod = await run(
    ['node', 'binds.cjs'],
    { 'binds.cjs': agent('binds.cjs') },
    { environment: { NODE_OPTIONS: '--pending-deprecation' } },
  )
  const { exitCode } = await host.exited(pod.uid)
  const text = await output(pod)
  assert.equal(exitCode, 0, text)
  const {
    '127.0.0.1': ipv4,
    '::1': ipv6,
    'udp4 client': client,
    'pair 6': deaf,
    ...moved
  } = JSON.parse(text) as Record<string, NodeAddress>
  for (const [how, { address }] of Object.entries(moved))
    assert.ok([pod.address, `::ffff:${pod.address}`].includes(address), `${how}: ${address}`)
  assert.deepEqual([ipv4!.address, ipv6!.address], ['127.0.0.1', '::1'])
  assert.equal(client!.address, '0.0.0.0', 'it must be able to send to the outside')
  assert.equal(deaf!.address, '::1')
})

test('Node: a caller reaches the session on its address and not on any real interface', async (t) => {
  const { output, run } = machine(t)
  const code =
    "const net=require('net');const ports=[];for(const host of ['0.0.0.0','::']){const s=net.createServer(c=>c.on('error',()=>{}).end('hi')).listen(0,host,()=>{ports.push(s.address().port);if(ports.length===2)console.log('ports',...ports)})}"
  const pod = await run(['node', '-e', code])
  const ports = await until('it listens', async () =>
    /ports (\d+) (\d+)/
      .exec(await output(pod))
      ?.slice(1)
      .map(Number),
  )
  const addresses = realAddresses()
  assert.ok(addresses.length > 0, 'a machine with a network interface')
  for (const port of ports) {
    assert.equal(await dial(pod.address, port), 'reached')
    for (const address of addresses) assert.notEqual(await dial(address, port), 'reached', `${address}:${port}`)
  }
})

type PythonAddress = [string, number, ...unknown[]]

test('Python: every bind to all addresses goes to the session, every other stays', async (t) => {
  const python = pythonOf()
  if (!needs(t, 'python3', python)) return
  const { host, output, run } = machine(t)
  const pod = await run([python!.path, 'binds.py'], { 'binds.py': agent('binds.py') })
  const { exitCode } = await host.exited(pod.uid)
  const text = await output(pod)
  assert.equal(exitCode, 0, text)
  const found = JSON.parse(text) as Record<string, PythonAddress> & { asyncio: PythonAddress[][]; uvloop?: PythonAddress[][] }
  const { '127.0.0.1': ipv4, '::1': ipv6, 'udp client': client, asyncio, uvloop, isinstance, type, ...moved } = found
  const isMoved = ([address]: PythonAddress): boolean => [pod.address, `::ffff:${pod.address}`].includes(address)
  for (const [how, address] of Object.entries(moved)) assert.ok(isMoved(address as PythonAddress), `${how}: ${String(address)}`)
  assert.deepEqual([ipv4![0], ipv6![0]], ['127.0.0.1', '::1'])
  assert.equal(client![0], '0.0.0.0', 'it must be able to send to the outside')
  assert.deepEqual([isinstance, type], [true, 'socket.socket'])
  for (const [zero, six, pair, empty] of [asyncio, ...(uvloop ? [uvloop] : [])] as [
    PythonAddress[],
    PythonAddress[],
    PythonAddress[],
    PythonAddress[],
  ][]) {
    for (const names of [zero, six, empty]) assert.ok(names.every(isMoved), JSON.stringify(names))
    assert.ok(pair.some(isMoved) && pair.every((name) => isMoved(name) || ['::1', '127.0.0.1'].includes(name[0])), JSON.stringify(pair))
  }
  if (process.env['CARREL_TEST_PYTHON']) assert.ok(uvloop, 'uvloop is installed there')
})

test("Python: a sitecustomize of the user's own runs as if the shim were not there", async (t) => {
  const python = pythonOf()
  if (!needs(t, 'python3', python)) return
  const { host, output, run } = machine(t)
  const own = write(folder(t), { 'sitecustomize.py': 'import builtins\nbuiltins.mine = __file__\n' })
  const code =
    "import sys, socket, sitecustomize; s = socket.socket(); s.bind(('', 0)); print(mine); print(sitecustomize.__file__); print(s.getsockname()[0]); print([p for p in sys.path if 'shim' in p])"
  const pod = await run([python!.path, '-c', code], {}, { environment: { PYTHONPATH: own } })
  await host.exited(pod.uid)
  const file = join(own, 'sitecustomize.py')
  assert.equal(await output(pod), `${file}\n${file}\n${pod.address}\n[]\n`)
})

test('Python: without a sitecustomize of the user, nothing is printed and nothing imported that was not before', async (t) => {
  const python = pythonOf()
  if (!needs(t, 'python3', python)) return
  const { host, output, run } = machine(t)
  const pod = await run([python!.path, '-c', "import sys; print('socket' in sys.modules, 'asyncio' in sys.modules)"])
  assert.deepEqual(await host.exited(pod.uid), { exitCode: 0 })
  assert.equal(await output(pod), 'False False\n')
})
