/**
 * The menu of codes for a kernel, among which the tuner chooses.
 *
 * Variants of a kernel compute the same bits: they differ in who does the work and what it is loaded
 * through, never in the order in which numbers are added.
 *
 * @module
 */

import type { Tile } from "./tiles.ts";

/** One of the codes for a kernel. */
export interface Variant {
  /** Name for people and for the cache of the tuner. */
  readonly name: string;
  /** For products and convolutions. */
  readonly tile?: Tile;
}
