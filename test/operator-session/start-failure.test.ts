/** Words as kubelet 1.37, containerd 2 and runc, cri-o and registries say them. */
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import type { Pod } from '../../src/kube/objects.ts'
import { judgedPart } from '../../src/operator/cluster.ts'
import { failureInEvents, startFailureOf, waitsFor } from '../../src/operator/session/start-failure.ts'
import { containerStatus, podOf } from './pods.ts'

const IMAGE = 'docker.io/acme/agent:1'
const PULL = `failed to pull and unpack image "${IMAGE}": failed to resolve reference "${IMAGE}": `
const HUB =
  'pull access denied, repository does not exist or may require authorization: server message: insufficient_scope: authorization failed'

function waiting(reason: string, message?: string, name = 'agent'): Pod {
  return podOf({ containerStatuses: [containerStatus(name, { waiting: { reason, ...(message ? { message } : {}) } })] })
}

/** What kubelet says of a waiting container, the reason that the session ends with, and what its message tells to do. */
const FINAL: [reason: string, message: string, endReason: string, tells: RegExp][] = [
  [
    'ErrImagePull',
    `rpc error: code = NotFound desc = failed to pull and unpack image "${IMAGE}": failed to resolve image: ${IMAGE}: not found`,
    'ImageNotFound',
    /push it/,
  ],
  [
    'ErrImagePull',
    `failed to pull and unpack image "${IMAGE}": failed to resolve image: unexpected status from HEAD request to http://127.0.0.1:5000/v2/acme/manifests/1: 403 Forbidden\ndenied`,
    'ImagePullDenied',
    /imagePullSecrets/,
  ],
  [
    'ErrImagePull',
    `failed to pull and unpack image "${IMAGE}": failed to resolve image: pull access denied, repository does not exist or may require authorization: authorization failed: no basic auth credentials`,
    'ImagePullDenied',
    /imagePullSecrets/,
  ],
  [
    'ErrImagePull',
    'rpc error: code = NotFound desc = get image config descriptor: no match for platform in manifest sha256:d5bd: not found',
    'WrongArchitecture',
    /--platform/,
  ],
  ['ErrImagePull', `rpc error: code = NotFound desc = ${PULL}${IMAGE}: not found`, 'ImageNotFound', /spec\.artifact\.container\.image/],
  [
    'ImagePullBackOff',
    `Back-off pulling image "${IMAGE}": ErrImagePull: rpc error: code = NotFound desc = ${PULL}${IMAGE}: not found`,
    'ImageNotFound',
    /push it/,
  ],
  ['ErrImagePull', `reading manifest 1 in docker.io/acme/agent: manifest unknown`, 'ImageNotFound', /correct/],
  [
    'ErrImagePull',
    `${PULL}unexpected status from HEAD request to https://r.io/v2/a/manifests/1: 404 Not Found`,
    'ImageNotFound',
    /push it/,
  ],
  ['ErrImagePull', `${PULL}${HUB}`, 'ImagePullDenied', /imagePullSecrets/],
  [
    'ErrImagePull',
    `${PULL}unexpected status from HEAD request to https://r.io/v2/a/manifests/1: 403 Forbidden`,
    'ImagePullDenied',
    /kubernetes\.io\/dockerconfigjson/,
  ],
  [
    'ErrImagePull',
    `${PULL}failed to authorize: failed to fetch anonymous token: unexpected status from GET request to https://r.io/token: 401 Unauthorized`,
    'ImagePullDenied',
    /imagePullSecrets/,
  ],
  [
    'ErrImagePull',
    `${PULL}pulling from host 1.dkr.ecr.eu-west-1.amazonaws.com failed with status code [manifests 1]: no basic auth credentials`,
    'ImagePullDenied',
    /imagePullSecrets/,
  ],
  [
    'ErrImagePull',
    `rpc error: code = NotFound desc = failed to pull and unpack image "${IMAGE}": no match for platform in manifest sha256:1f: not found`,
    'WrongArchitecture',
    /--platform linux\/amd64,linux\/arm64/,
  ],
  [
    'ErrImagePull',
    `choosing image instance: no image found in image index for architecture "amd64", variant "", OS "linux"`,
    'WrongArchitecture',
    /nodeSelector/,
  ],
  [
    'ErrImagePull',
    `${PULL}failed to do request: Head "https://r.io/v2/a/manifests/1": tls: failed to verify certificate: x509: certificate signed by unknown authority`,
    'StartFailed',
    /trust/,
  ],
  ['ErrImageNeverPull', `Container image "${IMAGE}" is not present with pull policy of Never`, 'ImageNotFound', /imagePullPolicy/],
  [
    'InvalidImageName',
    `Failed to apply default image tag "Acme/agent": couldn't parse image name "Acme/agent": invalid reference format: repository name must be lowercase`,
    'ImageNotFound',
    /no name of an image/,
  ],
  ['CreateContainerConfigError', 'secret "keys" not found', 'StartFailed', /spec\.environment.*secret "keys" not found/],
  ['CreateContainerConfigError', "couldn't find key token in Secret default/keys", 'StartFailed', /spec\.environment.*token/],
  [
    'CreateContainerConfigError',
    `container has runAsNonRoot and image has non-numeric user (bedrock_agentcore), cannot verify user is non-root (pod: "a", container: agent)`,
    'StartFailed',
    /spec\.securityContext\.runAsUser/,
  ],
  [
    'CreateContainerConfigError',
    `container has runAsNonRoot and image will run as root (pod: "a", container: agent)`,
    'StartFailed',
    /spec\.securityContext\.runAsUser/,
  ],
  [
    'CreateContainerError',
    'failed to generate container "1f" spec: failed to generate spec: no command specified',
    'StartFailed',
    /no command specified/,
  ],
]

/** Kubelet tries again, and may succeed. */
const PASSING: [reason: string, message?: string][] = [
  ['ContainerCreating'],
  ['PodInitializing'],
  ['ErrImagePull', `${PULL}failed to do request: Head "https://r.io/v2/a/manifests/1": dial tcp 10.0.0.1:443: i/o timeout`],
  ['ErrImagePull', `${PULL}failed to do request: Head "https://r.io/v2/a/manifests/1": dial tcp: lookup r.io: no such host`],
  ['ErrImagePull', `${PULL}unexpected status from HEAD request to https://r.io/v2/a/manifests/1: 429 Too Many Requests`],
  ['ErrImagePull', `${PULL}unexpected status from HEAD request to https://r.io/v2/a/manifests/1: 503 Service Unavailable`],
  ['ErrImagePull', `${PULL}failed to do request: Head "https://r.io/v2/a/manifests/1": read: connection reset by peer`],
  ['ImagePullBackOff', `Back-off pulling image "${IMAGE}"`],
  ['RegistryUnavailable', 'image pull failed for r.io/a because the registry is unavailable'],
  ['CreateContainerConfigError', 'failed to sync secret cache: timed out waiting for the condition'],
  ['CreateContainerError', 'context deadline exceeded'],
]

describe('a container that waits', () => {
  for (const [reason, message, endReason, tells] of FINAL)
    test(`${reason} (${message.slice(0, 200)}): ${endReason}, at once`, () => {
      const ending = startFailureOf(judgedPart(waiting(reason, message)))
      assert.equal(ending?.reason, endReason)
      assert.match(ending.message, tells)
    })

  for (const [reason, message] of PASSING)
    test(`${reason} (${message?.slice(-60) ?? ''}): patience, and at the deadline a failed start that says so`, () => {
      const pod = judgedPart(waiting(reason, message))
      assert.equal(startFailureOf(pod), undefined)
      const late = waitsFor(pod, [])
      assert.equal(late?.reason, message ? 'StartFailed' : undefined)
      if (message) assert.ok(late!.message.includes(message))
    })

  test("the sidecar's image that is not there is a matter of the installation", () => {
    const ending = startFailureOf(judgedPart(waiting('ErrImagePull', `${PULL}${IMAGE}: not found`, 'meter')))
    assert.equal(ending?.reason, 'StartFailed')
    assert.match(ending.message, /container meter of Carrel's own .*installation/)
  })

  test('a sidecar that ends while the agent starts: no call could be proven', () => {
    const agent = containerStatus('agent', { running: {} })
    const meter = containerStatus('meter', { terminated: { exitCode: 137, reason: 'OOMKilled' } })
    const ending = startFailureOf(judgedPart(podOf({ containerStatuses: [agent, meter] })))
    assert.match(`${ending?.reason} ${ending?.message}`, /StartFailed .*meter.*installation: it has ended with code 137 \(OOMKilled\)/)
  })

  test("an image's own name says nothing", () => {
    const denied = { ...containerStatus('agent', {}), image: 'docker.io/acme/denied:404 ' }
    const message =
      'failed to do request: Head "https://docker.io/acme": dial tcp: lookup docker.io: server misbehaving (docker.io/acme/denied:404 )'
    const pod = podOf({ containerStatuses: [{ ...denied, state: { waiting: { reason: 'ErrImagePull', message } } }] })
    assert.equal(startFailureOf(judgedPart(pod)), undefined)
  })

  test('what ails the agent is told first', () => {
    const meter = containerStatus('meter', { waiting: { reason: 'ErrImagePull', message: `${PULL}x: not found` } })
    const agent = containerStatus('agent', { waiting: { reason: 'ErrImageNeverPull' } })
    assert.equal(startFailureOf(judgedPart(podOf({ containerStatuses: [meter, agent] })))?.reason, 'ImageNotFound')
  })

  test('presigned addresses of a registry are told to nobody', () => {
    const said = `${PULL}failed to copy: httpReadSeeker: failed open: unexpected status from GET request to https://s3.example/layer?X-Amz-Signature=secret: 404 Not Found`
    const ending = startFailureOf(judgedPart(waiting('ErrImagePull', said)))
    assert.equal(ending?.reason, 'ImageNotFound')
    assert.match(ending.message, /https:\/\/s3\.example\/layer\?\.\.\./)
    assert.doesNotMatch(ending.message, /secret/)
  })
})

describe('a pod without an address, by its events', () => {
  const cases: [reason: string, note: string, endReason: string | undefined][] = [
    [
      'FailedCreatePodSandBox',
      'Failed to create pod sandbox: rpc error: code = Unknown desc = failed to get sandbox runtime: no runtime for "kata-qemu-runtime-rs" is configured',
      'RuntimeClassMissing',
    ],
    [
      'FailedCreatePodSandBox',
      'Failed to create pod sandbox: rpc error: code = Unknown desc = unable to get OCI runtime for sandbox "50e0": no runtime for "kata-nowhere" is configured',
      'RuntimeClassMissing',
    ],
    [
      'FailedCreatePodSandBox',
      'Failed to create pod sandbox: rpc error: code = Unknown desc = failed to find runtime handler kata from runtime list map[runc:0xc0]',
      'RuntimeClassMissing',
    ],
    [
      'FailedCreatePodSandBox',
      'Failed to create pod sandbox: rpc error: code = Unknown desc = failed to setup network for sandbox "1f": plugin type="bridge" failed (add)',
      undefined,
    ],
    ['FailedMount', 'MountVolume.SetUp failed for volume "v" : secret "keys" not found', 'StartFailed'],
    ['FailedMount', 'MountVolume.SetUp failed for volume "v" : configmap "texts" not found', 'StartFailed'],
    [
      'FailedMount',
      'MountVolume.SetUp failed for volume "v" : failed to sync configmap cache: timed out waiting for the condition',
      undefined,
    ],
    ['Failed', `Failed to pull image "${IMAGE}": rpc error: code = NotFound desc = ${PULL}${IMAGE}: not found`, 'ImageNotFound'],
    ['Failed', 'Error: ErrImagePull', undefined],
    ['Failed', 'Error: secret "keys" not found', 'StartFailed'],
    ['Pulling', `Pulling image "${IMAGE}"`, undefined],
    ['Scheduled', 'Successfully assigned default/a to node', undefined],
  ]
  for (const [reason, note, endReason] of cases)
    test(`${reason} (${note.slice(0, 160)}): ${endReason ?? 'patience'}`, () => {
      assert.equal(
        failureInEvents([
          { reason: 'Scheduled', note: '' },
          { reason, note },
        ])?.reason,
        endReason,
      )
    })

  test('names the handler and what to do', () => {
    const note =
      'Failed to create pod sandbox: rpc error: code = Unknown desc = failed to get sandbox runtime: no runtime for "kata" is configured'
    assert.match(
      failureInEvents([{ reason: 'FailedCreatePodSandBox', note }])!.message,
      /no runtime handler kata: .*spec\.runtimeClassName/,
    )
  })
})

describe('when the time to start is over', () => {
  test("a pod that no node takes is Unschedulable, in the scheduler's words", () => {
    const message = '0/3 nodes are available: 3 Insufficient memory. preemption: 0/3 nodes are available: 3 No preemption victims found.'
    const pod = judgedPart(podOf({ conditions: [{ type: 'PodScheduled', status: 'False', reason: 'Unschedulable', message }] }))
    assert.equal(startFailureOf(pod), undefined, 'an autoscaler may cure it')
    const ending = waitsFor(pod, [])
    assert.equal(ending?.reason, 'Unschedulable')
    assert.match(ending.message, /spec\.resources.*3 Insufficient memory/)
  })

  test('an image that is still being pulled', () => {
    const events = [
      { reason: 'Scheduled', note: 'assigned' },
      { reason: 'Pulling', note: `Pulling image "${IMAGE}"` },
    ]
    assert.match(waitsFor(podOf({}), events)!.message, /still being pulled: raise spec\.startTimeoutSeconds/)
  })

  test('whatever happened last', () => {
    const events = [{ reason: 'FailedCreatePodSandBox', note: 'plugin type="bridge" failed' }]
    assert.deepEqual(waitsFor(podOf({}), events), { reason: 'StartFailed', message: 'FailedCreatePodSandBox: plugin type="bridge" failed' })
    assert.equal(waitsFor(podOf({ podIP: '10.0.0.9' }), []), undefined, 'it waits for its agent')
  })
})
