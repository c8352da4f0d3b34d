import { test, type TestContext } from 'node:test'
import type { Place } from '../../scripts/places.ts'

/** Set by the runner, which runs the same files once for each place. */
export const PLACE = (process.env['CARREL_TEST_PLACE'] ?? 'embedded') as Place

type Body = (t: TestContext) => void | Promise<void>

/** A test of Carrel, whatever it runs on. */
export function everywhere(title: string, body: Body): void {
  void test(PLACE === 'embedded' ? title : `${title} (on ${PLACE})`, body)
}

/** A test about agents as processes of this machine: on a cluster they are pods. */
export function onProcesses(title: string, body: Body): void {
  if (PLACE !== 'cluster') everywhere(title, body)
}

/** A test about pods, nodes or the chart. */
export function onCluster(title: string, body: Body): void {
  if (PLACE === 'cluster') everywhere(title, body)
}

/** A test about `npm start` itself, the embedded API or its files: there is nothing of it elsewhere. */
export function onLaptop(title: string, body: Body): void {
  if (PLACE === 'embedded') void test(title, body)
}
