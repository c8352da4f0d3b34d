/**
 * One scenario, played on the embedded API and on a real kube-apiserver: what it asserts holds on both, and what it
 * recorded is the same on both, apart from what it marks as one of DIFFERENCES; one of the answers that it marks so has
 * to differ.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { eventually } from '../kit/eventually.ts'
import { needs } from '../kit/ring.ts'
import { Comparables, differingAt } from './comparable.ts'
import { DIFFERENCES, type DifferenceId, type Differs } from './differences.ts'
import { collectionPath, type Resource } from './paths.ts'
import { embeddedSubject, kubernetesSubject, type Subject } from './subject.ts'
import type { Answer, OpenedWatch, Sent, WatchEvent } from './wire.ts'

interface Entry extends Differs {
  title: string
  /** Comparable. */
  value: unknown
}

type Ring = Parameters<typeof needs>[1]
export type Scenario = (on: Stage) => Promise<void>

/** Which of DIFFERENCES the scenarios of this process have met. */
export const met = new Set<DifferenceId>()
let namespaces = 0

/** Registers the scenario as a test; each has a namespace of its own, of the same name on both. */
export function conformance(title: string, scenario: Scenario, { needs: rings = [] }: { needs?: readonly Ring[] } = {}): void {
  const namespace = `conformance-${(namespaces += 1)}`
  test(title, async (t) => {
    if (rings.some((ring) => needs(t, ring) === undefined)) return
    const recorded: Entry[][] = []
    await t.test('embedded', async () => void recorded.push(await play(await embeddedSubject(), namespace, scenario)))
    await t.test('kubernetes', async (t) => {
      if (needs(t, 'CARREL_TEST_CONTROL_PLANE') === undefined) return
      recorded.push(await play(await kubernetesSubject(), namespace, scenario))
    })
    const [embedded, kubernetes] = recorded
    if (embedded && kubernetes) await t.test('the same on both', () => compare(embedded, kubernetes))
  })
}

async function play(subject: Subject, namespace: string, scenario: Scenario): Promise<Entry[]> {
  const stage = new Stage(subject, namespace)
  await subject.makeNamespace(namespace)
  try {
    await scenario(stage)
    return stage.entries
  } finally {
    stage.end()
  }
}

/** One play of a scenario on one subject. */
export class Stage {
  readonly subject: Subject
  readonly namespace: string
  readonly entries: Entry[] = []
  readonly #comparables = new Comparables()
  readonly #ends: (() => void)[] = []

  constructor(subject: Subject, namespace: string) {
    this.subject = subject
    this.namespace = namespace
  }

  /** Path of a collection or an object, in the scenario's namespace. */
  at(resource: Resource, ...rest: string[]): string {
    return [collectionPath(resource, this.namespace), ...rest].join('/')
  }

  /** Sends a request and records the answer. */
  async call(method: string, path: string, sent: Sent & Differs = {}): Promise<Answer> {
    const answer = await this.subject.wire.call(method, path, sent)
    const query = sent.query ? `?${new URLSearchParams(sent.query).toString()}` : ''
    this.record(
      `${method} ${path}${query} ${sent.body === undefined ? '' : JSON.stringify(sent.body)?.slice(0, 300)}`,
      ofInterest(answer),
      sent,
    )
    return answer
  }

  /** A call that is not compared: its answer is the same only in part. */
  ask(method: string, path: string, sent: Sent = {}): Promise<Answer> {
    return this.subject.wire.call(method, path, sent)
  }

  /** Creates an object and expects it to be created. */
  async make(resource: Resource, object: object, sent: Sent & Differs = {}): Promise<Answer['body']> {
    const { status, body } = await this.call('POST', this.at(resource), { ...sent, body: object })
    assert.equal(status, 201, JSON.stringify(body))
    return body
  }

  /** Asks again until the answer is as wished, and records that answer alone. */
  async until(path: string, isSo: (answer: Answer) => boolean, because: string, differs: Differs = {}): Promise<Answer> {
    let last: Answer | undefined
    const found = await eventually(
      async () => {
        last = await this.ask('GET', path)
        return isSo(last) && last
      },
      { withinMs: 30_000, everyMs: 20, because },
    ).catch((error: Error) => assert.fail(`${error.message}; the last answer was ${JSON.stringify(last?.body)}`))
    this.record(`until ${because}: GET ${path}`, ofInterest(found), differs)
    return found
  }

  /** Opens a watch; record what comes by `tell`. It is closed with the scenario. */
  async watch(path: string, query: Record<string, string> = {}, accept?: string, token?: string): Promise<OpenedWatch> {
    const opened = await this.subject.wire.watch(path, query, accept, token)
    this.after(() => opened.close())
    return opened
  }

  /** A watch that is refused at once. */
  async refusedWatch(path: string, query: Record<string, string>, differs: Differs = {}, token?: string): Promise<Answer> {
    const { answer } = await this.watch(path, query, undefined, token)
    assert.notEqual(answer.status, 200, `a watch of ${JSON.stringify(query)} was begun`)
    this.record(`watch ${path} ${JSON.stringify(query)}`, ofInterest(answer), differs)
    return answer
  }

  /** Records events of a watch. */
  tell(title: string, events: readonly WatchEvent[], differs: Differs = {}): void {
    this.record(title, [...events], differs)
  }

  /** Records any value. */
  record(title: string, value: unknown, { differs, differsAt }: Differs = {}): void {
    const comparable = this.#comparables.of(value)
    this.entries.push({ title, value: comparable, ...(differs ? { differs } : {}), ...(differsAt ? { differsAt } : {}) })
  }

  /** From here on this text, which a server chose, reads so in what is recorded. */
  mask(text: string, as: string): void {
    this.#comparables.mask(text, as)
  }

  /** Done when the scenario is over. */
  after(end: () => void): void {
    this.#ends.push(end)
  }

  end(): void {
    for (const end of this.#ends) end()
  }
}

/** What a client reads of an answer. */
function ofInterest({ status, headers, body }: Answer): object {
  const { 'content-type': contentType, warning, 'retry-after': retryAfter } = headers
  return { status, contentType, ...(warning ? { warning } : {}), ...(retryAfter ? { retryAfter } : {}), body: body as unknown }
}

function compare(embedded: Entry[], kubernetes: Entry[]): void {
  const complaints: string[] = []
  const marked = new Set<DifferenceId>()
  const differing = new Set<DifferenceId>()
  assert.deepEqual(
    embedded.map(({ title }) => title.split(' ')[0]),
    kubernetes.map(({ title }) => title.split(' ')[0]),
    'the scenario took the same way on both',
  )
  for (const [index, one] of embedded.entries()) {
    const { title, differs, differsAt = [''] } = one
    const found = differingAt(one.value, kubernetes[index]!.value)
    const isAllowed = (path: string): boolean => differsAt.some((at) => at === '' || path === at || path.startsWith(`${at}.`))
    const unexpected = differs ? found.filter(({ path }) => !isAllowed(path)) : found
    if (unexpected.length > 0) {
      const lines = unexpected.map(({ path, one, other }) => `  ${path}\n    embedded   ${shown(one)}\n    kubernetes ${shown(other)}`)
      complaints.push(`${title}\n${lines.join('\n')}`)
    }
    if (differs) (found.length > 0 ? differing : marked).add(differs)
  }
  for (const id of marked.difference(differing)) complaints.push(`${id} is no difference here any more: ${DIFFERENCES[id].what}`)
  for (const id of differing) met.add(id)
  assert.equal(complaints.length, 0, `\n${complaints.join('\n')}`)
}

function shown(value: unknown): string {
  return value === undefined ? '(nothing)' : JSON.stringify(value).slice(0, 1_500)
}
