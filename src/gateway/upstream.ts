/** Which pod a call goes to, and what may come of a connection to it (design rule 1). */
export interface UpstreamPod {
  uid: string
  /** Of the AgentSession: its meters' key is made from it. */
  sessionUID: string
  address: string
  port: number
}

/**
 * `otherPod`: whoever answers sits in another pod, or holds another key. `noMeter`: nobody answers in time. `unreadable`: what
 * answers is no meter.
 */
export const UNPROVEN = ['otherPod', 'noMeter', 'unreadable'] as const
export type Unproven = (typeof UNPROVEN)[number]

/** `refused`: nothing listens, the host is away, or it took too long. */
export type Reach = 'connected' | 'refused' | Unproven

/** No connection, so no byte of the call has reached any agent: it may be sent again. */
export class Refused extends Error {}

/** There is a connection, and it was ended before its first byte: what is at that address did not prove to be the pod. */
export class NotProven extends Refused {
  readonly why: Unproven

  constructor(why: Unproven) {
    super(`the pod did not prove itself: ${why}`)
    this.why = why
  }
}
