/**
 * What a session costs that nobody has called before: the time to its first answer beside that of a bare pod made by hand, writes to
 * the API server, warm calls through real pods beside direct ones, and the memory of Carrel's parts.
 */
import type { Pod } from '../../src/kube/objects.ts'
import { AGENT_CONTAINER, SESSION_UID_LABEL } from '../../src/crds/agent-session.ts'
import { PODS } from '../../src/kube/resource.ts'
import { eventually } from '../../test/kit/eventually.ts'
import { newSessionId } from '../../test/kit/raw-gateway.ts'
import type { Bench, Case, Measured, Metric, Prepared, Sample } from '../runner/bench.ts'
import { NAMESPACE, openColdBed, type ColdBed } from './bed.ts'
import { AGENT_PORT, callAsSoonAsItListens, callByGateway, directRequest, gatewayRequests, warmMedianMs } from './call.ts'
import { anonymousOf } from './memory.ts'
import { Sightings } from './sightings.ts'
import { countOf, tableOf, writesTo, type Writes } from './writes.ts'

const METRICS: readonly Metric[] = [
  { name: 'first answer', unit: 'ms', better: 'less', targetToFloor: 1.25 },
  { name: 'pod made', unit: 'ms', better: 'less' },
  { name: 'address shown', unit: 'ms', better: 'less' },
  { name: 'API writes', unit: 'from first call until nothing is left', better: 'less' },
  { name: 'warm call, p50', unit: 'ms', better: 'less' },
  { name: 'warm call to the same pod directly, p50', unit: 'ms', better: 'less' },
  { name: 'memory of an operator', unit: 'MiB anonymous', better: 'less' },
  { name: 'memory of a gateway', unit: 'MiB anonymous', better: 'less' },
  { name: 'memory of a meter', unit: 'MiB anonymous', better: 'less', target: 24 },
]
const WARM_CALLS = 200
const GONE_WITHIN_MS = 60_000

export const coldSession: Bench = {
  name: 'cold/session',
  about:
    'The first call of a new session on a real cluster of one node, Carrel installed by its chart, beside pods of the same agent made by hand: without and with the second container.',
  metrics: METRICS,
  rounds: 20,
  rings: ['CARREL_TEST_CONTROL_PLANE', 'CARREL_TEST_NODE', 'CARREL_TEST_HELM', 'CARREL_TEST_IMAGES'],
  prepare,
}

interface Scene {
  bed: ColdBed
  sightings: Sightings
  /** The pod of a session that lives as long as the bench: bare pods are made like it. */
  template: Pod
}

async function prepare(): Promise<Prepared> {
  const bed = await openColdBed()
  const ending = new AbortController()
  const stop = async (): Promise<void> => {
    ending.abort()
    await bed.stop()
  }
  try {
    const sightings = await Sightings.start(bed.kubernetes, ending.signal)
    const scene = { bed, sightings, template: await templateOf(bed) }
    const cases: Case[] = [
      { name: 'new session', api: 'real', role: 'ours', measure: sessionRounds(scene) },
      { name: 'bare pod, with the second container', api: 'real', role: 'peer', measure: bareRounds(scene, 'two', () => true) },
      { name: 'bare pod', api: 'real', role: 'floor', measure: bareRounds(scene, 'one', ({ name }) => name === AGENT_CONTAINER) },
    ]
    return { cases, notes: NOTES, stop }
  } catch (error) {
    await stop()
    throw error
  }
}

const NOTES = [
  'One node, images present, runc: no virtual machine is started. Two operators, two gateways, Redis, API server, kubelet and the bench share the machine.',
  'A bare pod is the pod of a session without its labels. Its time goes from the create until its agent has answered a call; the bench learns its address by a watch and dials every 2 ms. The Secret that its second container names is known to kubelet already; that of a session is new.',
  `"pod made" and "address shown" are when the bench's own watch showed it. Warm calls are ${WARM_CALLS}, one after the other on one connection.`,
  'Memory is anonymous memory of the largest process of its kind, when the session has just been called.',
]

async function templateOf(bed: ColdBed): Promise<Pod> {
  const sessionId = newSessionId()
  await bed.gateway.ask(bed.arn, sessionId, { do: 'recall' })
  const session = await bed.session(sessionId)
  return bed.client.get(PODS, NAMESPACE, session!.status!.podName!)
}

function sessionRounds(scene: Scene): Case['measure'] {
  const all: Writes[] = []
  return async () => {
    const { bed, sightings } = scene
    const session = { arn: bed.arn, sessionId: newSessionId() }
    const mark = bed.auditMark()
    const startedAtMs = performance.now()
    await callByGateway(bed, session).catch(async (error: Error) => {
      throw new Error(`${error.message}: ${await bed.storyOf(session.sessionId)}`, { cause: error })
    })
    const answeredAtMs = performance.now()

    const { metadata } = (await bed.session(session.sessionId))!
    const { seenAtMs, address } = await sightings.addressOf((pod) => pod.metadata.labels?.[SESSION_UID_LABEL] === metadata.uid)
    const { host, hostname, port } = bed.gateway.url
    const warmMs = await warmMedianMs(hostname, Number(port), gatewayRequests(host, session, bed.signing), WARM_CALLS)
    const directMs = await warmMedianMs(address.ip, AGENT_PORT, [directRequest(address.ip, session)], WARM_CALLS)
    const { operator, gateway, meter } = anonymousOf(bed.cgroupRoot)
    await endSession(bed, session.sessionId)
    const own = (resource: string, name: string): boolean =>
      name === metadata.name || name.startsWith(`${metadata.name}-`) || (resource === 'secrets' && name === `meter-${metadata.uid}`)
    const writes = writesTo(bed.auditSince(mark), own)
    all.push(writes)
    return measured(all, {
      'first answer': answeredAtMs - startedAtMs,
      'pod made': seenAtMs - startedAtMs,
      'address shown': address.atMs - startedAtMs,
      'API writes': countOf(writes),
      'warm call, p50': warmMs,
      'warm call to the same pod directly, p50': directMs,
      ...(operator === undefined ? {} : { 'memory of an operator': operator }),
      ...(gateway === undefined ? {} : { 'memory of a gateway': gateway }),
      ...(meter === undefined ? {} : { 'memory of a meter': meter }),
    })
  }
}

/** And until its record is gone too. */
async function endSession(bed: ColdBed, sessionId: string): Promise<void> {
  const { status, body } = await bed.gateway.stop(bed.arn, sessionId)
  if (status !== 200) throw new Error(`stop answered ${status}: ${body}`)
  await eventually(async () => (await bed.session(sessionId)) === undefined, {
    withinMs: GONE_WITHIN_MS,
    everyMs: 200,
    because: 'the session is gone',
  })
}

function bareRounds(scene: Scene, kind: string, isWanted: (container: { name: string }) => boolean): Case['measure'] {
  const all: Writes[] = []
  let made = 0
  return async () => {
    const { bed, sightings } = scene
    const pod = barePod(scene.template, `bare-${kind}-${(made += 1)}`, isWanted)
    const session = { arn: bed.arn, sessionId: newSessionId() }
    const mark = bed.auditMark()
    const startedAtMs = performance.now()
    const creating = bed.client.create(PODS, pod)
    creating.catch(() => {}) // it is awaited below
    const { seenAtMs, address } = await Promise.race([
      sightings.addressOf(({ metadata }) => metadata.name === pod.metadata.name),
      creating.then(() => new Promise<never>(() => {})),
    ])
    await callAsSoonAsItListens(address.ip, session)
    const answeredAtMs = performance.now()

    const warmMs = await warmMedianMs(address.ip, AGENT_PORT, [directRequest(address.ip, session)], WARM_CALLS)
    const { metadata } = await creating
    await bed.client.delete(PODS, NAMESPACE, metadata.name, { uid: metadata.uid! })
    await eventually(async () => (await bed.client.find(PODS, NAMESPACE, metadata.name)) === undefined, {
      withinMs: GONE_WITHIN_MS,
      everyMs: 100,
      because: 'the pod is gone',
    })
    const writes = writesTo(bed.auditSince(mark), (_resource, name) => name === metadata.name)
    all.push(writes)
    return measured(all, {
      'first answer': answeredAtMs - startedAtMs,
      'pod made': seenAtMs - startedAtMs,
      'address shown': address.atMs - startedAtMs,
      'API writes': countOf(writes),
      'warm call, p50': warmMs,
    })
  }
}

/** The scheduler places it anew, and no label makes it anybody's session. */
function barePod({ spec }: Pod, name: string, isWanted: (container: { name: string }) => boolean): Pod {
  const { nodeName: _node, ...rest } = spec!
  const containers = rest.containers.filter(isWanted)
  return { apiVersion: 'v1', kind: 'Pod', metadata: { name, namespace: NAMESPACE }, spec: { ...rest, containers } }
}

function measured(all: readonly Writes[], sample: Sample): Measured {
  return { sample, details: tableOf(all) }
}
