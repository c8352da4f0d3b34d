import { test, type TestContext } from 'node:test'
import type { Place } from '../../scripts/places.ts'

/** Set by the runner, which runs the same files once for each place. */
export const PLACE = (process.env['CARREL_TEST_PLACE'] ?? 'embedded') as Place

type Body = (t: TestContext) => void | Promise<void>

/** A test of Carrel, whatever it runs on. */
export function everywhere(title: string, body: Body): void {
  void test(PLACE === 'embedded' ? title : `${title} (on ${PLACE})`, body)
}

/** A test about `npm start` itself, the embedded API or its files: there is nothing of it elsewhere. */
export function onLaptop(title: string, body: Body): void {
  if (PLACE === 'embedded') void test(title, body)
}
