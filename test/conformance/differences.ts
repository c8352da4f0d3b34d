/** How the embedded API differs from a real kube-apiserver on purpose; docs/reference has it as a page. */
export interface Difference {
  what: string
  why: string
}

/** Each is met by the conformance suite, which fails when one is no longer true. */
export const DIFFERENCES = {
  'no-server-side-apply': {
    what: 'A server-side apply is refused with 415, as is every patch type that is not served.',
    why: 'Nothing of Carrel applies on the server, and kubectl apply does it on the client.',
  },
  'words-of-readers': {
    what: 'A refusal of what cannot be read or applied has the same status and reason, but its message and details are in words of its own: of JSON and YAML, of patches, media types and options that are none, of tokens, and of uids and pods that may not change.',
    why: "Those words are of Go's libraries and types, with the whole object in them. Programs look at status and reason; people are told more here.",
  },
  'status-for-every-path': {
    what: 'A path where nothing is gets a 404 Status in JSON, and one whose method does not fit a 405; a real server answers some with the text "404 page not found".',
    why: 'The text comes from the parts of which that server is made. Clients look at the status code.',
  },
  'causes-once': {
    what: 'What is wrong with the metadata of an updated custom resource is named once among the causes, not twice.',
    why: 'The repetition is an accident of two validations in a row.',
  },
  'foreground-is-background': {
    what: 'A foreground deletion is done in the background: the owner goes first, not last.',
    why: 'Nothing of Carrel waits for dependents by the owner; in the end the same objects are gone.',
  },
  'absent-owners-stay': {
    what: 'Of several owners one that is not there stays named as long as another one lives.',
    why: 'It holds nothing and keeps nothing; objects of Carrel have one owner.',
  },
  'future-watch': {
    what: 'A watch from a resourceVersion that is not there yet fails at once with 410 (Expired), where a real server lets it wait.',
    why: 'On a laptop it means that the folder of the state was emptied; a client that lists again is well, one that waits is not.',
  },
  'pages-by-key': {
    what: 'The second page of a list shows what is there now, not what was there when the first was read.',
    why: 'Old states are not kept. No object comes twice, and none that was there all the time is missed.',
  },
  'a-field-twice': {
    what: 'Of a field that a body has twice the last one counts, without a word; a real server refuses or warns.',
    why: "JavaScript's JSON reader does not tell. kubectl refuses such a manifest before it sends it.",
  },
  'namespace-finalizers': {
    what: "Finalizers in a namespace's spec are the server's own only.",
    why: 'Nobody could ever take others away: there is no finalize subresource.',
  },
  'nodes-are-plain': {
    what: 'A new node has no taints, and its status only what was written there.',
    why: 'There is no scheduler that would heed a taint, and no controller that would take it away.',
  },
  'checked-less': {
    what: 'Some flaws of pods and events that Carrel never writes are let in, a pod gets no warnings, and events are not selected by source.',
    why: 'A whole validation of pods is thousands of lines, and kubelet here is a few processes.',
  },
  'metadata-of-a-list': {
    what: 'A list is also answered as PartialObjectMetadata, not only as PartialObjectMetadataList.',
    why: 'It is clear what is meant.',
  },
  'kinds-served': {
    what: 'Only the kinds that Carrel uses are served: `kubectl get all` finds pods alone.',
    why: 'It is no cluster.',
  },
  'roles-of-carrel': {
    what: 'Of the ClusterRoles that a real server begins with there are those that everybody has, cluster-admin, and view, edit and admin, with rules for the kinds that are served; no role is made of others by labels. What the four parts of an installation may do is fixed, and no role takes it away.',
    why: 'The rest is for the parts of a cluster that are not here.',
  },
  'tokens-are-es256': {
    what: "Tokens of service accounts are signed with ES256, which OpenID discovery says; a real server's key is most often one for RS256.",
    why: 'Such a key is drawn in no time at the first request for a token.',
  },
  'impersonation-is-plain': {
    what: 'To act as another takes the right `impersonate` on users, serviceaccounts, groups or uids; the narrower rights `impersonate:…` and `impersonate-on:…` give nothing, and Impersonate-Extra headers are refused.',
    why: 'It is there for `kubectl auth can-i --as`, which the administrator asks.',
  },
  'definitions-are-fixed': {
    what: 'CustomResourceDefinitions can be read only.',
    why: "The kinds are compiled in: what they are is the installation's matter.",
  },
} satisfies Record<string, Difference>

export type DifferenceId = keyof typeof DIFFERENCES

/** How an answer differs: which of DIFFERENCES, and below which paths of what was recorded; default: anywhere. */
export interface Differs {
  differs?: DifferenceId
  differsAt?: readonly string[]
}

export const WORDS = { differs: 'words-of-readers', differsAt: ['body.message', 'body.details'] } as const
export const PATHS = { differs: 'status-for-every-path', differsAt: ['status', 'contentType', 'body'] } as const
export const CAUSES = { differs: 'causes-once', differsAt: ['body.details.causes'] } as const
