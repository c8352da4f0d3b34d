/** Adapter: the commands and their flags, by commander. */
import { Command, CommanderError, InvalidArgumentError, Option } from 'commander'
import type { CliEnv } from './env.ts'
import { CommandFailure } from './failure.ts'
import { createKey, type KeyOutput } from './keys/create.ts'
import { listKeys } from './keys/list.ts'
import { revokeKey } from './keys/revoke.ts'
import { rotateKey } from './keys/rotate.ts'
import { showSessions, type SessionsOptions } from './sessions/show.ts'
import { harmless } from './text.ts'
import { showUsage, type UsageOptions } from './usage/show.ts'
import { GROUPINGS } from './usage/sums.ts'

const EXAMPLES = {
  carrel: `
Examples:
  carrel keys create --user ann           a key for the Kubernetes user ann, and how to let her call agents
  carrel sessions -A --watch              every session, live
  carrel usage --by owner                 CPU-seconds and GB-seconds of each owner

The cluster is that of --kubeconfig, KUBECONFIG or ~/.kube/config. Exit codes: 0 done, 1 failed, 2 wrong usage.`,
  keys: `
An access key stands for a Kubernetes user and its groups; what it may do, Roles say. It signs as an AWS key does, so that
every AWS SDK can use it. It is a Secret of type carrel.dev/access-key in the namespace carrel-system.`,
  create: `
Examples:
  carrel keys create --user ann
  carrel keys create --user ci --group agent-callers --group builders
  eval "$(carrel keys create --user ann -o env)"      into this shell, without showing it`,
  rotate: `
Examples:
  carrel keys rotate CARRELABCDEFGHIJKLMN               the old one works for another hour
  carrel keys rotate CARRELABCDEFGHIJKLMN --grace 7d
  carrel keys rotate CARRELABCDEFGHIJKLMN --grace 0     it leaked: the old one stops within 5 s

Sessions stay with their owner: a new key of the same user opens the same ones.`,
  sessions: `
Examples:
  carrel sessions
  carrel sessions -A --runtime billing -o wide
  carrel sessions -o json | jq '.[] | select(.activity == "Idle") | .sessionId'
  carrel sessions --watch

ACTIVITY is Active while a call, a stream or a busy agent holds the session, otherwise Idle and since when. It is asked of the
gateway that --gateway or AWS_ENDPOINT_URL_BEDROCK_AGENTCORE names, with the kubeconfig's bearer token or CARREL_GATEWAY_TOKEN.
GB-S is by the peak rule (price book V1); -o wide shows both.`,
  usage: `
Examples:
  carrel usage                            of each runtime in the current namespace
  carrel usage -A --by owner
  carrel usage --by session -o json

GB-S PEAK counts each second at the peak so far (price book V1), GB-S IN USE at the most of the last 120 s (V2); both at least
128 MB. Usage is of the sessions that are still listed.`,
}

/** Runs one command; answers the exit code: 0 done, 1 failed, 2 wrong usage. */
export async function runCli(argv: readonly string[], version: string, env: CliEnv): Promise<0 | 1 | 2> {
  try {
    await programOf(version, env).parseAsync([...argv], { from: 'user' })
    return 0
  } catch (error) {
    if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : 2
    if (!(error instanceof CommandFailure)) throw error
    env.screen.note(`carrel: ${error.message.split('\n').map(harmless).join('\n')}`)
    return error.exitCode
  }
}

function programOf(version: string, env: CliEnv): Command {
  const program = new Command('carrel')
    .description('Carrel: who may call agents, which sessions there are, and what they used.')
    .version(version, '-V, --version', 'show the version')
    .helpOption('-h, --help', 'show this')
    .helpCommand(false)
    .exitOverride()
    .configureOutput({ writeOut: (text) => env.screen.out(text.trimEnd()), writeErr: (text) => env.screen.note(text.trimEnd()) })
    .showHelpAfterError('(carrel --help shows how)')
    .addHelpText('after', EXAMPLES.carrel)
  addKeys(program, env)
  addSessions(program, env)
  addUsage(program, env)
  return program
}

function addKeys(program: Command, env: CliEnv): void {
  const keys = program.command('keys').description('Access keys: make, list, rotate, revoke.').addHelpText('after', EXAMPLES.keys)
  const secretOutput = (): Option =>
    choice('-o, --output <form>', 'text, json, or env: only the lines for a shell', ['text', 'json', 'env'], 'text')
  onCluster(keys.command('create'))
    .description('Make a key for a Kubernetes user. It is shown once.')
    .requiredOption('--user <name>', 'Kubernetes user that the key acts as, for RBAC and as the owner of its sessions')
    .option('--group <name>', 'a Kubernetes group of the user; may be given again', collected, [] as string[])
    .option('-n, --namespace <name>', 'of the runtimes in the Role that is proposed')
    .addOption(secretOutput())
    .addHelpText('after', EXAMPLES.create)
    .action((options: KeyOutput & { user: string; group: string[]; namespace?: string }) => createKey(env, options))
  onCluster(keys.command('list'))
    .description('List the keys, their users and when they end. Never shows a secret.')
    .addOption(choice('-o, --output <form>', 'table or json', ['table', 'json'], 'table'))
    .action((options: { output: 'table' | 'json' }) => listKeys(env, options))
  onCluster(keys.command('rotate'))
    .description('Make a new key for the same user, shown once; the old one ends after a grace.')
    .argument('<key-id>', 'as `carrel keys list` shows it')
    .option('--grace <duration>', 'how long the old key still works: 0, 30s, 15m, 1h, 7d', '1h')
    .addOption(secretOutput())
    .addHelpText('after', EXAMPLES.rotate)
    .action((id: string, options: KeyOutput & { grace: string }) => rotateKey(env, id, options))
  onCluster(keys.command('revoke'))
    .description('Delete a key: calls with it stop within 5 s.')
    .argument('<key-id>', 'as `carrel keys list` shows it')
    .option('--ignore-not-found', 'a key that is not there is no failure', false)
    .action((id: string, options: { ignoreNotFound: boolean }) => revokeKey(env, id, options))
}

function addSessions(program: Command, env: CliEnv): void {
  onCluster(scoped(program.command('sessions')))
    .description('List sessions: whose, in use or idle, until when, what they used, why they ended.')
    .option('--gateway <url>', 'gateway that is asked who is in use (AWS_ENDPOINT_URL_BEDROCK_AGENTCORE)')
    .addOption(choice('-o, --output <form>', 'table, wide or json', ['table', 'wide', 'json'], 'table'))
    .option('-w, --watch', 'show it live; Ctrl-C ends')
    .addHelpText('after', EXAMPLES.sessions)
    .action((options: SessionsOptions) => showSessions(env, options))
}

function addUsage(program: Command, env: CliEnv): void {
  onCluster(scoped(program.command('usage')))
    .description('Sum up what sessions used: CPU-seconds and GB-seconds.')
    .addOption(choice('--by <what>', 'session, runtime or owner', GROUPINGS, 'runtime'))
    .addOption(choice('-o, --output <form>', 'table or json', ['table', 'json'], 'table'))
    .option('-w, --watch', 'show it live; Ctrl-C ends')
    .addHelpText('after', EXAMPLES.usage)
    .action((options: UsageOptions) => showUsage(env, options))
}

function onCluster(command: Command): Command {
  return command.option('--kubeconfig <file>', 'cluster and user (KUBECONFIG)').allowExcessArguments(false)
}

function scoped(command: Command): Command {
  return command
    .option('-n, --namespace <name>', "namespace; default that of the kubeconfig's context")
    .option('-A, --all-namespaces', 'in every namespace')
    .option('--runtime <name>', 'only of this AgentRuntime')
}

/** One of a few, the rest refused before anything is asked. */
function choice(flags: string, description: string, choices: readonly string[], fallback: string): Option {
  return new Option(flags, description).choices([...choices]).default(fallback)
}

function collected(value: string, before: string[]): string[] {
  if (value === '') throw new InvalidArgumentError('a group has a name')
  return [...before, value]
}
