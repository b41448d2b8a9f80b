/**
 * Threads that make the items of a stream before they are needed, so that the device does not wait
 * for them. The batches are those of the stream itself, bit for bit: what was made beforehand is
 * handed to it, and what was not, it makes itself.
 *
 * @module
 */

import { FormatError } from "../../base/errors.ts";
import { WorkerPool } from "../../base/workers.ts";
import type { Batch } from "./loader.ts";
import type { ItemTask, MadeItems } from "./make_items.ts";

/** A task, and the items that it is for. */
export interface ItemWork {
  /** What a thread is sent. */
  readonly task: ItemTask;
  /** Places in the stream of what it makes. */
  readonly positions: readonly number[];
}

/** A stream whose items can be made in other threads. */
export interface ItemStream {
  /** Items `position` to `position + count - 1`; makes itself what it was not supplied with. */
  batch(position: number, count: number): Batch;
  /** Whether there is enough to be made that threads are worth their start. */
  readonly isSlow: boolean;
  /** Bytes of an item as threads make them; 0 where there is nothing to be made. */
  readonly itemBytes: number;
  /** Whether item `position` would have to be made now. */
  isMissing(position: number): boolean;
  /** What threads have to do for some items next; they take over the memory that is sent. */
  work(positions: readonly number[]): ItemWork[];
  /** Takes an item for the next batch that has it, or what it is made of. */
  supply(position: number, item: Uint8Array | Float32Array): void;
}

/** Threads when none are asked for, at most. */
const MOST_WORKERS = 8;
/** Batches that are made beforehand, where they fit in {@link AHEAD_BYTES}. */
const BATCHES_AHEAD = 2;
const AHEAD_BYTES = 2 ** 28;
/** Items that a thread is sent at once, at most. */
const MOST_ITEMS = 64;

/** Number of threads that a stream is given when none is asked for. */
export function defaultWorkers(
  stream: Pick<ItemStream, "isSlow">,
  processors: number = navigator.hardwareConcurrency,
): number {
  return stream.isSlow ? Math.max(1, Math.min(MOST_WORKERS, processors - 1)) : 0;
}

/** None where a file is damaged: who needs its item finds that out when its turn comes. */
function workOf(stream: ItemStream, positions: readonly number[]): ItemWork[] {
  try {
    return stream.work(positions);
  } catch (error) {
    if (error instanceof FormatError) return [];
    throw error;
  }
}

/** Memory that goes with a task. */
function memoryOf(task: ItemTask): ArrayBuffer[] {
  return task.kind === "latents"
    ? [task.stored.buffer]
    : task.kind === "augment"
    ? [task.images.buffer]
    : [];
}

/** Items that a thread was asked for. */
interface Asked {
  readonly first: number;
  readonly done: Promise<void>;
}

/** A stream whose next batches are being made. Closing it ends the threads. */
export class PrefetchingStream implements Disposable {
  readonly #pool: WorkerPool<ItemTask, MadeItems>;
  /** In the order of their items. */
  #asked: Asked[] = [];
  /** Where the last batch ended. */
  #end = -1;
  /** Items before this were asked for, or were there. */
  #next = -1;

  /** Starts `workers` threads, at least one. */
  constructor(private readonly stream: ItemStream, private readonly workers: number) {
    // All that is asked for is sent at once: this thread may be busy for the whole of a step.
    this.#pool = new WorkerPool(
      new URL("./items_worker.ts", import.meta.url),
      workers,
      Infinity,
    );
  }

  /** The batch of the stream, once its items are there. Meanwhile the next ones are begun. */
  async batch(position: number, count: number): Promise<Batch> {
    if (position !== this.#end) {
      this.#next = position;
      this.#asked = []; // what comes of them is dropped
    }
    this.#end = position + count;
    const ahead = Math.min(
      BATCHES_AHEAD * count,
      Math.floor(AHEAD_BYTES / this.stream.itemBytes),
    );
    this.#ask(this.#end + ahead, Math.ceil(count / (2 * this.workers)));
    while (this.#asked.length > 0 && this.#asked[0].first < this.#end) {
      await this.#asked.shift()!.done;
    }
    return this.stream.batch(position, count);
  }

  /** Ends the threads. */
  close(): void {
    this.#pool.close();
  }

  /** The same. */
  [Symbol.dispose](): void {
    this.close();
  }

  /** Has missing items made, up to `end`, in portions of `size` or less. */
  #ask(end: number, size: number): void {
    const portion = Math.min(MOST_ITEMS, size);
    let positions: number[] = [];
    for (; this.#next < end; this.#next++) {
      if (this.stream.isMissing(this.#next)) positions.push(this.#next);
      if (positions.length === portion) {
        this.#send(positions);
        positions = [];
      }
    }
    if (positions.length > 0) this.#send(positions);
  }

  #send(positions: readonly number[]): void {
    const done = this.#make(positions, this.#asked);
    done.catch(() => {}); // it is looked at when its turn comes
    this.#asked.push({ first: positions[0], done });
  }

  /** Has items made, step by step; `asked` says for whom. */
  async #make(items: readonly number[], asked: readonly Asked[]): Promise<void> {
    const { stream } = this;
    await Promise.all(
      workOf(stream, items).map(async ({ task, positions }) => {
        const { data, made } = await this.#pool.request(task, memoryOf(task));
        if (asked !== this.#asked) return;
        const size = data.length / positions.length;
        const supplied = positions.filter((_, i) => made[i] === 1);
        for (const [i, position] of positions.entries()) {
          if (made[i] === 1) stream.supply(position, data.subarray(i * size, (i + 1) * size));
        }
        const unfinished = supplied.filter((position) => stream.isMissing(position));
        if (unfinished.length > 0) await this.#make(unfinished, asked);
      }),
    );
  }
}
