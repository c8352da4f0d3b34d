/** Runs the rounds of a bench: each round measures every case once, every second one backwards, so that no case is always first. */
import type { BenchSettings, Bench, Case, Measured } from './bench.ts'

export interface CaseRun {
  name: string
  api: string
  role: Case['role']
  /** One a round, in order. */
  rounds: Measured[]
}

/** `broken`: what ended the rounds before their time; the samples until then are good. */
export async function runRounds(bench: Bench, settings: BenchSettings): Promise<{ runs: CaseRun[]; notes: string[]; broken?: Error }> {
  settings.say(`${bench.name}: preparing`)
  const prepared = await bench.prepare(settings)
  const runs = prepared.cases.map(({ name, api, role }): CaseRun => ({ name, api, role, rounds: [] }))
  try {
    for (let round = 0; round < settings.rounds; round += 1) {
      const order = prepared.cases.map((_, index) => index)
      for (const index of round % 2 === 0 ? order : order.toReversed()) {
        const { name, api } = prepared.cases[index]!
        settings.say(`${bench.name}: round ${round + 1} of ${settings.rounds}, ${name} on ${api}`)
        runs[index]!.rounds.push(await prepared.cases[index]!.measure())
      }
    }
    return { runs, notes: prepared.notes }
  } catch (error) {
    return { runs, notes: [...prepared.notes, 'The rounds ended before their time.'], broken: error as Error }
  } finally {
    await prepared.stop()
  }
}
