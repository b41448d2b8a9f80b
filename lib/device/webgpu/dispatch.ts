/**
 * What a kernel becomes: one or more compute dispatches, each a WGSL text with its bindings.
 *
 * The text holds shapes, strides and small offsets as constants, but no buffer and no label, so
 * that kernels that do the same to different buffers share one pipeline.
 *
 * @module
 */

import type { Tile } from "./tiles.ts";

/** Number of the scratch buffer that the executable owns, beside the buffers of the plan. */
export const SCRATCH = -1;

/** Bytes per word: of an element that is not f16. */
export const ELEMENT_BYTES = 4;

/** A range of a buffer as a shader sees it. Its place in the list is its `@binding`. */
export interface Binding {
  /** Number in the plan, or {@link SCRATCH}. */
  readonly buffer: number;
  /** In bytes, a multiple of the device's offset alignment. */
  readonly offset: number;
  /** In bytes. */
  readonly size: number;
  readonly writable: boolean;
  /** Whether its elements are f16. */
  readonly half: boolean;
}

/** One compute dispatch. */
export interface Dispatch {
  readonly label: string;
  readonly wgsl: string;
  readonly bindings: readonly Binding[];
  /** Values of the uniform `params`, bound after the last buffer; empty where there is none. */
  readonly params: readonly number[];
  readonly workgroups: readonly [number, number, number];
}

/**
 * One of the codes for a kernel. Variants of a kernel compute the same bits: they differ in who does
 * the work and what it is loaded through, never in the order in which numbers are added.
 */
export interface Variant {
  /** Name among the variants of its kernel, for people and for the cache of the tuner. */
  readonly name: string;
  /** For products and convolutions. */
  readonly tile?: Tile;
  /** About how many threads a workgroup has, for everything else. */
  readonly threads?: number;
  /** Whether neighbouring threads may exchange registers; default: where the device can. */
  readonly subgroups?: boolean;
}

/** The size of the subgroups that a kernel may use, or null. */
export function subgroupSizeFor({ subgroupSize, variant }: Target): number | null {
  return variant?.subgroups === false ? null : subgroupSize;
}

/** What the generators need to know about the device. */
export interface Target {
  /** Software rasterisers want other tiles than graphics processors. */
  readonly software: boolean;
  /** Bindings start at multiples of this many bytes. */
  readonly offsetAlignment: number;
  /** Storage buffers per dispatch. */
  readonly maxBindings: number;
  /** Bytes per binding. */
  readonly maxBindingBytes: number;
  /** Workgroups per dimension of a dispatch. */
  readonly maxWorkgroups: number;
  /** Threads per workgroup. */
  readonly maxThreads: number;
  /** Bytes of workgroup memory. */
  readonly maxWorkgroupBytes: number;
  /** Workgroups that keep the device busy; reductions are split until there are about as many. */
  readonly wantedWorkgroups: number;
  /** Whether the number of rows may not decide how sums are made; see `Plan.batchInvariant`. */
  readonly batchInvariant: boolean;
  /**
   * Threads of a subgroup, where shaders may use subgroups, they all have the same size, and
   * neighbouring threads are neighbouring lanes (`subgroups.ts` finds out); else null.
   */
  readonly subgroupSize: number | null;
  /** Which of the possible codes of a kernel to make; by default the best guess. */
  readonly variant?: Variant;
}

/**
 * Folds a number of workgroups into the three dimensions of a dispatch; the shader gets its number
 * back with {@link workgroupNumber}. Some workgroups at the end may be beyond `count`.
 */
export function foldWorkgroups(count: number, target: Target): [number, number, number] {
  const most = target.maxWorkgroups;
  if (count <= most) return [count, 1, 1];
  const rows = Math.ceil(count / most);
  return [Math.ceil(count / rows), rows, 1];
}

/** WGSL for the number of the workgroup `group` (builtin workgroup_id) of a folded dispatch. */
export function workgroupNumber(workgroups: readonly [number, number, number]): string {
  return workgroups[1] === 1 ? "group.x" : `(group.x + group.y * ${workgroups[0]}u)`;
}
