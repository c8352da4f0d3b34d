import type { FirstCall } from './hello.ts'

/** What `npm start` says of itself, for people. */
export interface Welcome {
  gatewayUrl: string
  apiUrl: string
  /** As the user would type it. */
  home: string
  arn: string | undefined
}

export function started({ gatewayUrl, apiUrl, home }: Welcome): string {
  return [
    '',
    '  Carrel runs on this machine. Sessions are processes here, not isolated from each other; a cluster gives each a microVM.',
    '',
    `  ready  gateway         ${gatewayUrl}`,
    `  ready  Kubernetes API  ${apiUrl}`,
    `         state and logs  ${home}/`,
    '',
  ].join('\n')
}

export function firstCall({ question, status, answer, ms, sessionId }: FirstCall): string {
  const shown = answer.length > 600 ? `${answer.slice(0, 600)}…` : answer
  return [`  first call   session ${sessionId}`, `     asked     ${question}`, `  answered     ${status} in ${ms} ms: ${shown}`, ''].join(
    '\n',
  )
}

export function nextSteps({ home, arn }: Welcome): string {
  const lines = ['  Try next, in another shell:', '', `    source ${home}/env`, '    kubectl get art,ags,pods', '    npx carrel sessions']
  if (arn) {
    lines.push(
      '',
      '    python3 - <<EOF                                    # pip install boto3',
      '    import boto3, os',
      '    call = boto3.client("bedrock-agentcore").invoke_agent_runtime(',
      '        agentRuntimeArn=os.environ["CARREL_RUNTIME_ARN"], runtimeSessionId="my-first-session-" + "0" * 20, payload=b\'{"prompt": "Hello"}\')',
      '    print(call["response"].read().decode())',
      '    EOF',
    )
  }
  return [
    ...lines,
    '',
    `    logs:  kubectl logs -l carrel.dev/runtime=hello   (agents; files in ${home}/logs/pods)`,
    `           ${home}/logs/carrel.log, ${home}/audit.log`,
    '',
    '  Ctrl-C stops everything.',
    '',
  ].join('\n')
}
