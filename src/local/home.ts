/** Adapter: the folder that holds all state of a local installation. */
import { chmodSync, existsSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'

/** Where things are below `--home`. Everything in it is private to its user. */
export interface Home {
  root: string
  env: string
  kubeconfig: string
  audit: string
  log: string
  state: string
  spool: string
}

export function openHome(path: string): Home {
  const root = resolve(path)
  mkdirSync(join(root, 'logs'), { recursive: true })
  mkdirSync(join(root, 'spool'), { recursive: true })
  chmodSync(root, 0o700)
  return {
    root,
    env: join(root, 'env'),
    kubeconfig: join(root, 'kubeconfig'),
    audit: join(root, 'audit.log'),
    log: join(root, 'logs', 'carrel.log'),
    state: join(root, 'state'),
    spool: join(root, 'spool'),
  }
}

/** Where the kubeconfig of one of the installation's identities is. */
export function kubeconfigIn(home: Home, identity: string): string {
  return identity === 'admin' ? home.kubeconfig : join(home.root, `${identity}.kubeconfig`)
}

/** Written whole or not at all, readable by its user only. */
export function writePrivate(path: string, text: string): void {
  writeFileSync(`${path}.new`, text, { mode: 0o600 })
  renameSync(`${path}.new`, path)
}

/**
 * Takes the folder for this process. Answers the pid of the process that has it, when one is alive; a lock left behind by
 * a killed one is taken over. A recycled pid is told from the old holder by its start time.
 */
export function lockHome(home: Home): { release(): void } | { heldBy: number } {
  const path = join(home.root, 'lock')
  const holder = existsSync(path) ? readFileSync(path, 'utf8').trim() : ''
  const [pid, startedAt] = holder.split(' ')
  if (pid && Number(pid) !== process.pid && isAlive(Number(pid)) && startOf(Number(pid)) === startedAt) return { heldBy: Number(pid) }
  writePrivate(path, `${process.pid} ${startOf(process.pid)}\n`)
  return { release: () => rmSync(path, { force: true }) }
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM'
  }
}

/** Start time in clock ticks since boot (proc(5), field 22); 'unknown' where there is no /proc. */
function startOf(pid: number): string {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
    return stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19] ?? 'unknown'
  } catch {
    return 'unknown'
  }
}

export interface EnvFile {
  gatewayUrl: string
  kubeconfig: string
  region: string
  accessKeyId: string
  secretAccessKey: string
  runtimeArn: string | undefined
}

/** Left-overs of another AWS set-up that would win over what this file exports (design 6). */
const UNSET = [
  'AWS_SESSION_TOKEN',
  'AWS_SECURITY_TOKEN',
  'AWS_PROFILE',
  'AWS_DEFAULT_PROFILE',
  'AWS_CREDENTIAL_EXPIRATION',
  'AWS_IGNORE_CONFIGURED_ENDPOINT_URLS',
  'AWS_USE_FIPS_ENDPOINT',
  'AWS_USE_DUALSTACK_ENDPOINT',
]

/** `source` it in any POSIX shell: then AWS SDKs and kubectl talk to this installation. */
export function envFile(values: EnvFile): string {
  const exports: [string, string][] = [
    ['AWS_ACCESS_KEY_ID', values.accessKeyId],
    ['AWS_SECRET_ACCESS_KEY', values.secretAccessKey],
    ['AWS_REGION', values.region],
    ['AWS_DEFAULT_REGION', values.region],
    ['AWS_ENDPOINT_URL_BEDROCK_AGENTCORE', values.gatewayUrl],
    ['CARREL_GATEWAY_URL', values.gatewayUrl],
    ['KUBECONFIG', values.kubeconfig],
  ]
  if (values.runtimeArn) exports.push(['CARREL_RUNTIME_ARN', values.runtimeArn])
  return [
    '# Written by carrel at each start. AWS SDKs and kubectl of this shell talk to the local installation.',
    `unset ${UNSET.join(' ')}`,
    ...exports.map(([name, value]) => `export ${name}=${quoted(value)}`),
    'export NO_PROXY="${NO_PROXY:+$NO_PROXY,}127.0.0.1,localhost"',
    'export no_proxy="${no_proxy:+$no_proxy,}127.0.0.1,localhost"',
    '',
  ].join('\n')
}

/** A path may hold spaces and quotes. */
function quoted(value: string): string {
  return `'${value.replaceAll("'", `'\\''`)}'`
}
