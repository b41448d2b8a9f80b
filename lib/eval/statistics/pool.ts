/**
 * Threads for the statistics whose cost is quadratic in the images.
 *
 * The work is cut into pairs of panels of {@link PANEL} rows, whatever the number of threads is,
 * and what is added up is added in one order: the results are the same in every bit. A thread is
 * given the two panels that it works on, as copies where their memory cannot be shared, so that its own
 * memory does not grow with the images.
 *
 * @module
 */

import { inOrder, WorkerPool } from "../../base/workers.ts";
import type { Features } from "./statistics.ts";
import {
  answer,
  type AnswerOf,
  type Panel,
  type StatisticsAnswers,
  type StatisticsTask,
} from "./tasks.ts";

/** Rows of a panel: a pair takes about half a second at 2048 features. */
export const PANEL = 2048;

/** Multiplications below which Workers would take longer to start than to work. */
const SMALLEST_WORK = 2 ** 32;

/** How {@link StatisticsPool} works. */
export interface StatisticsPoolOptions {
  /** Number of threads; 1 is the calling thread. Default: the processors. */
  readonly threads?: number;
  /** Ends the work between two tasks. */
  readonly signal?: AbortSignal;
  /** Is told after each task of how many pairs of images it was. */
  readonly progress?: (pairs: number) => void;
  /** Multiplications up to which the calling thread works alone. Default 2^32. */
  readonly smallestWork?: number;
}

/**
 * Threads that compute statistics. Workers are started when there is enough to do for the first
 * time, and ended by closing the pool or leaving its `using` block.
 */
export class StatisticsPool implements Disposable {
  readonly #threads: number;
  readonly #signal?: AbortSignal;
  readonly #smallestWork: number;
  readonly #progress?: (pairs: number) => void;
  #workers: WorkerPool<StatisticsTask, StatisticsAnswers[StatisticsTask["kind"]]> | null = null;

  /** No Workers yet. */
  constructor({ threads, signal, smallestWork, progress }: StatisticsPoolOptions = {}) {
    this.#threads = threads ?? navigator.hardwareConcurrency;
    this.#signal = signal;
    this.#smallestWork = smallestWork ?? SMALLEST_WORK;
    this.#progress = progress;
  }

  /**
   * Does tasks, and gives their answers in their order.
   *
   * @param length number of tasks
   * @param make task `index`; called shortly before it is begun
   * @param take is given each answer with its index
   * @ignore
   */
  async run<Task extends StatisticsTask>(
    length: number,
    make: (index: number) => Task,
    take: (answer: AnswerOf<Task>, index: number) => void,
  ): Promise<void> {
    if (length === 0) return;
    const work = length * workOf(make(0));
    const parallel = this.#threads > 1 && length > 1 && work >= this.#smallestWork;
    const ask = parallel ? this.#asking() : answerSoon;
    const ahead = parallel ? this.#threads + 1 : 1;
    let index = 0;
    const pairs: number[] = [];
    const answers = inOrder(length, ahead, (index) => {
      this.#signal?.throwIfAborted();
      const task = make(index);
      pairs[index] = pairsOfTask(task);
      return ask(task);
    });
    for await (const found of answers) {
      take(found as AnswerOf<Task>, index);
      this.#progress?.(pairs[index]);
      index++;
    }
  }

  /** Ends the Workers. */
  close(): void {
    this.#workers?.close();
    this.#workers = null;
  }

  /** The same. */
  [Symbol.dispose](): void {
    this.close();
  }

  #asking(): (task: StatisticsTask) => Promise<unknown> {
    this.#workers ??= new WorkerPool(
      new URL("./worker.ts", import.meta.url),
      this.#threads,
    );
    const workers = this.#workers;
    return (task) => {
      const [a, b] = [owned(task.a), task.b && owned(task.b)];
      const buffers = [a, b].flatMap((panel) => {
        const buffer = panel?.data.buffer;
        return buffer instanceof ArrayBuffer ? [buffer] : [];
      });
      return workers.request({ ...task, a, b } as StatisticsTask, buffers);
    };
  }
}

/** Answers in this thread, after other events (an interruption among them) had their turn. */
async function answerSoon(task: StatisticsTask): Promise<unknown> {
  await new Promise((resolve) => setTimeout(resolve));
  return answer(task);
}

/** A panel that can be given away, or shared. */
function owned(panel: Panel): Panel {
  if (panel.data.buffer instanceof SharedArrayBuffer) return panel;
  return { ...panel, data: panel.data.slice() };
}

/** Pairs of images; products of features are none. */
function pairsOfTask({ kind, a, b }: StatisticsTask): number {
  if (kind === "products") return 0;
  return a.rows * (b?.rows ?? a.rows / 2);
}

/** Multiplications of a task. */
function workOf(task: StatisticsTask): number {
  const { kind, a, dimension } = task;
  return kind === "products"
    ? a.rows * dimension * (task.end - task.first) / 2
    : pairsOfTask(task) * dimension;
}

/** Calls `work` with the pool, or with one for this call. */
export async function withPool<Value>(
  pool: StatisticsPool | undefined,
  work: (pool: StatisticsPool) => Promise<Value>,
): Promise<Value> {
  if (pool) return await work(pool);
  using own = new StatisticsPool();
  return await work(own);
}

/** Number of panels of so many rows. */
export function panelCount(rows: number): number {
  return Math.ceil(rows / PANEL);
}

/** The panels of a set; views, not copies. */
export function panelsOf({ rows, dimension, data }: Features): Panel[] {
  return Array.from({ length: panelCount(rows) }, (_, i) => {
    const [start, end] = [i * PANEL, Math.min((i + 1) * PANEL, rows)];
    return { start, rows: end - start, data: data.subarray(start * dimension, end * dimension) };
  });
}

/** All pairs of an element of `a` and one of `b`; those of one row of `a` follow each other. */
export function pairsOf<A, B>(a: readonly A[], b: readonly B[]): [A, B][] {
  return a.flatMap((first) => b.map((second): [A, B] => [first, second]));
}

/** All pairs of an element and itself (null) or an earlier one. */
export function pairsWithin<A>(all: readonly A[]): [A, A | null][] {
  return all.flatMap((first, i) => [
    [first, null] as [A, null],
    ...all.slice(0, i).map((second): [A, A] => [first, second]),
  ]);
}

/** How many pairs two sets have, within each of them and between them, about. */
export function allPairs(m: number, n: number): number {
  return m * m / 2 + n * n / 2 + m * n;
}
