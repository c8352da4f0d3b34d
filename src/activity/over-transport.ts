import { z } from 'zod'
import { ApiError } from '../kube/errors.ts'
import type { ApiResponse, Transport } from '../kube/transport.ts'
import type { Activity, CloseAnswer, Look, Stamp, StampAnswer } from './activity.ts'

/**
 * One activity store shared by several processes of a laptop: served beside the embedded API, with its identities, and
 * reached through the same transport. In a cluster Redis takes its place.
 */
export const ACTIVITY_PATH = '/carrel.dev/activity'

const stamp = z.object({ podUID: z.string(), idleMs: z.number(), open: z.boolean(), agoMs: z.number().min(0).optional() })
const stampBody = z.object({ holder: z.string(), stamps: z.array(stamp) })
const touchBody = z.object({ holder: z.string(), stamp })
const closeBody = z.object({ podUID: z.string(), idleMs: z.number(), mustHaveBeenHeard: z.array(z.string()) })
const podBody = z.object({ podUID: z.string(), idleMs: z.number() })
const heldBody = z.object({ podUID: z.string(), otherThan: z.string() })
const podsBody = z.object({ podUIDs: z.array(z.string()) })

/** Carries out one call of the port for the serving side. `verb` is the path's last segment. */
export async function serveActivity(activity: Activity, verb: string, body: unknown): Promise<{ status: number; body: unknown }> {
  try {
    return { status: 200, body: await dispatch(activity, verb, body) }
  } catch (error) {
    if (error instanceof z.ZodError) return { status: 400, body: { message: z.prettifyError(error) } }
    throw error
  }
}

async function dispatch(activity: Activity, verb: string, body: unknown): Promise<unknown> {
  switch (verb) {
    case 'stamp': {
      const { holder, stamps } = stampBody.parse(body)
      return { answers: await activity.stamp(holder, stamps) }
    }
    case 'touch': {
      const touched = touchBody.parse(body)
      return activity.touch(touched.holder, touched.stamp)
    }
    case 'close': {
      const { podUID, idleMs, mustHaveBeenHeard } = closeBody.parse(body)
      return activity.close(podUID, idleMs, mustHaveBeenHeard)
    }
    case 'isheld': {
      const { podUID, otherThan } = heldBody.parse(body)
      return { held: await activity.isHeld(podUID, otherThan) }
    }
    case 'register': {
      const { podUID, idleMs } = podBody.parse(body)
      await activity.register(podUID, idleMs)
      return {}
    }
    case 'look':
      return { looks: await activity.look(podsBody.parse(body).podUIDs) }
    case 'forget':
      await activity.forget(podsBody.parse(body).podUIDs)
      return {}
    default:
      throw new ApiError(404, 'NotFound', `the activity store has no verb ${verb}`)
  }
}

/** The using side. Rejects (TransportError, ApiError) when the store is out of reach. */
export function activityOverTransport(transport: Transport): Activity {
  async function call<Answer>(verb: string, body: object): Promise<Answer> {
    const response: ApiResponse = await transport.request({ method: 'POST', path: `${ACTIVITY_PATH}/${verb}`, body, timeoutMs: 5_000 })
    if (response.status !== 200) throw ApiError.from(response, `activity ${verb}`)
    return response.body as Answer
  }
  return {
    stamp: async (holder, stamps: readonly Stamp[]) => (await call<{ answers: StampAnswer[] }>('stamp', { holder, stamps })).answers,
    touch: (holder, touched) => call<StampAnswer>('touch', { holder, stamp: touched }),
    close: (podUID, idleMs, mustHaveBeenHeard) => call<CloseAnswer>('close', { podUID, idleMs, mustHaveBeenHeard }),
    isHeld: async (podUID, otherThan) => (await call<{ held: boolean }>('isheld', { podUID, otherThan })).held,
    register: async (podUID, idleMs) => void (await call('register', { podUID, idleMs })),
    look: async (podUIDs) => (await call<{ looks: Look[] }>('look', { podUIDs })).looks,
    forget: async (podUIDs) => void (await call('forget', { podUIDs })),
  }
}
