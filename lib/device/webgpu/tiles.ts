/**
 * The menus of tiles for matrix products and convolutions, by kind of adapter.
 *
 * No tile changes a result: every element is the sum over k in order whatever the tile, and where k
 * is cut (`planSplits` in `wgsl/gemm.ts`) depends on the sizes alone. So the tuner may choose freely.
 *
 * @module
 */

import type { Target } from "./dispatch.ts";

/** Tile of a workgroup and block of a thread, in rows and columns. */
export interface Tile {
  readonly rows: number;
  readonly columns: number;
  readonly threadRows: number;
  readonly threadColumns: number;
  /**
   * How the threads of a tile share what they load: through workgroup memory, a slice at a time; or,
   * for tiles whose threads next to each other are one subgroup, in registers that each lane
   * broadcasts to the others (A) or uses alone (B).
   */
  readonly sharing: "workgroup" | "subgroup";
  /** Slice of k that is loaded at a time. */
  readonly depth: number;
  /** Steps of k that are written out; a divisor of `depth`. */
  readonly unroll: number;
  /** Whether loading and storing are loops rather than text. */
  readonly rolled: boolean;
}

/** Sizes of a product. */
export interface ProductSizes {
  readonly batch: number;
  readonly rows: number;
  readonly columns: number;
  readonly depth: number;
}

/**
 * Graphics processors have many threads to keep busy and few registers for each, and the checks
 * that come with loops cost as much as the arithmetic: small blocks, everything written out. They
 * run 32 or 64 threads in step, so no workgroup has fewer.
 */
const HARDWARE_TILES: readonly Tile[] = [
  hardware(64, 64, 8, 4),
  hardware(64, 64, 4, 4),
  hardware(128, 64, 8, 8),
  hardware(64, 128, 8, 8),
  hardware(64, 32, 4, 4),
  hardware(32, 64, 4, 4),
  hardware(32, 32, 4, 4),
  hardware(64, 16, 4, 4),
  hardware(16, 64, 4, 4),
  hardware(32, 16, 4, 4),
];

/**
 * Software rasterisers run a thread as a lane of a vector and load each lane by itself: large
 * blocks, which need fewer loads. They compile for as long as the text is: as many loops as
 * possible, and smaller blocks for products so small that compiling would take longest.
 */
const SOFTWARE_TILES: readonly Tile[] = [
  software(128, 64),
  software(64, 64),
  software(128, 32),
  software(64, 32),
  software(128, 16),
  software(64, 16),
  software(32, 32),
];

const SOFTWARE_SMALL_TILES: readonly Tile[] = [software(64, 32, 8, 4), software(32, 16, 8, 4)];

/** Multiplications below which a software rasteriser spends its time on compiling. */
const SMALL_PRODUCT = 5e6;

/** The tiles for a product, the best guess first. */
export function tilesFor(sizes: ProductSizes, target: Target): readonly Tile[] {
  return menu(sizes, target).filter((tile) => fits(tile, target))
    .map((tile) => ({ tile, cost: estimate(tile, sizes, target) }))
    .sort((a, b) => a.cost - b.cost)
    .map(({ tile }) => tile);
}

function menu({ batch, rows, columns, depth }: ProductSizes, target: Target): readonly Tile[] {
  if (!target.software) return HARDWARE_TILES;
  if (target.subgroupSize !== null) return subgroupTiles(target.subgroupSize);
  const small = batch * rows * columns * depth < SMALL_PRODUCT;
  return small ? SOFTWARE_SMALL_TILES : SOFTWARE_TILES;
}

/** A name for people and for the cache of the tuner. */
export function tileName(tile: Tile): string {
  const block = `${tile.threadRows}x${tile.threadColumns}`;
  return `${tile.rows}x${tile.columns}/${block}${tile.sharing === "subgroup" ? " lanes" : ""}`;
}

/** Time of a tile whose lanes share loads, relative to one that shares through memory: measured. */
const SUBGROUP_EFFORT = 0.4;

/** Relative time by guess: the arithmetic and the loads of all tiles, of which some are waste. */
function estimate(tile: Tile, { batch, rows, columns }: ProductSizes, target: Target): number {
  const count = Math.ceil(rows / tile.rows) * Math.ceil(columns / tile.columns) * batch;
  const rounds = Math.max(count, target.wantedWorkgroups / 2);
  // The loads of the two edges favour large tiles.
  const work = tile.rows * tile.columns;
  return tile.sharing === "subgroup"
    ? rounds * (work + 8 * (tile.rows + tile.columns / 2)) * SUBGROUP_EFFORT
    : rounds * (work + 8 * (tile.rows + tile.columns));
}

function fits(tile: Tile, target: Target): boolean {
  const threads = tile.rows / tile.threadRows * (tile.columns / tile.threadColumns);
  const bytes = tile.sharing === "workgroup" ? 4 * tile.depth * (tile.rows + tile.columns) : 0;
  return threads <= target.maxThreads && bytes <= target.maxWorkgroupBytes;
}

/**
 * Subgroups of a software rasteriser are the lanes of one vector of the processor. Tiles that share
 * within them are two to three times as fast as the ones above and compile sooner.
 */
function subgroupTiles(size: number): readonly Tile[] {
  const tile = (threadRows: number, threadColumns: number): Tile => ({
    rows: threadRows,
    columns: threadColumns * size,
    threadRows,
    threadColumns,
    sharing: "subgroup",
    depth: 4,
    unroll: 4,
    rolled: true,
  });
  return [tile(2 * size, 8), tile(2 * size, 4), tile(4 * size, 4), tile(size, 4)];
}

function hardware(rows: number, columns: number, threadRows: number, threadColumns: number): Tile {
  return {
    rows,
    columns,
    threadRows,
    threadColumns,
    sharing: "workgroup",
    depth: 16,
    unroll: 16,
    rolled: false,
  };
}

function software(rows: number, columns: number, threadRows = 16, threadColumns = 8): Tile {
  return {
    rows,
    columns,
    threadRows,
    threadColumns,
    sharing: "workgroup",
    depth: 16,
    unroll: 1,
    rolled: true,
  };
}
