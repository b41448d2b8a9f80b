/**
 * Samples that are no numbers: of weights that have exploded, or of noise with NaN in it. As pixels
 * they would be black, and nobody would know.
 *
 * @module
 */

import { ImmError } from "../base/errors.ts";

/** Samples with numbers that are not finite; the message counts them. */
export class NotFiniteError extends ImmError {}

/** Numbers of the samples of `size` elements each that hold NaN or an infinity. */
export function notFinite(values: Float32Array | Float64Array, size: number): number[] {
  const found: number[] = [];
  for (let start = 0; start < values.length; start += size) {
    for (let i = start; i < start + size; i++) {
      if (Number.isFinite(values[i])) continue;
      found.push(start / size);
      break;
    }
  }
  return found;
}

/**
 * Lets samples pass that are numbers.
 *
 * @param what the samples are, and of which `reason` they would be none, for the message
 * @param name of the sample with a number
 * @throws {NotFiniteError} that counts those which are not
 */
export function requireFinite(
  samples: Float32Array,
  size: number,
  { what, name, reason }: { what: string; name: (n: number) => string; reason: string },
): void {
  const found = notFinite(samples, size);
  if (found.length === 0) return;
  throw new NotFiniteError(
    `${found.length} of ${samples.length / size} ${what} hold NaN or infinity, the first is ` +
      `${name(found[0])}; ${reason}`,
  );
}
