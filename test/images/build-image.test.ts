import assert from 'node:assert/strict'
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { test, type TestContext } from 'node:test'
import { agentImageOf, imageArchive, imageOf } from '../cluster/images/archives.ts'
import { buildImage } from '../cluster/images/build.ts'
import type { Image } from '../cluster/images/image.ts'
import { needs, needsRoot } from '../kit/ring.ts'
import { readArchive, runInside } from './inside.ts'

const canRun = (t: TestContext): boolean => needsRoot(t) && needs(t, 'CARREL_TEST_IMAGES') !== undefined

function contextOf(t: TestContext, files: Record<string, string>): string {
  const folder = mkdtempSync(join(tmpdir(), 'carrel-context-'))
  t.after(() => rmSync(folder, { recursive: true }))
  for (const [name, content] of Object.entries(files)) {
    mkdirSync(dirname(join(folder, name)), { recursive: true })
    writeFileSync(join(folder, name), content)
  }
  return folder
}

const build = (t: TestContext, dockerfile: string, files: Record<string, string> = {}): Image =>
  buildImage(contextOf(t, { Dockerfile: dockerfile, '.dockerignore': 'Dockerfile', ...files }))

const sh = (image: Image, script: string): string => {
  const { status, output } = runInside(image, ['/bin/sh', '-c', script])
  assert.equal(status, 0, output)
  return output.trim()
}

test('COPY puts files and the contents of folders where Docker puts them, as root or as whom --chown names', (t) => {
  if (!canRun(t)) return
  const image = build(
    t,
    `FROM debian:bookworm-slim
WORKDIR /app
COPY a.txt .
COPY a.txt renamed.txt
COPY folder new/
COPY a.txt folder/b.txt /many/
COPY --chown=www-data:www-data --chmod=600 a.txt /owned.txt
COPY --chown=7:8 folder /numbers`,
    { 'a.txt': 'a', 'folder/b.txt': 'b', 'folder/deep/c.txt': 'c' },
  )
  const found = sh(image, 'cd / && find app many numbers owned.txt -type f | sort')
  assert.deepEqual(found.split('\n'), [
    'app/a.txt',
    'app/new/b.txt',
    'app/new/deep/c.txt',
    'app/renamed.txt',
    'many/a.txt',
    'many/b.txt',
    'numbers/b.txt',
    'numbers/deep/c.txt',
    'owned.txt',
  ])
  assert.equal(sh(image, 'stat -c "%U %G %a" /owned.txt'), 'www-data www-data 600')
  assert.equal(sh(image, 'stat -c "%u %g" /numbers/deep /numbers/deep/c.txt /app/a.txt'), '7 8\n7 8\n0 0')
})

test('RUN has the variables, the folder and the user of where it stands, and nothing of the building machine stays', (t) => {
  if (!canRun(t)) return
  const image = build(
    t,
    `FROM debian:bookworm-slim
ARG SECRET=only-while-building
ENV KEPT="two words"
RUN echo "$SECRET $KEPT $(pwd) $(id -u)" > /first
RUN useradd -m -u 1234 somebody && mkdir /work && chown somebody /work
WORKDIR /work
USER somebody
RUN echo "$(pwd) $(id -un) $(id -gn)" > second
RUN ["/bin/sh", "-c", "echo exec > third"]`,
  )
  assert.equal(sh(image, 'cat /first /work/second /work/third'), 'only-while-building two words / 0\n/work somebody somebody\nexec')
  assert.deepEqual(image.config.User, 'somebody')
  assert.ok(!JSON.stringify(image.config).includes('only-while-building'))
  assert.equal(sh(image, 'ls -d /run/machine /tmp/* 2>/dev/null; cat /etc/resolv.conf /etc/hosts'), '')
})

test('what a step takes away is gone in the archive too, a folder that is made anew is empty', (t) => {
  if (!canRun(t)) return
  const image = build(
    t,
    `FROM debian:bookworm-slim\nCOPY folder /folder\nRUN rm /folder/a && rm -r /folder/again && mkdir /folder/again && rm /etc/debian_version`,
    {
      'folder/a': '',
      'folder/b': '',
      'folder/again/c': '',
    },
  )
  const gone = readFileSync(join(image.layers.at(-1)!.folder, 'gone'), 'utf8')
    .trim()
    .split('\n')
  assert.deepEqual(gone.toSorted(), ['./etc/debian_version', './folder/a', './folder/again/c'])
  assert.equal(sh(image, 'find /folder -type f'), '/folder/b')
})

test('a step is made once for what goes into it: another file makes the steps from there on anew, and only these', (t) => {
  if (!canRun(t)) return
  const dockerfile = 'FROM debian:bookworm-slim\nRUN echo first > /one\nCOPY a.txt /\nRUN cat /a.txt > /two'
  const keysOf = (content: string): string[] => build(t, dockerfile, { 'a.txt': content }).layers.map(({ key }) => key)
  const [one, same, other] = [keysOf('1'), keysOf('1'), keysOf('2')]
  assert.deepEqual(same, one)
  assert.deepEqual(other.slice(0, 2), one.slice(0, 2))
  assert.notEqual(other[2], one[2])
  assert.notEqual(other[3], one[3])
})

test('a step that fails is told with its line and what it said; a file that is not there too', (t) => {
  if (!canRun(t)) return
  assert.throws(
    () => build(t, 'FROM debian:bookworm-slim\n\nRUN echo no such luck >&2; exit 3'),
    /Dockerfile, line 3: RUN: .*no such luck/s,
  )
  assert.throws(() => build(t, 'FROM scratch\nCOPY missing /'), /line 2: COPY: there is no missing in/)
  assert.throws(() => build(t, 'FROM scratch\nCOPY ../up /'), /line 2: COPY: \.\.\/up is outside the context/)
  assert.throws(() => build(t, 'FROM nowhere.example/image'), /no stand-in for the image nowhere\.example\/image/)
})

test("an image in the form of the starter toolkit's Dockerfile is built as it is: a user by name, instrumented", (t) => {
  if (!canRun(t)) return
  const { config } = readArchive(imageArchive('toolkit-agent')).manifests[0]!
  const { User, WorkingDir, Cmd, ExposedPorts } = config.config
  assert.deepEqual(
    { User, WorkingDir, Cmd, ExposedPorts },
    {
      User: 'bedrock_agentcore',
      WorkingDir: '/app',
      Cmd: ['opentelemetry-instrument', 'python', '-m', 'agent'],
      ExposedPorts: { '8080/tcp': {}, '8000/tcp': {} },
    },
  )
  assert.equal(
    sh(imageOf('toolkit-agent'), 'python -c "import agent; print(agent.app is not None)"; id -u; command -v opentelemetry-instrument'),
    'True\n1000\n/usr/local/bin/opentelemetry-instrument',
  )
})

test('any folder with an agent becomes an image with Node and Python, as user 1000, in a moment', (t) => {
  if (!canRun(t)) return
  const folder = contextOf(t, { 'agent.py': 'import bedrock_agentcore, uvloop\nprint("python ok")\n' })
  agentImageOf(folder) // the layers below are made
  writeFileSync(join(folder, 'more.txt'), String(process.pid))
  const startedAtMs = performance.now()
  const { archive, reference } = agentImageOf(folder)
  t.diagnostic(`${Math.round(performance.now() - startedAtMs)} ms`)
  const { name, config } = readArchive(archive).manifests[0]!
  assert.equal(name, reference)
  assert.match(reference, /^docker\.io\/library\/carrel-test-agent-[0-9a-f]{12}:latest$/)
  assert.deepEqual(
    [config.config['User'], config.config['WorkingDir'], config.config['Cmd']],
    ['1000:1000', '/app', ['python', 'agent.py']],
  )
  const image = imageOf('probe')
  assert.equal(
    sh(
      image,
      'node -e "import(\'bedrock-agentcore/runtime\').then((m) => console.log(typeof m.BedrockAgentCoreApp))"; python -c "import bedrock_agentcore; print(1)"; id -u',
    ),
    'function\n1\n1000',
  )
  assert.throws(() => agentImageOf(contextOf(t, { 'a.txt': '' })), /neither an agent.ts nor an agent.py/)
})

test('redis, pause and an image that says no user have the interface of the usual ones', (t) => {
  if (!canRun(t)) return
  assert.match(
    sh(imageOf('redis'), 'redis-server --version; redis-cli --version; id -u; pwd; stat -c %U /data'),
    /v=7\..*\nredis-cli 7\..*\n999\n\/data\nredis$/,
  )
  const pause = readArchive(imageArchive('pause')).manifests[0]!.config.config
  assert.deepEqual([pause['Entrypoint'], pause['User']], [['/pause'], '65535:65535'])
  assert.equal(imageOf('root-agent').config.User, undefined)
})
