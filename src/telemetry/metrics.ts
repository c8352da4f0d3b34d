/**
 * Adapter: metrics by prom-client. There is no global registry: a process makes one `Metrics` and hands it to its parts.
 *
 * Promised: the number of series is bounded by the definitions. Every label has a closed set of values; anything else is
 * counted as `other`, so that nothing that a caller sends becomes a series.
 */
import { Counter, Gauge, Histogram, Registry, collectDefaultMetrics } from 'prom-client'

/** What a label value becomes that is none of the definition's. */
export const OTHER = 'other'

export interface MetricDefinition {
  kind: 'counter' | 'gauge' | 'histogram'
  /** `carrel_<part>_<what>_<unit>`; counters end in `_total`. */
  name: string
  help: string
  /** Label → its values. */
  labels?: Readonly<Record<string, readonly string[]>>
  /** Upper bounds of a histogram, in the unit of its name. */
  buckets?: readonly number[]
}

/** The labels of a definition; a value that is not in it counts as `other`. */
export type LabelsOf<Definition extends MetricDefinition> = Definition extends { labels: infer Labels }
  ? { [Label in keyof Labels]: string }
  : Record<never, string>

type Add<Definition extends MetricDefinition> = (labels: LabelsOf<Definition>, by?: number) => void
type Observe<Definition extends MetricDefinition> = (labels: LabelsOf<Definition>, value: number) => void
export type Reading<Definition extends MetricDefinition> = readonly { labels: LabelsOf<Definition>; value: number }[]

export class Metrics {
  readonly #registry = new Registry()

  /** Throws when the name is taken already. */
  counter<Definition extends MetricDefinition & { kind: 'counter' }>(definition: Definition): Add<Definition> {
    const counter = new Counter(this.#shape(definition))
    // A series that is there from the start makes its first event an increase; two labels would make too many.
    for (const labels of aloneIn(definition)) counter.inc(labels, 0)
    const closed = closing(definition)
    return (labels, by = 1) => counter.inc(closed(labels), by)
  }

  /** Raised and lowered as things happen. */
  level<Definition extends MetricDefinition & { kind: 'gauge' }>(definition: Definition): Add<Definition> {
    const gauge = new Gauge(this.#shape(definition))
    const closed = closing(definition)
    return (labels, by = 1) => gauge.inc(closed(labels), by)
  }

  /** Read when somebody asks; readings of the same labels are added up. */
  gauge<Definition extends MetricDefinition & { kind: 'gauge' }>(definition: Definition, read: () => Reading<Definition>): void {
    const closed = closing(definition)
    const gauge: Gauge = new Gauge({
      ...this.#shape(definition),
      collect: () => {
        gauge.reset()
        for (const labels of aloneIn(definition)) gauge.set(labels, 0)
        for (const { labels, value } of read()) gauge.inc(closed(labels), value)
      },
    })
  }

  histogram<Definition extends MetricDefinition & { kind: 'histogram' }>(definition: Definition): Observe<Definition> {
    const histogram = new Histogram({ ...this.#shape(definition), ...(definition.buckets ? { buckets: [...definition.buckets] } : {}) })
    const closed = closing(definition)
    return (labels, value) => histogram.observe(closed(labels), value)
  }

  /** CPU, memory, event loop and garbage collection of this process, under the field's own names (`process_…`, `nodejs_…`). Once. */
  ofThisProcess(): void {
    collectDefaultMetrics({ register: this.#registry })
  }

  /** In Prometheus' text format. */
  async exposition(): Promise<{ contentType: string; text: string }> {
    return { contentType: this.#registry.contentType, text: await this.#registry.metrics() }
  }

  #shape({ name, help, labels = {} }: MetricDefinition): { name: string; help: string; labelNames: string[]; registers: Registry[] } {
    return { name, help, labelNames: Object.keys(labels), registers: [this.#registry] }
  }
}

/** Makes labels that the definition knows of any that are given; on the way of every call, so it is prepared once. */
function closing({ labels = {} }: MetricDefinition): (given: Record<string, string>) => Record<string, string> {
  const known = Object.entries(labels).map(([label, values]) => ({ label, values: new Set(values) }))
  return (given) => {
    const kept: Record<string, string> = {}
    for (const { label, values } of known) kept[label] = values.has(given[label]!) ? given[label]! : OTHER
    return kept
  }
}

/** Every value of the one label; nothing for none (prom-client begins at 0 itself), or for several. */
function aloneIn({ labels = {} }: MetricDefinition): Record<string, string>[] {
  const [[label, values] = ['', []], ...more] = Object.entries(labels)
  return more.length > 0 ? [] : values.map((value) => ({ [label]: value }))
}
