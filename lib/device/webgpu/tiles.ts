/**
 * The menus of tiles for matrix products and convolutions, by kind of adapter.
 *
 * No tile changes a result: every element is the sum over k in order whatever the tile, and where k
 * is cut ({@link planSplits}) depends on the sizes alone. So the tuner may choose freely.
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

/** How k is cut. */
export interface Splits {
  readonly splits: number;
  /** Length of a part, except for the last. */
  readonly part: number;
}

/** Edge of a usual tile, by kind of device. */
const EDGE = { software: 32, hardware: 64 };
/** The multiple of k at which cuts are made, and how many of these every part has at least. */
const CUT = 16;
const LEAST_PART = { software: 4, hardware: 8 };

/**
 * Cuts k where the tiles are too few to keep the device busy. It depends on the sizes and on
 * the kind of device, never on the tile, because it decides in which order numbers are added.
 */
export function planSplits({ batch, rows, columns, depth }: ProductSizes, target: Target): Splits {
  const kind = target.software ? "software" : "hardware";
  const tiles = Math.ceil(rows / EDGE[kind]) * Math.ceil(columns / EDGE[kind]) * batch;
  const slices = Math.max(1, Math.ceil(depth / CUT));
  const wanted = target.batchInvariant ? 1 : Math.min(
    64,
    Math.floor(target.wantedWorkgroups / tiles),
    Math.floor(slices / LEAST_PART[kind]),
  );
  const perPart = wanted > 1 ? Math.ceil(slices / wanted) : slices;
  return { splits: Math.ceil(slices / perPart), part: perPart * CUT };
}

/**
 * Graphics processors have many threads to keep busy and few registers for each, and the checks
 * that come with loops cost as much as the arithmetic: small blocks, everything written out. They
 * run 32 or 64 threads in step, so no workgroup has fewer.
 */
const HARDWARE_TILES: readonly Tile[] = [
  hardware(128, 128, 8, 8),
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
const SMALL_PRODUCT = 1e7;

/**
 * So many of the best guesses are worth trying: drivers of graphics processors take a tenth of a
 * second to compile one, and the first is seldom beaten by much.
 */
const MOST_TILES = 5;

/** The tiles for a product, the best guess first. */
export function tilesFor(sizes: ProductSizes, target: Target): readonly Tile[] {
  const estimate = target.software ? estimateSoftware : estimateHardware;
  return menu(sizes, target).filter((tile) => fits(tile, target))
    .map((tile) => ({ tile, cost: estimate(tile, sizes, target) }))
    .sort((a, b) => a.cost - b.cost)
    .slice(0, MOST_TILES)
    .map(({ tile }) => tile);
}

function menu({ batch, rows, columns, depth }: ProductSizes, target: Target): readonly Tile[] {
  if (!target.software) return HARDWARE_TILES;
  if (target.subgroupSize !== null) return subgroupTiles(target.subgroupSize);
  return isSmall({ batch, rows, columns, depth }) ? SOFTWARE_SMALL_TILES : SOFTWARE_TILES;
}

function isSmall({ batch, rows, columns, depth }: ProductSizes): boolean {
  return batch * rows * columns * depth < SMALL_PRODUCT;
}

/** A name for people and for the cache of the tuner. */
export function tileName(tile: Tile): string {
  const block = `${tile.threadRows}x${tile.threadColumns}`;
  return `${tile.rows}x${tile.columns}/${block}${tile.sharing === "subgroup" ? " lanes" : ""}`;
}

/** Time of a tile whose lanes share loads, relative to one that shares through memory: measured. */
const SUBGROUP_EFFORT = 0.4;

/** Relative time by guess: the arithmetic and the loads of all tiles, of which some are waste. */
function estimateSoftware(tile: Tile, sizes: ProductSizes, target: Target): number {
  // Of small products the shortest text: the plans of a small network compile in a third of the time.
  if (tile.sharing === "subgroup" && isSmall(sizes)) return tile.threadRows * tile.threadColumns;
  const rounds = Math.max(tilesOf(tile, sizes), target.wantedWorkgroups / 2);
  // The loads of the two edges favour large tiles.
  const work = tile.rows * tile.columns;
  return tile.sharing === "subgroup"
    ? rounds * (work + 8 * (tile.rows + tile.columns / 2)) * SUBGROUP_EFFORT
    : rounds * (work + 8 * (tile.rows + tile.columns));
}

/** Threads of a workgroup as {@link Target.wantedWorkgroups} counts them. */
const USUAL_THREADS = 64;

/**
 * The same for graphics processors, where a thread does its block in a time of its own: with too few
 * threads to fill the device, smaller blocks are done sooner. The weight of the edges is measured.
 */
function estimateHardware(tile: Tile, sizes: ProductSizes, target: Target): number {
  const { rows, columns, threadRows, threadColumns } = tile;
  const block = threadRows * threadColumns;
  const { splits } = planSplits(sizes, target);
  const threads = tilesOf(tile, sizes) * splits * (rows * columns / block);
  const busy = Math.max(threads, target.wantedWorkgroups * USUAL_THREADS);
  return busy * block * (1 + 24 * (rows + columns) / (rows * columns));
}

function tilesOf(tile: Tile, { batch, rows, columns }: ProductSizes): number {
  return Math.ceil(rows / tile.rows) * Math.ceil(columns / tile.columns) * batch;
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
