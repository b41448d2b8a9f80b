/** Comparing arrays of numbers with a tolerance, with an error that says where they differ. */

import { AssertionError } from "node:assert/strict";

/** How far two arrays may differ: |a - b| <= abs + rel * max|b|, element by element. */
export interface Tolerance {
  readonly abs?: number;
  /** Relative to the largest absolute value of the expected array. */
  readonly rel?: number;
}

/** Throws when a length differs, a value is not a number, or an element is out of tolerance. */
export function assertClose(
  actual: ArrayLike<number>,
  expected: ArrayLike<number>,
  { abs = 0, rel = 0 }: Tolerance,
  what = "array",
): void {
  if (actual.length !== expected.length) {
    throw new AssertionError({
      message: `${what}: expected ${expected.length} elements, found ${actual.length}`,
    });
  }
  let largest = 0;
  for (let i = 0; i < expected.length; i++) largest = Math.max(largest, Math.abs(expected[i]));
  const limit = abs + rel * largest;
  let worst = 0;
  let at = -1;
  for (let i = 0; i < expected.length; i++) {
    const error = Math.abs(actual[i] - expected[i]);
    if (!(error <= worst)) { // also true for NaN
      worst = error;
      at = i;
      if (Number.isNaN(error)) break;
    }
  }
  if (!(worst <= limit)) {
    throw new AssertionError({
      message: `${what}: element ${at} is ${actual[at]}, expected ${expected[at]}; ` +
        `difference ${worst} > ${limit} (max|expected| = ${largest})`,
    });
  }
}
