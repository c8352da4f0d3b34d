import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { DockerfileError, expand, type Instruction, parseDockerfile } from '../cluster/images/dockerfile.ts'

const ROOT = join(import.meta.dirname, '..', '..')

const instructionOf = (line: string): Instruction => parseDockerfile(`FROM scratch\n${line}\n`)[0]!.instructions[0]!.instruction

const UNDERSTOOD: [string, Instruction][] = [
  ['RUN a && b', { kind: 'RUN', command: ['/bin/sh', '-c', 'a && b'] }],
  ['run ["a", "b c"]', { kind: 'RUN', command: ['a', 'b c'] }],
  ['RUN pip install a>=1', { kind: 'RUN', command: ['/bin/sh', '-c', 'pip install a>=1'] }],
  ['RUN if [ -f x ]; then y; fi', { kind: 'RUN', command: ['/bin/sh', '-c', 'if [ -f x ]; then y; fi'] }],
  ['RUN a \\\n  && b \\\n# said in between\n\n  && c', { kind: 'RUN', command: ['/bin/sh', '-c', 'a    && b    && c'] }],
  ['CMD ["python", "-m", "agent"]', { kind: 'CMD', command: ['python', '-m', 'agent'] }],
  ['CMD [ -f x ] && y', { kind: 'CMD', command: ['/bin/sh', '-c', '[ -f x ] && y'] }],
  ['ENTRYPOINT ["/pause"]', { kind: 'ENTRYPOINT', command: ['/pause'] }],
  ['ENV A=1 \\\n    B="two words" C=3\\ 4', { kind: 'ENV', values: { A: '1', B: 'two words', C: '3 4' } }],
  ['ENV A one two', { kind: 'ENV', values: { A: 'one two' } }],
  ['ENV URL=http://x/?a=b', { kind: 'ENV', values: { URL: 'http://x/?a=b' } }],
  ["LABEL a.b='c d'", { kind: 'LABEL', values: { 'a.b': 'c d' } }],
  ['ARG A', { kind: 'ARG', name: 'A' }],
  ['ARG A="b c"', { kind: 'ARG', name: 'A', value: 'b c' }],
  ['COPY . .', { kind: 'COPY', sources: ['.'], target: '.' }],
  ['COPY a b/ c/', { kind: 'COPY', sources: ['a', 'b/'], target: 'c/' }],
  ['COPY ["a b", "c"]', { kind: 'COPY', sources: ['a b'], target: 'c' }],
  [
    'COPY --from=build --chown=1:2 --chmod=755 /a /b',
    { kind: 'COPY', from: 'build', chown: '1:2', chmod: '755', sources: ['/a'], target: '/b' },
  ],
  ['WORKDIR /app', { kind: 'WORKDIR', value: '/app' }],
  ['USER bedrock_agentcore', { kind: 'USER', value: 'bedrock_agentcore' }],
  ['EXPOSE 8080 9000/udp', { kind: 'EXPOSE', values: ['8080', '9000/udp'] }],
  ['VOLUME ["/data"]', { kind: 'VOLUME', values: ['/data'] }],
]

for (const [line, expected] of UNDERSTOOD) {
  test(`a Dockerfile's line is understood: ${line.replaceAll('\n', '⏎')}`, () => assert.deepEqual(instructionOf(line), expected))
}

const REFUSED: [string, RegExp][] = [
  ['FROM scratch\nONBUILD RUN a', /^Dockerfile, line 2: ONBUILD is not understood here/],
  ['FROM scratch\n\nHEALTHCHECK CMD a', /line 3: HEALTHCHECK/],
  ['FROM scratch\nADD a b', /line 2: ADD is not understood here; COPY/],
  ['FROM scratch\nRUN <<EOF', /here-documents/],
  ['FROM scratch\nRUN --mount=type=cache,target=/x a', /--mount=type=cache,target=\/x/],
  ['FROM scratch\nCOPY --link a b', /--link/],
  ['FROM scratch\nCOPY a', /COPY wants/],
  ['FROM scratch\nWORKDIR', /WORKDIR says nothing/],
  ['FROM a b', /FROM wants/],
  ['RUN a\nFROM scratch', /line 1: RUN stands before FROM/],
  ['# nothing', /there is no FROM/],
]

for (const [text, message] of REFUSED) {
  test(`a Dockerfile is refused with its line: ${text.replaceAll('\n', '⏎')}`, () => {
    assert.throws(
      () => parseDockerfile(text),
      (error) => error instanceof DockerfileError && message.test(error.message),
    )
  })
}

test('stages have names, and an ARG before the first FROM is known in every FROM', () => {
  const stages = parseDockerfile(
    'ARG VERSION=24\nFROM --platform=linux/arm64 node:$VERSION AS build\nRUN a\nFROM node:${VERSION}-slim\nCOPY --from=build a b',
  )
  assert.deepEqual(
    stages.map(({ name, from, instructions }) => [name, from, instructions.length]),
    [
      ['build', 'node:24', 1],
      [undefined, 'node:24-slim', 1],
    ],
  )
})

test('variables are replaced as a shell does', () => {
  const known = { A: 'x', EMPTY: '' }
  assert.equal(expand('$A/${A}/${B:-y}/${EMPTY:-z}/${A:+w}/${B:+w}/$B/\\$A', known), 'x/x/y/z/w///$A')
})

test('the Dockerfiles of the project and of the starter toolkit are understood as they are', () => {
  for (const folder of ['.', 'examples/hello', 'examples/python-hello', 'test/cluster/images/toolkit-agent']) {
    const stages = parseDockerfile(readFileSync(join(ROOT, folder, 'Dockerfile'), 'utf8'))
    assert.equal(stages.at(-1)!.instructions.at(-1)!.instruction.kind, 'CMD', folder)
  }
})
