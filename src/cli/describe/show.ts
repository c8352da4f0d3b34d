import { AGENT_RUNTIMES, RUNTIME_NAME, type AgentRuntime } from '../../crds/agent-runtime.ts'
import { KubeClient } from '../../kube/client.ts'
import { isNotFound } from '../../kube/errors.ts'
import type { CliEnv, Cluster } from '../env.ts'
import { CommandFailure, explained } from '../failure.ts'
import { fetchSessions, scopeOf, type Scope } from '../sessions/fetch.ts'
import { nobodyCalled, onlyOne, sessionsCalled } from '../sessions/find.ts'
import { page, type Section } from './page.ts'
import { runtimeSections } from './runtime-page.ts'
import { runtimeInJson, runtimeStory } from './runtime.ts'
import { sessionSections } from './session-page.ts'
import { sessionInJson, sessionStory } from './session.ts'

export interface DescribeOptions {
  kubeconfig?: string
  namespace?: string
  runtime?: string
  gateway?: string
  output: 'text' | 'json'
}

/** The story of a session, or of a runtime, on one screen: what it is, what happened, why, and what to do. */
export async function describe(env: CliEnv, wanted: string, options: DescribeOptions): Promise<void> {
  const cluster = env.cluster(options)
  const scope = scopeOf(options, cluster)
  const { kind, name } = parsed(wanted)
  const found = kind === 'runtime' ? [] : sessionsCalled(name, await fetchSessions(cluster.kubernetes, scope))
  if (found.length > 0 || kind === 'session') {
    const story = await sessionStory(env, cluster, onlyOne(name, found, scope), options.gateway)
    return show(env, options, sessionInJson(story), (nowMs, style) => sessionSections(story, nowMs, style))
  }
  const runtime = await runtimeCalled(cluster, scope, name)
  if (runtime === undefined) throw new CommandFailure(noneCalled(name, kind, scope))
  const story = await runtimeStory(env, cluster, runtime, options.gateway)
  show(env, options, runtimeInJson(story), (nowMs, style) => runtimeSections(story, nowMs, style))
}

/** `session/NAME` and `runtime/NAME` say which, should one name be both. */
function parsed(wanted: string): { kind: 'session' | 'runtime' | undefined; name: string } {
  const [, kind, name] = /^(session|ags|agentsession|runtime|art|agentruntime)\/(.+)$/s.exec(wanted) ?? []
  if (kind === undefined || name === undefined) return { kind: undefined, name: wanted }
  return { kind: /^(session|ags|agentsession)$/.test(kind) ? 'session' : 'runtime', name }
}

async function runtimeCalled({ kubernetes }: Cluster, { namespace }: Scope, name: string): Promise<AgentRuntime | undefined> {
  if (name.length > RUNTIME_NAME.maxLength || !new RegExp(RUNTIME_NAME.pattern).test(name)) return undefined
  try {
    return await new KubeClient(kubernetes).get(AGENT_RUNTIMES, namespace, name)
  } catch (error) {
    if (isNotFound(error)) return undefined
    throw explained(error, { verbs: 'get', resource: 'agentruntimes.carrel.dev', namespace })
  }
}

function noneCalled(name: string, kind: 'runtime' | undefined, scope: Scope): string {
  if (kind === 'runtime') return `there is no AgentRuntime ${name} in namespace ${scope.namespace}: kubectl get agentruntimes -A lists them`
  return `there is no AgentRuntime of that name, and ${nobodyCalled(name, scope)}`
}

function show(
  { screen, clock }: CliEnv,
  { output }: DescribeOptions,
  json: object,
  sections: (nowMs: number, style: { colour: boolean; columns: number | undefined }) => Section[],
): void {
  if (output === 'json') return screen.out(JSON.stringify(json, undefined, 2))
  const columns = screen.terminal?.columns
  // Tables stand two cells in.
  const inner = columns === undefined ? undefined : columns - 2
  screen.out(page(sections(clock.now(), { colour: screen.colour, columns: inner }), { colour: screen.colour, columns }))
}
