/**
 * A stream whose images are changed at random, see lib/augment; image n is the same however it is
 * asked for. The changes take longer than all else that is done to small images, so that threads
 * can make them: of what has been decoded, which may have been their work before.
 *
 * @module
 */

import { augment, AUGMENT_LABELS, type AugmentConfig } from "../augment/mod.ts";
import type { Batch, Loader } from "./loader.ts";
import type { ItemStream, ItemWork } from "./prefetch.ts";

/** Numbers of an image whose changes are worth a thread. */
const SLOW_SIZE = 1024;

/** The images of a loader, changed, with what the network is told of it. */
export class AugmentedStream implements ItemStream {
  /** An image and its augmentation labels, one behind the other. */
  readonly #made = new Map<number, Float32Array>();
  readonly #size: number;

  /**
   * A stream over that of a loader.
   *
   * @param config which changes
   * @param seed of the changes
   */
  constructor(
    private readonly loader: Loader,
    private readonly config: AugmentConfig,
    private readonly seed: number,
  ) {
    this.#size = loader.dataset.imageShape.reduce((a, b) => a * b);
  }

  /** Images `position` to `position + count - 1`; makes itself what it was not supplied with. */
  batch(position: number, count: number): Required<Batch> {
    const { loader, config, seed } = this;
    const size = this.#size;
    const images = new Float32Array(count * size);
    const labels = new Int32Array(count);
    const told = new Float32Array(count * AUGMENT_LABELS);
    for (let i = 0; i < count; i++) {
      const at = position + i;
      const made = this.#made.get(at);
      this.#made.delete(at);
      if (made !== undefined) {
        images.set(made.subarray(0, size), i * size);
        told.set(made.subarray(size), i * AUGMENT_LABELS);
      } else {
        const plain = loader.batch(at, 1).images;
        const changed = augment(config, seed, plain, loader.dataset.imageShape, at);
        images.set(changed.images, i * size);
        told.set(changed.labels, i * AUGMENT_LABELS);
      }
      labels[i] = loader.label(at);
    }
    return { images, labels, augment: told };
  }

  /** Whether images are large enough, or have to be decoded. */
  get isSlow(): boolean {
    return this.#size >= SLOW_SIZE || this.loader.isSlow;
  }

  /** Bytes of an image with its labels. */
  get itemBytes(): number {
    return 4 * (this.#size + AUGMENT_LABELS);
  }

  /** Whether image `position` would have to be changed now. */
  isMissing(position: number): boolean {
    return !this.#made.has(position);
  }

  /** Decoding of those that are not decoded, and the changes of the others. */
  work(positions: readonly number[]): ItemWork[] {
    const { loader, config, seed } = this;
    const encoded = positions.filter((position) => loader.isMissing(position));
    const ready = positions.filter((position) => !loader.isMissing(position));
    const works = encoded.length > 0 ? loader.work(encoded) : [];
    if (ready.length === 0) return works;
    const images = new Float32Array(ready.length * this.#size);
    for (const [i, position] of ready.entries()) {
      images.set(loader.batch(position, 1).images, i * this.#size);
    }
    const shape = loader.dataset.imageShape;
    return [...works, {
      positions: ready,
      task: { kind: "augment", config, seed, shape, positions: ready, images },
    }];
  }

  /** Takes decoded pixels, or a changed image with its labels. */
  supply(position: number, item: Uint8Array | Float32Array): void {
    if (item instanceof Uint8Array) this.loader.supply(position, item);
    else this.#made.set(position, item);
  }
}
