/** The selectors of traces, each with an object that it selects: the last one of a watch, by which its end is known. */
export interface ChosenSelector {
  query: Record<string, string>
  /** Undefined: the server refuses the selector. */
  selects: { name?: string; labels?: Record<string, string> } | undefined
}

export const SELECTORS: readonly ChosenSelector[] = [
  { query: {}, selects: {} },
  { query: { labelSelector: 'app=x' }, selects: { labels: { app: 'x' } } },
  { query: { labelSelector: 'app!=x' }, selects: {} },
  { query: { labelSelector: 'app in (x,y),tier' }, selects: { labels: { app: 'y', tier: '1' } } },
  { query: { labelSelector: 'app notin (x)' }, selects: {} },
  { query: { labelSelector: '!app' }, selects: {} },
  { query: { labelSelector: 'tier' }, selects: { labels: { tier: '1' } } },
  { query: { fieldSelector: 'metadata.name=a' }, selects: { name: 'a' } },
  { query: { fieldSelector: 'metadata.name!=a', labelSelector: 'app' }, selects: { labels: { app: 'y' } } },
  { query: { labelSelector: 'app=!' }, selects: undefined },
  { query: { fieldSelector: 'spec.nothing=1' }, selects: undefined },
]
