import type { Clock } from '../../env/clock.ts'
import { reviewAccess, type AskedAccess, type ClusterUser } from '../../kube/reviews.ts'
import type { Transport } from '../../kube/transport.ts'
import { AnswerCache, type Answered } from './answer-cache.ts'

/** What a user of the cluster may do, by its authorizers. */
export interface Rights {
  /** Throws ReviewUnavailable when nobody can be asked. */
  may(user: ClusterUser, asked: AskedAccess): Promise<Answered<boolean>>
}

/** SubjectAccessReview, its verdicts kept for seconds. */
export class AccessReviews implements Rights {
  readonly #transport: Transport
  readonly #verdicts: AnswerCache<boolean>

  constructor(clock: Clock, transport: Transport) {
    this.#transport = transport
    this.#verdicts = new AnswerCache(clock)
  }

  may(user: ClusterUser, asked: AskedAccess): Promise<Answered<boolean>> {
    const key = JSON.stringify([user.name, user.uid, user.groups, Object.entries(asked)])
    return this.#verdicts.get(key, () => reviewAccess(this.#transport, user, asked))
  }
}
