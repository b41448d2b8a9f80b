/**
 * Timing work that is repeated.
 *
 * @module
 */

/** What is timed. */
export interface Timed {
  /** Does the work once, or enqueues it. */
  run(): void | Promise<unknown>;
  /** Waits for all that was enqueued. */
  finish(): Promise<unknown>;
}

/** How long is measured. */
export interface TimingOptions {
  /** About how long, warm-up aside. Default 1. */
  readonly seconds?: number;
  /** How many samples to take, if the time suffices; at least one is taken. Default 5. */
  readonly samples?: number;
  /** Milliseconds from any start. Default `performance.now`. */
  readonly clock?: () => number;
  /** Whether to run once before; not needed for what has run before. Default true. */
  readonly warmUp?: boolean;
}

/**
 * Seconds per run, as several samples of at least a tenth of a second where that is possible: one
 * wait for a GPU takes longer than many a kernel. The run before is not counted; it compiles shaders
 * and touches memory for the first time.
 */
export async function timeRuns(
  { run, finish }: Timed,
  {
    seconds = 1,
    samples = 5,
    clock = () => performance.now(),
    warmUp = true,
  }: TimingOptions = {},
): Promise<number[]> {
  const time = async (runs: number) => {
    const started = clock();
    for (let i = 0; i < runs; i++) await run();
    await finish();
    return (clock() - started) / 1000;
  };
  if (warmUp) await time(1);
  // Doubled until a sample is long enough: the time of one run is mostly that of the wait.
  const share = seconds / samples;
  let runs = 1;
  let elapsed = await time(runs);
  while (elapsed < share / 2) {
    runs *= Math.max(2, Math.min(16, Math.floor(share / Math.max(elapsed, 1e-6) / 2)));
    elapsed = await time(runs);
  }
  const taken = [elapsed / runs];
  let spent = elapsed;
  while (taken.length < samples && spent + elapsed <= seconds) {
    elapsed = await time(runs);
    taken.push(elapsed / runs);
    spent += elapsed;
  }
  return taken;
}

/** The middle value; of an even number of values the mean of the two in the middle. */
export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
}
