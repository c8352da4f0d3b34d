import type { Ending } from './step.ts'

/**
 * What a container runtime says of an image that it cannot get, read from its words: there are no codes. `wait`: the next try
 * of kubelet may succeed, because a network or a registry was away.
 */
export function pullFailure(image: string, said: string): Ending | 'wait' {
  const words = said.replaceAll(image, 'IMAGE') // its name may be made of any of them
  for (const { pattern, ending } of SAYINGS) {
    if (pattern.test(words)) return ending(image, withoutQueries(said))
  }
  return 'wait'
}

/** In this order: "no match for platform" ends in "not found", too, and Docker Hub says "denied" of what it does not know. */
const SAYINGS: { pattern: RegExp; ending: (image: string, said: string) => Ending | 'wait' }[] = [
  {
    pattern:
      /no match for platform|no matching manifest|no image found in (manifest list|image index) for architecture|choosing an image from manifest list/i,
    ending: (image, said) => ({
      reason: 'WrongArchitecture',
      message: `image ${image} is not made for this node's processor: build it for that too (docker buildx build --platform linux/amd64,linux/arm64), or place the agent on nodes that fit by spec.placement.nodeSelector["kubernetes.io/arch"] (${said})`,
    }),
  },
  { pattern: /toomanyrequests|429 Too Many Requests|i\/o timeout|connection (refused|reset)|\b50[0234] [A-Z]/i, ending: () => 'wait' },
  {
    pattern: /denied|unauthori[sz]ed|forbidden|authorization failed|authentication required|no basic auth credentials|\b40[13] [A-Z]/i,
    ending: (image, said) => ({
      reason: 'ImagePullDenied',
      message: `the registry does not give image ${image} to this cluster: name a Secret of type kubernetes.io/dockerconfigjson in spec.artifact.container.imagePullSecrets, or correct the name: many registries say the same of what they do not have (${said})`,
    }),
  },
  {
    pattern: /not ?found|manifest unknown|name unknown|does not exist|\b404 /i,
    ending: (image, said) => ({
      reason: 'ImageNotFound',
      message: `there is no image ${image}: correct spec.artifact.container.image, or push it (${said})`,
    }),
  },
  {
    pattern: /x509: |server gave HTTP response to HTTPS client|tls: /i,
    ending: (image, said) => ({
      reason: 'StartFailed',
      message: `the node does not trust the registry of image ${image}: a matter of the node's container runtime (${said})`,
    }),
  },
]

/** Registries hand out presigned addresses, and what is told reaches callers. */
export function withoutQueries(said: string): string {
  return said.replaceAll(/(\bhttps?:\/\/[^\s"'?]+)\?[^\s"']*/g, '$1?...')
}
