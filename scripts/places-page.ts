/**
 * Which test of an installation ran on what, as a Markdown page (scripts/places.ts names the places), from the events of a run.
 */
import type { TestEvent } from 'node:test/reporters'
import { EACH_RUN, type Place } from './places.ts'

type Outcome = 'passed' | 'FAILED' | 'skipped'

export function placesPage(): { add(event: TestEvent): void; text(): string } {
  const rows = new Map<string, Partial<Record<Place, Outcome>>>()
  return {
    add({ type, data }) {
      if (type !== 'test:pass' && type !== 'test:fail') return
      if (data.nesting !== 0 || !data.file?.endsWith('test/kit/place.ts')) return
      const [, title = data.name, place = 'embedded'] = /^(.*) \(on (\w+)\)$/.exec(data.name) ?? []
      const outcome = type === 'test:fail' ? 'FAILED' : data.skip === undefined ? 'passed' : 'skipped'
      rows.set(title, { ...rows.get(title), [place]: outcome })
    },
    text: () => pageOf(rows),
  }
}

function absenceOf(outcomes: Partial<Record<Place, Outcome>>): string {
  if (outcomes.embedded === undefined) return 'cluster only'
  return outcomes.replicas === undefined ? 'laptop only' : 'processes only'
}

function pageOf(rows: Map<string, Partial<Record<Place, Outcome>>>): string {
  const lines = [...rows]
    .toSorted(([a], [b]) => (a < b ? -1 : 1))
    .map(
      ([title, outcomes]) =>
        `| ${title.replaceAll('|', '\\|')} | ${EACH_RUN.map((place) => outcomes[place] ?? absenceOf(outcomes)).join(' | ')} |`,
    )
  return [
    '# What ran where',
    '',
    'Written by `npm test`: each test of a whole installation, and what it ran on. `embedded`: the embedded API, all in one process,',
    'as `npm start` gives it. `replicas`: a real kube-apiserver, two operators and two gateways as',
    'processes of their own, and Redis. `cluster`: a whole Kubernetes with a node, Carrel installed by its Helm chart (two operators, two',
    'gateways, Redis), and sessions as pods under runc. `laptop only`: the test is about `npm start`, the embedded API or its files.',
    '`processes only`: it is about agents as processes of this machine. `cluster only`: it is about pods, nodes or the chart.',
    '',
    `| test | ${EACH_RUN.join(' | ')} |`,
    `|---|${EACH_RUN.map(() => '---|').join('')}`,
    ...lines,
    '',
  ].join('\n')
}
