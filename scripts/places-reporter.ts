/**
 * A reporter of Node's test runner: which test of the installation ran on what, as a Markdown page (scripts/places.ts names the
 * places). It gets every event of the run and yields the page at its end.
 */
import type { TestEvent } from 'node:test/reporters'
import { PLACES, type Place } from './places.ts'

type Outcome = 'passed' | 'FAILED' | 'skipped'

// oxlint-disable-next-line import/no-default-export -- the runner takes a reporter by its default export
export default async function* placesReporter(events: AsyncIterable<TestEvent>): AsyncGenerator<string> {
  const rows = new Map<string, Partial<Record<Place, Outcome>>>()
  for await (const { type, data } of events) {
    if (type !== 'test:pass' && type !== 'test:fail') continue
    if (data.nesting !== 0 || !data.file?.endsWith('test/kit/place.ts')) continue
    const [, title = data.name, place = 'embedded'] = /^(.*) \(on (\w+)\)$/.exec(data.name) ?? []
    const outcome = type === 'test:fail' ? 'FAILED' : data.skip === undefined ? 'passed' : 'skipped'
    rows.set(title, { ...rows.get(title), [place]: outcome })
  }
  yield pageOf(rows)
}

function pageOf(rows: Map<string, Partial<Record<Place, Outcome>>>): string {
  const lines = [...rows]
    .toSorted(([a], [b]) => (a < b ? -1 : 1))
    .map(
      ([title, outcomes]) => `| ${title.replaceAll('|', '\\|')} | ${PLACES.map((place) => outcomes[place] ?? 'laptop only').join(' | ')} |`,
    )
  return [
    '# What ran where',
    '',
    'Written by `npm test`: each test of a whole installation, and what it ran on. `embedded`: the embedded API, all in one process,',
    'as `npm start` gives it. `kubernetes`: a real kube-apiserver. `replicas`: a real kube-apiserver, two operators and two gateways as',
    'processes of their own, and Redis. `laptop only`: the test is about `npm start`, the embedded API or its files.',
    '',
    `| test | ${PLACES.join(' | ')} |`,
    `|---|${PLACES.map(() => '---|').join('')}`,
    ...lines,
    '',
  ].join('\n')
}
