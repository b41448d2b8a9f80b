/**
 * Matrix products in the two forms of wasm/kernels/src/gemm.rs.
 *
 * @module
 */

import type { Epilogue } from "../../../compile/kernels/kernel.ts";
import { InternalError } from "../../../base/errors.ts";
import { blocksOf } from "../blocks.ts";
import type { Encoder } from "../encoder.ts";
import { PHASE } from "../opcodes.ts";
import { encodeTape } from "../tape.ts";
import { type Field, NULL, type Pointer } from "../words.ts";
import { encodePass } from "./elementwise.ts";

/** Numbers in a tile of the result, at most (gemm.rs). */
const TILE = 32 << 10;
/** Columns of a tile, at most. */
const TILE_COLUMNS = 256;
/** Rows that a packed product handles together (micro.rs); a multiple of the rows of every shape. */
const GROUP = 12;
/** Rows that the innermost loop multiplies with a panel of eight columns (micro.rs). */
const ROWS_TOGETHER = 6;
/** k in a stretch of a row product, at most: a panel of it stays in the L1 cache. */
const STRETCH = 256;
/** k in one task of packing. */
const PACK_ROWS = 256;
/** Tasks wanted of a product. */
const WANTED_TASKS = 16;
/** Numbers that a tile's table of addresses and its copied rows may take. */
const TABLE = 256 << 10;

/** The size of result[b, m, n] = sum over k. */
export interface ProductSize {
  readonly batch: number;
  readonly m: number;
  readonly n: number;
  readonly k: number;
}

/** A matrix in memory; strides in elements. */
export interface Matrix {
  readonly start: number;
  readonly batchStride: number;
  readonly rowStride: number;
  readonly columnStride: number;
}

/** The right matrix of a product: its k is cut into segments of equal length. */
export interface SegmentedMatrix extends Matrix {
  readonly segments: number;
  readonly segmentStride: number;
}

/** Rows of the left matrix: a matrix with contiguous rows, or pixels of images. */
export type Rows =
  | { readonly kind: "matrix"; readonly matrix: Matrix }
  | {
    readonly kind: "image";
    readonly image: Pointer;
    readonly taps: number;
    readonly channels: number;
    /** Pixels of an image on the side of the rows, and whether some of them read beyond images. */
    readonly pixels: number;
    readonly padded: boolean;
  };

/** Rows with fewer contiguous numbers than this are put together before they are multiplied. */
const SHORT_ROW = 8;

/** Appends a product whose left matrix has contiguous k. */
export function encodeRowProduct(
  encoder: Encoder,
  size: ProductSize,
  rows: Rows,
  right: SegmentedMatrix,
  epilogue: Epilogue,
): void {
  const { batch, m, n, k } = size;
  const { width, ...packed } = packPanels(encoder, size, right);
  const copied = rows.kind === "image" && rows.channels < SHORT_ROW;
  const perRow = rows.kind === "image" ? rows.taps + (copied ? k : 0) : 1;
  const together = rows.kind === "image" && !copied ? interleaved(size, width, rows) : null;
  const apart = together && rows.kind === "image" ? rows.pixels : 1;
  const tile = together ?? tileSize(size, width, 96, perRow);
  const segments = rows.kind === "image" && !copied ? rows.taps : 1;
  const list = stretches(segments, k / segments);
  const matrix = rows.kind === "matrix" ? rows.matrix : null;
  encoder.phase(PHASE.rowProduct, batch * tile.count, [
    ...[batch, m, n, k, tile.rows, tile.columns, width],
    matrix?.start ?? NULL,
    matrix?.batchStride ?? 0,
    matrix?.rowStride ?? 0,
    rows.kind === "image" ? rows.image : NULL,
    copied ? 1 : 0,
    segments,
    apart,
    encoder.words.add(list.flat()),
    list.length,
    packed.start,
    packed.batchStride,
    ...finishFields(encoder, size, tile.columns, epilogue),
  ]);
}

/** The left matrix of a packed product, as [k][m]: a matrix, or what images look like to it. */
export type Columns =
  | { readonly kind: "matrix"; readonly matrix: Matrix }
  /** `together` images take turns, pixel by pixel, along k (see `imagesTogether`). */
  | { readonly kind: "image"; readonly image: Pointer; readonly together: number };

/** Appends a product with any left matrix. */
export function encodePackedProduct(
  encoder: Encoder,
  size: ProductSize,
  left: Columns,
  right: SegmentedMatrix,
  epilogue: Epilogue,
): void {
  const { batch, m, n, k } = size;
  const together = left.kind === "image" ? left.together : 1;
  const { width, ...packed } = packPanels(encoder, size, right, together);
  // Rather more chunks of k than more tiles: every tile reads all of the panels of its k.
  const mostChunks = encoder.batchInvariant ? 1 : Math.max(1, Math.floor(k / STRETCH));
  const tile = tileSize(size, width, 192, 0, Math.ceil(WANTED_TASKS / mostChunks));
  const tiles = batch * tile.count;
  const even = k / Math.min(Math.ceil(WANTED_TASKS / tiles), mostChunks);
  const chunk = Math.ceil(even / together) * together;
  const chunks = Math.ceil(k / chunk);
  const points = batch * m * n;
  const partials = chunks > 1 ? encoder.workspace(chunks * points) : null;
  const matrix = left.kind === "matrix" ? left.matrix : null;
  encoder.phase(PHASE.packedProduct, tiles * chunks, [
    ...[batch, m, n, k, tile.rows, tile.columns, width],
    matrix?.start ?? NULL,
    matrix?.batchStride ?? 0,
    matrix?.rowStride ?? 0,
    matrix?.columnStride ?? 0,
    left.kind === "image" ? left.image : NULL,
    packed.start,
    packed.batchStride,
    chunk,
    together,
    ...(partials ? [NULL, partials] : finishFields(encoder, size, tile.columns, epilogue)),
  ]);
  if (partials) {
    const result = { kind: "partials", fn: "sum", start: partials, count: chunks } as const;
    encodePass(encoder, epilogue, [{ ...result, stride: points }]);
  }
}

/** Appends the packing of the right matrix: [batch][column panel][k][width]. */
function packPanels(
  encoder: Encoder,
  { batch, n, k }: ProductSize,
  right: SegmentedMatrix,
  together = 1,
): { width: number; start: Pointer; batchStride: number } {
  const width = panelWidth(n);
  const panels = Math.ceil(n / width);
  const shared = right.batchStride === 0;
  const matrices = shared ? 1 : batch;
  const start = encoder.workspace(matrices * panels * width * k);
  encoder.phase(PHASE.packPanels, matrices * panels * right.segments, [
    right.start,
    right.batchStride,
    right.segments,
    right.segmentStride,
    k / right.segments,
    right.rowStride,
    n,
    right.columnStride,
    width,
    together,
    start,
  ]);
  return { width, start, batchStride: shared ? 0 : panels * width * k };
}

/** The fields of what a tile is finished with: a tape over its part of the result. */
export function finishFields(
  encoder: Encoder,
  { n }: ProductSize,
  columns: number,
  { body, stores }: Epilogue,
): Field[] {
  if (body.shape.at(-1) !== n) {
    throw new InternalError(
      `an epilogue over [${body.shape}] does not fit a result of ${n} columns`,
    );
  }
  // Tiles are whole rows, or parts of rows: blocks may not reach further.
  const rank = body.shape.length;
  const blocks = blocksOf(body.shape, columns < n ? rank - 1 : Math.max(0, rank - 2));
  const tape = encodeTape(encoder, blocks, body, { stores, results: [{ kind: "tile" }] });
  return [tape.pointer, NULL];
}

/** Columns of a panel: narrow where wide ones would mostly multiply zeros. */
function panelWidth(n: number): number {
  return n <= 4 ? 4 : 8;
}

interface TileSize {
  readonly rows: number;
  readonly columns: number;
  readonly count: number;
}

/** Rows and columns of a tile, and how many tiles there are. No result depends on this choice. */
function tileSize(
  { batch, m, n }: ProductSize,
  width: number,
  mostRows: number,
  perRow: number,
  wanted = WANTED_TASKS,
): TileSize {
  const up = (value: number, multiple: number) => Math.ceil(value / multiple) * multiple;
  const across = Math.ceil(n / TILE_COLUMNS);
  const columns = across === 1 ? n : up(n / across, 16);
  const fitting = Math.min(TILE / up(columns, width), perRow === 0 ? Infinity : TABLE / perRow);
  const wantedDown = Math.ceil(wanted / (batch * across));
  const most = Math.min(mostRows, Math.floor(fitting / GROUP) * GROUP);
  const rows = Math.min(most, up(m / Math.max(wantedDown, Math.ceil(m / most)), GROUP));
  if (rows < GROUP) {
    throw new InternalError(`a product with ${perRow} numbers per row does not fit the scratch`);
  }
  return { rows, columns, count: Math.ceil(m / rows) * Math.ceil(n / columns) };
}

/**
 * Tiles of whole images, six at a time, where these are so small that many pixels read beyond them:
 * the same pixel of several images is multiplied together, without the taps outside.
 */
function interleaved(
  { batch, m, n }: ProductSize,
  width: number,
  { pixels, padded, taps }: Rows & { kind: "image" },
): TileSize | null {
  const columns = Math.ceil(n / width) * width;
  const rows = ROWS_TOGETHER * pixels;
  const worthIt = padded && pixels <= 64 && width === 8 && batch === 1 && m / rows >= 4;
  if (!worthIt || n > TILE_COLUMNS || rows * columns > TILE || rows * taps > TABLE) return null;
  return { rows, columns: n, count: Math.ceil(m / rows) };
}

/**
 * How many images take turns along the k of a weight gradient, so that the pixels that a tap reads
 * outside of the image are neighbours, and left out; 1 where that is not worth it.
 */
export function imagesTogether(images: number, pixels: number, padded: boolean): number {
  if (!padded || pixels > 256) return 1;
  return [16, 8].find((count) => images % count === 0) ?? 1;
}

/** Cuts k, `segments` times `length`, into the stretches that sums are made of. */
function stretches(segments: number, length: number): number[][] {
  const list: number[][] = [];
  if (length <= STRETCH) {
    const together = Math.floor(STRETCH / length);
    for (let segment = 0; segment < segments; segment += together) {
      const count = Math.min(together, segments - segment);
      list.push([segment * length, segment, count, 0, length]);
    }
    return list;
  }
  const step = Math.ceil(length / Math.ceil(length / STRETCH));
  for (let segment = 0; segment < segments; segment++) {
    for (let offset = 0; offset < length; offset += step) {
      const count = Math.min(step, length - offset);
      list.push([segment * length + offset, segment, 1, offset, count]);
    }
  }
  return list;
}

/** Cuts the k of a plain matrix into segments, so that packing it is several tasks. */
export function segmented(matrix: Matrix, k: number): SegmentedMatrix {
  let segments = Math.ceil(k / PACK_ROWS);
  while (k % segments !== 0) segments--;
  return { ...matrix, segments, segmentStride: k / segments * matrix.rowStride };
}
