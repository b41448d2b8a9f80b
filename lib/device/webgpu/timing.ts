/**
 * Time per dispatch, for IMM_DEBUG=3: with timestamp queries where the device has them, else by
 * waiting for every dispatch.
 *
 * @module
 */

/** Time of the kernels with one label, summed over dispatches. */
export interface KernelTime {
  readonly label: string;
  readonly dispatches: number;
  readonly milliseconds: number;
}

/** Adds up times by label. */
export class KernelTimes {
  readonly #times = new Map<string, { dispatches: number; milliseconds: number }>();

  add(label: string, milliseconds: number): void {
    const entry = this.#times.get(label) ?? { dispatches: 0, milliseconds: 0 };
    entry.dispatches++;
    entry.milliseconds += milliseconds;
    this.#times.set(label, entry);
  }

  /** All labels, the most expensive first. */
  list(): KernelTime[] {
    return [...this.#times].map(([label, time]) => ({ label, ...time }))
      .sort((a, b) => b.milliseconds - a.milliseconds);
  }

  /** The list as lines of text. */
  format(title: string): string {
    const list = this.list();
    const total = list.reduce((sum, t) => sum + t.milliseconds, 0);
    const lines = list.map(({ label, dispatches, milliseconds }) =>
      `${milliseconds.toFixed(2).padStart(10)} ms ` +
      `${(100 * milliseconds / (total || 1)).toFixed(1).padStart(5)} % ` +
      `${String(dispatches).padStart(6)} x  ${label}`
    );
    return [`${title}: ${total.toFixed(2)} ms`, ...lines].join("\n");
  }
}

/** The most dispatches that one query set holds: two timestamps each, of 4096. */
const MOST_DISPATCHES = 2048;

/** Timestamps around the dispatches of one run. */
export class RunTimer {
  readonly #gpu: GPUDevice;
  readonly #labels: readonly string[];
  readonly #sets: GPUQuerySet[] = [];
  readonly #staging: GPUBuffer[] = [];
  readonly #resolved: GPUBuffer[] = [];

  constructor(gpu: GPUDevice, labels: readonly string[]) {
    this.#gpu = gpu;
    this.#labels = labels;
    for (let first = 0; first < labels.length; first += MOST_DISPATCHES) {
      const count = 2 * Math.min(MOST_DISPATCHES, labels.length - first);
      const size = count * 8;
      this.#sets.push(gpu.createQuerySet({ type: "timestamp", count }));
      this.#resolved.push(gpu.createBuffer({
        size,
        usage: GPUBufferUsage.QUERY_RESOLVE | GPUBufferUsage.COPY_SRC,
      }));
      this.#staging.push(gpu.createBuffer({
        size,
        usage: GPUBufferUsage.MAP_READ | GPUBufferUsage.COPY_DST,
      }));
    }
  }

  /** What to give the pass of dispatch `number`. */
  writes(number: number): GPUComputePassTimestampWrites {
    const at = number % MOST_DISPATCHES * 2;
    return {
      querySet: this.#sets[Math.floor(number / MOST_DISPATCHES)],
      beginningOfPassWriteIndex: at,
      endOfPassWriteIndex: at + 1,
    };
  }

  /** Encodes the copies; call it behind the last pass. */
  resolve(encoder: GPUCommandEncoder): void {
    this.#sets.forEach((set, i) => {
      encoder.resolveQuerySet(set, 0, set.count, this.#resolved[i], 0);
      encoder.copyBufferToBuffer(this.#resolved[i], 0, this.#staging[i], 0, set.count * 8);
    });
  }

  /** Waits for the run and adds its times. */
  async collect(times: KernelTimes): Promise<void> {
    for (const [i, staging] of this.#staging.entries()) {
      await staging.mapAsync(GPUMapMode.READ);
      const stamps = new BigUint64Array(staging.getMappedRange());
      for (let j = 0; j < stamps.length / 2; j++) {
        // The unit is the driver's; nanoseconds on all that were seen.
        times.add(
          this.#labels[i * MOST_DISPATCHES + j],
          Number(stamps[2 * j + 1] - stamps[2 * j]) / 1e6,
        );
      }
    }
    this.destroy();
  }

  destroy(): void {
    for (const set of this.#sets) set.destroy();
    for (const buffer of [...this.#staging, ...this.#resolved]) buffer.destroy();
  }
}
