/** What `--help` shows after the flags. */
export const EXAMPLES = {
  carrel: `
Examples:
  carrel keys create --user ann           a key for the Kubernetes user ann, and how to let her call agents
  carrel sessions -A --watch              every session, live
  carrel describe SESSION                 its story: why it ended, and what to do
  carrel logs SESSION -f                  what its agent writes
  carrel usage --by owner                 CPU-seconds and GB-seconds of each owner
  carrel invoke hello --payload '{"prompt": "Hi"}'

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
  describe: `
Examples:
  carrel describe hello                                 an AgentRuntime: conditions, versions, sessions, how to call it
  carrel describe hello-2q7x4m5nbcdfghjklmnp            a session by its name (kubectl get ags)
  carrel describe my-session-0000000000000000000000001  by the id that its caller chose
  carrel describe session/hello -o json                 where a runtime has the same name

Log lines are shown to those who may get pods/log.`,
  logs: `
Examples:
  carrel logs SESSION
  carrel logs SESSION --follow --tail 20
  carrel logs SESSION --container meter

A session that failed keeps its agent's last lines for as long as it is listed. Pods of sessions never restart, so that there
is no log of a container before.`,
  invoke: `
Examples:
  eval "$(carrel keys create --user ann -o env)"
  carrel invoke hello --payload '{"prompt": "Hello"}'
  echo '{"prompt": "Hello"}' | carrel invoke hello --payload - --session "$(uuidgen)"
  carrel invoke arn:aws:bedrock-agentcore:us-east-1:000000000000:runtime/hello-abcdefghij --url https://carrel.example.com

The key is that of AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY. In a cluster without an outward URL:
  kubectl port-forward -n carrel-system service/carrel-gateway 8700
Exit codes: 0 answered, 1 refused or failed, 2 wrong usage. The session id is written to standard error.`,
}
