import { AGENT_CONTAINER } from '../../crds/agent-session.ts'
import type { Env } from '../../env/env.ts'
import type { KubeClient } from '../../kube/client.ts'
import { DONE, again, type Outcome } from '../../kube/controller.ts'
import { ApiError, isNotFound } from '../../kube/errors.ts'
import type { EventRecorder } from '../../kube/events.ts'
import type { Pod } from '../../kube/objects.ts'
import { PODS, pathOf } from '../../kube/resource.ts'
import type { Transport } from '../../kube/transport.ts'
import { planOf } from './pod-plan.ts'
import { statusOf } from './pod-status.ts'
import type { PodPlan, ProcessHost, Violation } from './process-host.ts'
import { endOf, endOfPod, endOfStart, type End, type EndCause, type Ending, type Running, type Work } from './work.ts'
import type { Works } from './works.ts'

export interface KubeletTools {
  env: Env & { kubernetes: Transport; host: ProcessHost }
  client: KubeClient
  events: EventRecorder
  node: { name: string; region: string; workingDirectory: string; logPort?: number }
  works: Works
  /** The pod's UID is looked at again. */
  wake(podUID: string): void
}

/**
 * Brings one pod a step further, from what the API and the machine say: bound, started, watched, ended, released. Each
 * step can be repeated; whatever a crash leaves half done is ended, not continued, so a pod's agent starts at most once.
 */
export async function reconcilePod(uid: string, pod: Pod | undefined, tools: KubeletTools): Promise<Outcome> {
  const work = tools.works.get(uid)
  if (pod === undefined) return work ? abandon(uid, work, tools) : DONE
  if (!pod.spec?.nodeName) return pod.metadata.deletionTimestamp ? DONE : bind(pod, tools)
  if (pod.spec.nodeName !== tools.node.name) return DONE
  if (work === undefined) return begin(pod, tools)
  switch (work.step) {
    case 'starting':
      return finish(pod, endOfPod('KubeletRestarted', 'its start was interrupted', work.startTimeMs, tools.env.clock.now()), tools)
    case 'running':
    case 'ending':
      return watchOver(pod, work, tools)
    case 'ended':
      return settle(pod, tools)
    case 'released':
      return DONE
  }
}

/** The kubelet is its own scheduler: there is one node. */
async function bind(pod: Pod, { env, node }: KubeletTools): Promise<Outcome> {
  const { namespace, name, uid } = pod.metadata
  const body = {
    apiVersion: 'v1',
    kind: 'Binding',
    metadata: { name, namespace, uid },
    target: { apiVersion: 'v1', kind: 'Node', name: node.name },
  }
  const response = await env.kubernetes.request({ method: 'POST', path: pathOf(PODS, namespace, name, 'binding'), body })
  if (response.status < 300 || response.status === 404 || response.status === 409) return DONE
  throw ApiError.from(response, `bind pod ${name}`)
}

/** First look at a pod of this node. */
async function begin(pod: Pod, tools: KubeletTools): Promise<Outcome> {
  const { env, works } = tools
  const uid = pod.metadata.uid!
  const nowMs = env.clock.now()
  const isOver = pod.status?.phase === 'Failed' || pod.status?.phase === 'Succeeded'
  if (isOver) return pod.metadata.deletionTimestamp ? release(pod, tools) : DONE

  const ran = pod.status?.containerStatuses?.find(({ name }) => name === AGENT_CONTAINER)?.state?.running
  if (ran) {
    const startTimeMs = Date.parse(pod.status?.startTime ?? '') || nowMs
    return finish(
      pod,
      endOfPod('KubeletRestarted', 'the installation was restarted; the next call opens a new pod', startTimeMs, nowMs),
      tools,
    )
  }
  if (pod.metadata.deletionTimestamp) return release(pod, tools)

  const planned = planOf(pod, tools.node)
  if ('refused' in planned) return finish(pod, endOfPod(planned.refused, planned.message, nowMs, nowMs), tools)
  works.set(uid, { step: 'starting', startTimeMs: nowMs })
  return start(pod, planned.plan, nowMs, tools)
}

async function start(pod: Pod, plan: PodPlan, startTimeMs: number, tools: KubeletTools): Promise<Outcome> {
  const { env, events, works } = tools
  const placed = await place(pod, plan, tools)
  if ('failed' in placed) return finish(pod, endOfStart(placed.message, startTimeMs, env.clock.now()), tools)

  const started = await env.host.start({ ...plan, address: placed.address }).catch(failureOf)
  if ('failed' in started) return finish(pod, endOfStart(started.message, startTimeMs, env.clock.now()), tools)
  works.set(plan.uid, {
    step: 'running',
    plan,
    address: placed.address,
    startTimeMs,
    startedAtMs: env.clock.now(),
    deadlineMs: plan.activeDeadlineMs === undefined ? undefined : env.clock.monotonic() + plan.activeDeadlineMs,
  })
  void env.host.exited(plan.uid).then((exit) => {
    works.exits.set(plan.uid, exit)
    tools.wake(plan.uid)
  })
  events.record(pod, {
    type: 'Normal',
    reason: 'Started',
    note: `agent started as process ${started.pid} on ${placed.address}`,
    action: 'Start',
  })
  await writeStatus(pod, tools)
  return again(0)
}

/** Address and files; meanwhile the status says that it is being made. */
async function place(pod: Pod, plan: PodPlan, tools: KubeletTools): Promise<{ address: string } | { failed: string; message: string }> {
  const { env } = tools
  const announced = writeStatus(pod, tools).catch((error: unknown) =>
    env.log.debug({ pod: plan.name, err: error }, 'status Pending was not written'),
  )
  try {
    const [address, prepared] = await Promise.all([env.host.nextAddress(), env.host.prepare(plan), announced])
    return 'failed' in prepared ? prepared : { address }
  } catch (error) {
    return failureOf(error)
  }
}

function failureOf(error: unknown): { failed: 'StartError'; message: string } {
  return { failed: 'StartError', message: error instanceof Error ? error.message : String(error) }
}

/** A pod with a process: lets it run, tells it to end, or kills it. */
async function watchOver(pod: Pod, work: Running | Ending, tools: KubeletTools): Promise<Outcome> {
  const { env, events, works } = tools
  const uid = work.plan.uid
  const exit = works.exits.get(uid)
  if (exit) return finish(pod, endOf(work, exit, env.clock.now()), tools)

  const nowMs = env.clock.monotonic()
  const cause = causeOf(pod, work, tools)
  if (cause && (work.step === 'running' || cause.why === 'ListensOffLoopback')) {
    const graceMs = cause.why === 'ListensOffLoopback' ? 0 : graceOf(pod, work)
    works.set(uid, { ...work, step: 'ending', cause, killAtMs: nowMs + graceMs })
    events.record(pod, {
      type: cause.why === 'Deleted' ? 'Normal' : 'Warning',
      reason: cause.why === 'Deleted' ? 'Killing' : cause.why,
      note: noteOf(cause),
      action: 'Kill',
    })
    if (graceMs > 0) await env.host.signal(uid, 'SIGTERM')
    return again(graceMs)
  }
  if (work.step === 'ending') {
    const killAtMs = Math.min(work.killAtMs, nowMs + graceOf(pod, work))
    works.set(uid, { ...work, killAtMs }) // a later delete may ask for less grace
    if (killAtMs > nowMs) return again(killAtMs - nowMs)
    await env.host.signal(uid, 'SIGKILL')
    return DONE // its exit wakes us
  }
  await writeStatus(pod, tools)
  return work.deadlineMs === undefined ? DONE : again(Math.max(0, work.deadlineMs - nowMs))
}

function causeOf(pod: Pod, work: Running | Ending, { env, works }: KubeletTools): EndCause | undefined {
  const violation = works.violations.get(work.plan.uid)
  if (violation) return work.step === 'ending' && work.cause.why === 'ListensOffLoopback' ? undefined : offLoopback(violation)
  if (pod.metadata.deletionTimestamp) return { why: 'Deleted' }
  if (work.deadlineMs !== undefined && env.clock.monotonic() >= work.deadlineMs) {
    return { why: 'DeadlineExceeded', message: 'the pod ran longer than its activeDeadlineSeconds' }
  }
  return undefined
}

function offLoopback({ protocol, address, port }: Violation): EndCause {
  const where = address.includes(':') ? `[${address}]:${port}` : `${address}:${port}`
  return {
    why: 'ListensOffLoopback',
    message: `the agent listened on ${where} (${protocol}), which is not its session's own address; it was ended. Listen on 0.0.0.0 or 127.0.0.1, and start Python and Node without options that switch PYTHONPATH or NODE_OPTIONS off`,
  }
}

function noteOf(cause: EndCause): string {
  return cause.why === 'Deleted' ? 'stopping the agent' : cause.message
}

/** What the delete asked for, else what the pod's spec says. */
function graceOf(pod: Pod, work: Running | Ending): number {
  const asked = pod.metadata.deletionTimestamp ? pod.metadata.deletionGracePeriodSeconds : undefined
  return asked === undefined ? work.plan.gracePeriodMs : asked * 1000
}

/** Nothing may run, and no file may stay, of a pod that its status calls over. */
async function finish(pod: Pod, end: End, tools: KubeletTools): Promise<Outcome> {
  const uid = pod.metadata.uid!
  await tools.env.host.signal(uid, 'SIGKILL')
  await tools.env.host.cleanup(uid)
  tools.works.set(uid, { step: 'ended', end })
  const why = end.message ?? end.container?.message
  if (end.phase === 'Failed' && why) tools.events.record(pod, { type: 'Warning', reason: 'Failed', note: why, action: 'Start' })
  return settle(pod, tools)
}

async function settle(pod: Pod, tools: KubeletTools): Promise<Outcome> {
  await writeStatus(pod, tools)
  return pod.metadata.deletionTimestamp ? release(pod, tools) : DONE
}

/** Graceful deletion's last step: the object goes when nothing of the pod is left. */
async function release(pod: Pod, { client, env, works }: KubeletTools): Promise<Outcome> {
  const { namespace, name, uid } = pod.metadata
  await env.host.signal(uid!, 'SIGKILL')
  await env.host.cleanup(uid!)
  await client.delete(PODS, namespace, name, { uid: uid!, gracePeriodSeconds: 0 })
  await env.host.forget(uid!)
  works.set(uid!, { step: 'released' })
  return DONE
}

/** The object is gone, by force or because its owner went: so does all that was of it. */
async function abandon(uid: string, work: Work, { env, works }: KubeletTools): Promise<Outcome> {
  if (work.step !== 'released') {
    await env.host.signal(uid, 'SIGKILL')
    await env.host.cleanup(uid)
  }
  await env.host.forget(uid)
  works.drop(uid)
  return DONE
}

/** One write, only when something changed, and only on this very pod. */
export async function writeStatus(pod: Pod, { client, env, works }: KubeletTools): Promise<void> {
  const { namespace, name, uid } = pod.metadata
  const work = works.get(uid!)
  const status = work && statusOf(pod, work, env.clock.now())
  if (status === undefined) return
  const fingerprint = JSON.stringify({
    ...status,
    conditions: status.conditions?.map(({ type, status: value, reason }) => [type, value, reason]),
  })
  if (works.isWritten(uid!, fingerprint)) return
  try {
    await client.mergePatch(PODS, namespace, name, { status }, { subresource: 'status', uid: uid! })
    works.wrote(uid!, fingerprint)
  } catch (error) {
    const isAnother = error instanceof ApiError && error.status === 409 && (await client.find(PODS, namespace, name))?.metadata.uid !== uid
    if (!isNotFound(error) && !isAnother) throw error
  }
}
