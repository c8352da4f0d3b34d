import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { existsSync, readFileSync, readdirSync, realpathSync } from 'node:fs'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { env, folder, isAlive, machine, planned, pythonOf, needs, until, write } from './real.ts'
import { MachineHost } from '../../src/local/kubelet/machine/machine-host.ts'
import { PodLogFiles } from '../../src/local/kubelet/machine/pod-logs.ts'

const print = (expression: string): string[] => ['node', '-e', `console.log(JSON.stringify(${expression}))`]

test('an agent knows nothing of the shell that started the installation', async (t) => {
  const shell = {
    PATH: process.env['PATH'],
    LANG: 'C.UTF-8',
    TZ: 'UTC',
    AWS_ACCESS_KEY_ID: 'AKIA',
    AWS_PROFILE: 'prod',
    AWS_SESSION_TOKEN: 's',
    OPENAI_API_KEY: 'k',
    NODE_OPTIONS: '--inspect',
    npm_config_x: 'y',
  }
  const { host, output, run } = machine(t, shell)
  const pod = await run(print('process.env'), {}, { environment: { GREETING: 'hi', AWS_REGION: 'us-west-2', CARREL_POD_UID: 'another' } })
  assert.deepEqual(await host.exited(pod.uid), { exitCode: 0 })
  const { PATH, HOME, TMPDIR, NODE_OPTIONS, PYTHONPATH, CARREL_POD_HOME, ...others } = JSON.parse(await output(pod)) as Record<
    string,
    string
  >
  assert.deepEqual(others, {
    AWS_DEFAULT_REGION: 'eu-west-1',
    AWS_REGION: 'us-west-2',
    CARREL_POD_IP: pod.address,
    CARREL_POD_UID: pod.uid,
    DOCKER_CONTAINER: '1',
    GREETING: 'hi',
    LANG: 'C.UTF-8',
    PYTHONUNBUFFERED: '1',
    TZ: 'UTC',
  })
  assert.ok(PATH && CARREL_POD_HOME)
  for (const path of [HOME, TMPDIR, PYTHONPATH]) assert.ok(path?.includes(join('pods', pod.uid)), path)
  assert.ok(NODE_OPTIONS?.startsWith('--require "') && !NODE_OPTIONS.includes('--inspect'))
})

test("the user's own NODE_OPTIONS and PYTHONPATH come after the shim's", async (t) => {
  const { host, output, run } = machine(t)
  const pod = await run(
    print('[process.env.NODE_OPTIONS, process.env.PYTHONPATH]'),
    {},
    { environment: { NODE_OPTIONS: '--no-warnings', PYTHONPATH: '/mine' } },
  )
  await host.exited(pod.uid)
  const [nodeOptions, pythonPath] = JSON.parse(await output(pod)) as [string, string]
  assert.match(nodeOptions, /^--require ".*bind\.cjs" --no-warnings$/)
  assert.match(pythonPath, /shim\/python:\/mine$/)
})

test('an agent works in a private copy, which is gone afterwards; the original stays as it was', async (t) => {
  const { host, run } = machine(t)
  const command = [
    'node',
    '-e',
    "const fs=require('fs');fs.writeFileSync('README.md','changed');fs.writeFileSync('new','');fs.writeFileSync(process.env.HOME+'/h','');fs.writeFileSync(require('os').tmpdir()+'/t','');console.log(process.cwd())",
  ]
  const pod = await run(command, { 'README.md': 'original', 'data/deep.txt': 'x', '.git/config': 'y' })
  assert.deepEqual(await host.exited(pod.uid), { exitCode: 0 })
  assert.equal(readFileSync(join(pod.directory, 'README.md'), 'utf8'), 'original')
  assert.equal(existsSync(join(pod.directory, 'new')), false)
  await host.cleanup(pod.uid)
  await host.forget(pod.uid)
  assert.deepEqual(await host.leftovers(), [])
})

test('the copy keeps links within the code, links dependencies, and leaves history out', async (t) => {
  const { home, host } = machine(t)
  const project = write(folder(t), {
    'package.json': '{"type": "module", "name": "outer"}',
    'node_modules/dep/index.js': 'export default 41',
    '.venv/pyvenv.cfg': '',
    'agents/mine/agent.js': "import dep from 'dep'\nconsole.log(dep + 1)",
    'agents/mine/data/a.txt': 'a',
    'agents/mine/.git/HEAD': 'x',
    'agents/mine/sub/node_modules/inner/index.js': '',
  })
  const { symlinkSync } = await import('node:fs')
  symlinkSync('data/a.txt', join(project, 'agents/mine/inside'))
  symlinkSync('../../package.json', join(project, 'agents/mine/outside'))
  const pod = await planned(host, 'u', join(project, 'agents/mine'), ['node', 'agent.js'])
  assert.deepEqual(await host.prepare(pod), { ready: true })
  const code = join(realpathSync(home), 'pods', 'u', 'code')
  assert.equal(realpathSync(join(code, 'inside')), join(code, 'data/a.txt'))
  assert.equal(realpathSync(join(code, 'outside')), join(realpathSync(project), 'package.json'))
  assert.equal(realpathSync(join(code, 'node_modules')), join(realpathSync(project), 'node_modules'))
  assert.equal(realpathSync(join(code, '.venv')), join(realpathSync(project), '.venv'))
  assert.equal(realpathSync(join(code, 'sub/node_modules')), join(realpathSync(project), 'agents/mine/sub/node_modules'))
  assert.equal(existsSync(join(code, '.git')), false)
  await host.start(pod)
  assert.deepEqual(await host.exited('u'), { exitCode: 0 }, 'the type of the package above and its dependencies hold')
  await host.cleanup('u')
  assert.ok(existsSync(join(project, 'node_modules/dep/index.js')), 'what was linked is still there')
})

test('an installation whose folder lies in the code is not copied into itself', async (t) => {
  const code = write(folder(t), { 'agent.js': '' })
  const home = join(code, '.carrel')
  const host = new MachineHost(env, { home, logs: new PodLogFiles(env, home), shell: process.env })
  const pod = await planned(host, 'u', code, ['node', 'agent.js'])
  assert.deepEqual(await host.prepare(pod), { ready: true })
  const copied = readdirSync(join(home, 'pods/u/code'))
  assert.ok(copied.includes('agent.js') && !copied.includes('.carrel'), copied.join())
})

test('a missing directory and a missing command say what to do', async (t) => {
  const { host } = machine(t)
  const missing = await planned(host, 'a', '/nowhere/at/all', ['node'])
  const prepared = await host.prepare(missing)
  assert.ok('failed' in prepared && prepared.failed === 'DirectoryMissing' && prepared.message.includes('/nowhere/at/all'))

  const code = write(folder(t), { 'notes.txt': '', 'bad-interpreter': '#!/no/such/program\n' })
  for (const [command, failed] of [
    ['pyhton', 'CommandNotFound'],
    ['./nothing', 'CommandNotFound'],
    ['./notes.txt', 'CommandNotExecutable'],
  ] as const) {
    const pod = await planned(host, 'b', code, [command])
    await host.prepare(pod)
    const started = await host.start(pod)
    assert.ok('failed' in started, command)
    assert.equal(started.failed, failed)
    assert.ok(started.message.includes(command) && started.message.includes('spec.artifact.code.command'))
  }
})

test('a program that holds the port on every address is told by name of its port, not by every agent failing', async (t) => {
  const server = createServer().listen(0, '0.0.0.0')
  t.after(() => server.close())
  await new Promise((resolve) => server.once('listening', resolve))
  const { port } = server.address() as { port: number }
  const { host } = machine(t)
  const pod = await planned(host, 'a', write(folder(t), { x: '' }), ['node', '-e', '0'], { ports: [port] })
  await host.prepare(pod)
  const started = await host.start(pod)
  assert.ok('failed' in started && started.failed === 'PortTaken' && started.message.includes(String(port)))
})

test('a double-forked, setsid child that ignores SIGTERM is gone when its agent is', async (t) => {
  const { host, output, run } = machine(t)
  const pod = await run([
    'sh',
    '-c',
    `trap '' TERM; (setsid sh -c 'trap "" TERM; echo hidden $$; sleep 600 & wait' &) ; env -i "$(command -v sh)" -c 'trap "" TERM; echo bare $$; while :; do sleep 600; done' & sleep 600 & wait; wait`,
  ])
  const hidden = await until('both children have spoken', async () => {
    const text = await output(pod)
    const pids = [/hidden (\d+)/.exec(text)?.[1], /bare (\d+)/.exec(text)?.[1]].map(Number)
    return pids.every(Boolean) ? pids : undefined
  })
  const processes = await host.processes(pod.uid)
  for (const pid of [pod.pid, ...hidden]) assert.ok(processes.includes(pid), `process ${pid} is known`)
  await host.signal(pod.uid, 'SIGTERM')
  await host.signal(pod.uid, 'SIGKILL')
  assert.deepEqual(await host.exited(pod.uid), { exitCode: 137, signal: 9 })
  assert.deepEqual(await host.processes(pod.uid), [])
  for (const pid of [...processes, ...hidden]) assert.equal(isAlive(pid), false, `process ${pid} is gone`)
})

test('children do not outlive a first process that exits by itself, and its last words are kept', async (t) => {
  const { host, output, run } = machine(t)
  const pod = await run(['sh', '-c', 'setsid sleep 600 & echo to stdout; echo to stderr >&2; printf unended; exit 7'])
  assert.deepEqual(await host.exited(pod.uid), { exitCode: 7 })
  assert.deepEqual(await host.processes(pod.uid), [])
  assert.deepEqual((await output(pod)).trim().split('\n').toSorted(), ['to stderr', 'to stdout', 'unended'])
})

test('agents of an installation that was killed with -9 are found by the next one, and only they', async (t) => {
  const { home, host, run } = machine(t)
  const other = machine(t)
  const neighbour = await other.run(['sleep', '600'])
  await run(['sleep', '600'])
  const spawning = fileURLToPath(new URL('./agents/spawning-installation.ts', import.meta.url))
  const child = spawn(process.execPath, [spawning, folder(t)], { stdio: ['ignore', 'pipe', 'inherit'] })
  const [, killedHome, pid] = await new Promise<string[]>((resolve) =>
    child.stdout.once('data', (data) => resolve(/^(.*)\t(\d+)/.exec(String(data))!)),
  )
  t.after(() => isAlive(Number(pid)) && process.kill(Number(pid), 'SIGKILL'))
  child.kill('SIGKILL')
  await new Promise((resolve) => child.once('exit', resolve))
  assert.ok(isAlive(Number(pid)), 'the agent outlives its installation')

  const next = new MachineHost(env, { home: killedHome!, logs: new PodLogFiles(env, killedHome!), shell: process.env })
  const [uid, ...more] = await next.leftovers()
  assert.deepEqual(more, [])
  assert.deepEqual(await next.processes(uid!), [Number(pid)])
  await next.signal(uid!, 'SIGKILL')
  await next.cleanup(uid!)
  await next.forget(uid!)
  assert.equal(isAlive(Number(pid)), false)
  assert.deepEqual(await next.leftovers(), [])
  assert.ok(isAlive(neighbour.pid), "another installation's agent is not touched")
  assert.ok(existsSync(home) && (await host.leftovers()).length === 0, 'its own live pods are no left-overs')
})

test('an agent that evades the shim is seen, with its socket; those that obey are not', async (t) => {
  const { host, output, run } = machine(t)
  const listen = "require('net').createServer().listen(0, '0.0.0.0', function () { console.log('port', this.address().port) })"
  const good = await run(['node', '-e', listen])
  const bad = await run(['env', '-u', 'NODE_OPTIONS', 'node', '-e', listen])
  const port = await until('the agent listens', async () => Number(/port (\d+)/.exec(await output(bad))?.[1]))
  await until('the other listens', async () => /port (\d+)/.exec(await output(good)))
  const violations = await host.violations()
  assert.deepEqual(violations, [{ podUID: bad.uid, protocol: 'tcp', address: '0.0.0.0', port, pid: bad.pid }])
  for (let look = 0; look < 15; look += 1) assert.equal((await host.violations()).length, 1, 'it stays a violation however often one looks')
})

test('an agent that takes the address of another session is seen', async (t) => {
  const { host, output, run } = machine(t)
  const address = await host.nextAddress()
  const bad = await run(['node', '-e', `require('net').createServer().listen(8080, '${address}', () => console.log('listens'))`])
  await until('the agent listens', async () => (await output(bad)).includes('listens'))
  assert.equal((await host.violations())[0]?.address, address)
})

test('a Python agent started with -S is seen', async (t) => {
  const python = pythonOf()
  if (!needs(t, 'python3', python)) return
  const { host, output, run } = machine(t)
  await run([
    python!.path,
    '-S',
    '-c',
    "import socket, time; s = socket.create_server(('', 0)); print('port', s.getsockname()[1], flush=True); time.sleep(600)",
  ]).then((bad) => until('it is seen', async () => /port/.test(await output(bad)) && (await host.violations())[0]?.podUID === bad.uid))
})
