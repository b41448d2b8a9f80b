/** Feature matrices, logits and expected metrics of the fixture `stats`. */

import type { Features } from "../../../lib/eval/statistics/statistics.ts";
import { bothFiles, goldenJson, goldenTensor, goldenTensors, withGolden } from "./fixtures.ts";

/** The fixture. */
export class GoldenStatistics<Expected> {
  readonly expected: Expected = goldenJson<{ expected: Expected }>("stats").expected;
  readonly #tensors = goldenTensors("stats");

  get names(): string[] {
    return [...this.#tensors.keys()];
  }

  /** A feature matrix, or its first rows. */
  features(name: string, rows?: number): Features {
    const { shape, data } = goldenTensor(this.#tensors, name);
    const count = rows ?? shape[0];
    return {
      rows: count,
      dimension: shape[1],
      data: (data as Float32Array).subarray(0, count * shape[1]),
    };
  }

  /** Rows cut out of an index tensor `[subsets, size]`. */
  indexRows(name: string): Int32Array[] {
    const { shape, data } = goldenTensor(this.#tensors, name);
    return Array.from(
      { length: shape[0] },
      (_, i) => (data as Int32Array).subarray(i * shape[1], (i + 1) * shape[1]),
    );
  }

  /** Any other array. */
  array(name: string): Float32Array {
    return goldenTensor(this.#tensors, name).data as Float32Array;
  }
}

/** Declares tests of the fixture. */
export function withStatistics<Expected>(
  declare: (golden: GoldenStatistics<Expected>) => void,
): void {
  withGolden(bothFiles("stats"), () => declare(new GoldenStatistics<Expected>()));
}
