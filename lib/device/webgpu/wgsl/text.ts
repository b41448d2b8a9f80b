/**
 * Small helpers for writing code out.
 *
 * @module
 */

/** The components of a vector of four. */
export const LANES: readonly string[] = ["x", "y", "z", "w"];

/** 0, 1, ... count - 1. */
export function numbers(count: number): number[] {
  return Array.from({ length: count }, (_, i) => i);
}
