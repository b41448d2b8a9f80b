/**
 * The menus of tiles for matrix products, by kind of adapter.
 *
 * @module
 */

/** Tile of a workgroup and block of a thread, in rows and columns. */
export interface Tile {
  readonly rows: number;
  readonly columns: number;
  /** Slice of k that is staged in workgroup memory at a time. */
  readonly depth: number;
  readonly threadRows: number;
  readonly threadColumns: number;
  /** Steps of k that are written out; a divisor of `depth`. */
  readonly unroll: number;
  /** Whether loading and storing are loops rather than text. */
  readonly rolled: boolean;
}

/**
 * Graphics processors have many threads to keep busy and few registers for each, and the checks
 * that come with loops cost as much as the arithmetic: small blocks, everything written out. They
 * run 32 or 64 threads in step, so no workgroup has fewer.
 */
const HARDWARE_TILES: readonly Tile[] = [
  hardware(64, 64, 8, 4),
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

/** The tiles for a product with this number of multiplications. */
export function tilesFor(software: boolean, multiplications: number): readonly Tile[] {
  if (!software) return HARDWARE_TILES;
  return multiplications < SMALL_PRODUCT ? SOFTWARE_SMALL_TILES : SOFTWARE_TILES;
}

function hardware(rows: number, columns: number, threadRows: number, threadColumns: number): Tile {
  return { rows, columns, depth: 16, threadRows, threadColumns, unroll: 16, rolled: false };
}

function software(rows: number, columns: number, threadRows = 16, threadColumns = 8): Tile {
  return { rows, columns, depth: 16, threadRows, threadColumns, unroll: 1, rolled: true };
}
