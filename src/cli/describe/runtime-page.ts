import type { AgentRuntime } from '../../crds/agent-runtime.ts'
import type { ControllerRevision } from '../../kube/objects.ts'
import { shownDuration } from '../duration.ts'
import { sessionColumns } from '../sessions/columns.ts'
import { isLive } from '../sessions/fetch.ts'
import { rowsOf } from '../sessions/row.ts'
import { table, type Column } from '../table.ts'
import { conditionLines } from './conditions.ts'
import { eventLines } from './events.ts'
import { moment } from './moment.ts'
import type { Field, Section } from './page.ts'
import type { RuntimeStory } from './runtime.ts'

const MOST_SESSIONS = 5
const MOST_VERSIONS = 10

export function runtimeSections(story: RuntimeStory, nowMs: number, style: { colour: boolean; columns: number | undefined }): Section[] {
  const { runtime, sessions, uses, events } = story
  const { metadata, status } = runtime
  const rows = rowsOf(sessions, uses)
  const live = sessions.filter(isLive).length
  const view = { allNamespaces: false, wide: false, nowMs }
  const some = rows.length === 0 ? [] : table(sessionColumns(view), rows.slice(0, MOST_SESSIONS), style)
  const more = rows.length > MOST_SESSIONS ? [`… and ${rows.length - MOST_SESSIONS} more: carrel sessions --runtime ${metadata.name}`] : []
  return [
    { title: `AgentRuntime ${metadata.name}`, content: identity(runtime, nowMs) },
    { title: 'Conditions', content: conditionLines(status?.conditions, nowMs, style) },
    { title: 'What to do', content: adviceLines(runtime) },
    { title: 'Versions', content: versionLines(story, nowMs, style) },
    { title: `Sessions: ${live} live, ${rows.length - live} ended`, content: [...some, ...more] },
    { title: 'Events', content: eventLines(events, nowMs, style) },
    { title: 'How to call it', content: callLines(runtime) },
  ]
}

function identity({ metadata, spec, status }: AgentRuntime, nowMs: number): Field[] {
  const { container, code } = spec.artifact
  const jwt = spec.authorizer?.customJWT
  return [
    { label: 'Namespace', value: metadata.namespace },
    { label: 'Made', value: moment(metadata.creationTimestamp, nowMs) },
    { label: 'ARN', value: status?.agentRuntimeArn },
    { label: 'Image', value: container?.image },
    { label: 'Code', value: code && `${code.directory} (${code.command.join(' ')})` },
    { label: 'Protocol', value: spec.protocol },
    { label: 'Callers', value: jwt ? `bearer tokens of ${jwt.discoveryUrl}` : 'identities of the cluster, by RBAC' },
    { label: 'Sessions', value: spec.sessionOwnership === 'Caller' ? "each is its caller's own" : 'shared by all who may call' },
    {
      label: 'Session ends',
      value: `idle for ${seconds(spec.lifecycle.idleTimeoutSeconds)}, at the latest after ${seconds(spec.lifecycle.maxLifetimeSeconds)}`,
    },
  ]
}

const seconds = (count: number): string => shownDuration(count * 1_000)

/** What stands in the way, most telling first: each condition that is not True says how to mend it. */
function adviceLines({ metadata, status }: AgentRuntime): Field[] {
  if (!status?.conditions?.length) {
    return [{ label: '', value: 'No operator has looked at it yet. Is one running? kubectl get pods -n carrel-system' }]
  }
  const isBehind = status.observedGeneration !== metadata.generation
  const bad = status.conditions.filter((condition) => condition.status === 'False')
  return [
    ...bad.map(({ type, message }): Field => ({ label: type, value: message, tone: 'bad' })),
    { label: 'Behind', value: isBehind ? 'the last change was not looked at yet' : undefined },
  ]
}

function versionLines(
  { runtime, versions, sessions }: RuntimeStory,
  nowMs: number,
  style: { colour: boolean; columns: number | undefined },
): string[] {
  if (versions === undefined) return ['not shown: you have no right to list controllerrevisions here']
  const endpoints = runtime.status?.endpoints ?? []
  const columns: Column<ControllerRevision>[] = [
    { title: 'VERSION', align: 'right', cell: ({ revision }) => String(revision) },
    { title: 'MADE', cell: ({ metadata }) => `${shownDuration(nowMs - (Date.parse(metadata.creationTimestamp ?? '') || nowMs))} ago` },
    {
      title: 'ENDPOINTS',
      cell: ({ revision }) =>
        endpoints
          .filter(({ version }) => version === revision)
          .map(({ name }) => name)
          .join(', '),
    },
    {
      title: 'LIVE',
      align: 'right',
      cell: ({ revision }) => String(sessions.filter((one) => isLive(one) && one.status?.version === revision).length),
    },
  ]
  return versions.length === 0 ? [] : table(columns, versions.slice(0, MOST_VERSIONS), style)
}

function callLines({ metadata, spec, status }: AgentRuntime): string[] {
  if (status?.agentRuntimeArn === undefined) return []
  if (spec.authorizer?.customJWT) {
    const path = `/runtimes/${encodeURIComponent(status.agentRuntimeArn)}/invocations`
    return [
      'curl -N "$AWS_ENDPOINT_URL_BEDROCK_AGENTCORE' + path + '" -H "Authorization: Bearer $TOKEN" \\',
      `  -H "X-Amzn-Bedrock-AgentCore-Runtime-Session-Id: $(uuidgen)" -H "Content-Type: application/json" -d '{"prompt": "Hello"}'`,
    ]
  }
  return [
    'eval "$(carrel keys create --user NAME -o env)"     # and the Role that `carrel keys create --help` shows',
    `carrel invoke ${metadata.name} -n ${metadata.namespace} --payload '{"prompt": "Hello"}'`,
    'boto3: client("bedrock-agentcore").invoke_agent_runtime(agentRuntimeArn=ARN, payload=...), AWS_ENDPOINT_URL_BEDROCK_AGENTCORE set',
  ]
}
