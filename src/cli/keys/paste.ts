import type { NewKey } from './key-secret.ts'

/** What else would win over the key in an SDK. */
const UNSET = 'AWS_SESSION_TOKEN AWS_PROFILE AWS_DEFAULT_PROFILE'

/** For any POSIX shell. */
export function exportLines({ accessKeyId, secretAccessKey }: NewKey, endpoint: string | undefined): string[] {
  return [
    `export AWS_ACCESS_KEY_ID=${quoted(accessKeyId)}`,
    `export AWS_SECRET_ACCESS_KEY=${quoted(secretAccessKey)}`,
    ...(endpoint === undefined ? [] : [`export AWS_ENDPOINT_URL_BEDROCK_AGENTCORE=${quoted(endpoint)}`]),
    `unset ${UNSET}`,
  ]
}

/** What lets a user, or its first group, invoke and stop every runtime of a namespace: "who may invoke" is a Role (design 4). */
export function bindingLines({ user, groups }: NewKey, namespace: string): string[] {
  const whom = groups[0] === undefined ? `--user=${quoted(user)}` : `--group=${quoted(groups[0])}`
  return [
    `kubectl create role agent-caller -n ${namespace} --verb=create --resource=agentruntimes.carrel.dev/invocations,agentruntimes.carrel.dev/stop`,
    `kubectl create rolebinding ${bindingName(groups[0] ?? user)} -n ${namespace} --role=agent-caller ${whom}`,
  ]
}

function bindingName(name: string): string {
  const plain = name
    .toLowerCase()
    .replaceAll(/[^a-z0-9]+/g, '-')
    .replaceAll(/^-+|-+$/g, '')
    .slice(0, 40)
  return `agent-caller-${plain || 'user'}`.replace(/-+$/, '')
}

function quoted(value: string): string {
  return /^[A-Za-z0-9_./:@-]+$/.test(value) ? value : `'${value.replaceAll("'", `'\\''`)}'`
}
