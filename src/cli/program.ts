/** Adapter: the commands and their flags, by commander. */
import { Command, CommanderError, InvalidArgumentError, Option } from 'commander'
import { describe, type DescribeOptions } from './describe/show.ts'
import type { CliEnv } from './env.ts'
import { EXAMPLES } from './examples.ts'
import { CommandFailure } from './failure.ts'
import { invoke, type InvokeOptions } from './invoke/invoke.ts'
import { createKey, type KeyOutput } from './keys/create.ts'
import { listKeys } from './keys/list.ts'
import { revokeKey } from './keys/revoke.ts'
import { rotateKey } from './keys/rotate.ts'
import { showLogs, type LogsOptions } from './logs/show.ts'
import { showSessions, type SessionsOptions } from './sessions/show.ts'
import { harmless } from './text.ts'
import { showUsage, type UsageOptions } from './usage/show.ts'
import { GROUPINGS } from './usage/sums.ts'

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
    .description('Carrel: who may call agents, which sessions there are, why they ended, and what they used.')
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
  addDescribe(program, env)
  addLogs(program, env)
  addInvoke(program, env)
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

function addDescribe(program: Command, env: CliEnv): void {
  onCluster(inNamespace(program.command('describe')))
    .description('Tell the story of a session or a runtime: state, pod, times, events, why it ended, what to do.')
    .argument('<what>', 'a session (its name, its id, or the id as `carrel sessions` shows it) or an AgentRuntime')
    .option('--runtime <name>', 'only sessions of this AgentRuntime')
    .option('--gateway <url>', 'gateway that is asked who is in use (AWS_ENDPOINT_URL_BEDROCK_AGENTCORE)')
    .addOption(choice('-o, --output <form>', 'text or json', ['text', 'json'], 'text'))
    .addHelpText('after', EXAMPLES.describe)
    .action((what: string, options: DescribeOptions) => describe(env, what, options))
}

function addLogs(program: Command, env: CliEnv): void {
  onCluster(inNamespace(program.command('logs')))
    .description("Show what a session's agent wrote; when its pod is gone, the last lines that were kept.")
    .argument('<session>', 'its name, its id, or the id as `carrel sessions` shows it')
    .option('--runtime <name>', 'only sessions of this AgentRuntime')
    .option('-f, --follow', 'go on until the pod ends; Ctrl-C ends')
    .option('--tail <lines>', 'only the last lines')
    .addOption(choice('-c, --container <name>', 'agent or meter', ['agent', 'meter'], 'agent'))
    .addHelpText('after', EXAMPLES.logs)
    .action((session: string, options: LogsOptions) => showLogs(env, session, options))
}

function addInvoke(program: Command, env: CliEnv): void {
  onCluster(inNamespace(program.command('invoke')))
    .description('Call an agent as an AWS SDK does, with the key of the shell. Its answer streams to standard output.')
    .argument('<runtime>', 'AgentRuntime, or its ARN (then no cluster is asked)')
    .option('--url <url>', 'gateway (AWS_ENDPOINT_URL_BEDROCK_AGENTCORE, else http://127.0.0.1:8700)')
    .option('--session <id>', 'session id, 33 to 256 characters; default a new one')
    .option('--payload <json>', 'what the agent gets; - reads standard input', '{}')
    .option('--qualifier <endpoint>', 'endpoint of the runtime; default DEFAULT')
    .addHelpText('after', EXAMPLES.invoke)
    .action((runtime: string, options: InvokeOptions) => invoke(env, runtime, options))
}

function onCluster(command: Command): Command {
  return command.option('--kubeconfig <file>', 'cluster and user (KUBECONFIG)').allowExcessArguments(false)
}

function inNamespace(command: Command): Command {
  return command.option('-n, --namespace <name>', "namespace; default that of the kubeconfig's context")
}

function scoped(command: Command): Command {
  return inNamespace(command).option('-A, --all-namespaces', 'in every namespace').option('--runtime <name>', 'only of this AgentRuntime')
}

/** One of a few, the rest refused before anything is asked. */
function choice(flags: string, description: string, choices: readonly string[], fallback: string): Option {
  return new Option(flags, description).choices([...choices]).default(fallback)
}

function collected(value: string, before: string[]): string[] {
  if (value === '') throw new InvalidArgumentError('a group has a name')
  return [...before, value]
}
