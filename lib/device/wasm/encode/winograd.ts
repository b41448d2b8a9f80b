/**
 * Convolutions by Winograd's minimal filtering; wasm/kernels/src/winograd.rs says how.
 *
 * @module
 */

import type { ConvKernel } from "../../../compile/kernels/conv.ts";
import type { Epilogue } from "../../../compile/kernels/kernel.ts";
import type { Shape } from "../../../tensor/tensor.ts";
import type { Encoder } from "../encoder.ts";
import { PHASE } from "../opcodes.ts";
import { encodePass } from "./elementwise.ts";
import { finishFields } from "./product.ts";

/** Columns of a panel, and rows multiplied together (micro.rs). */
const WIDTH = 8;
const ROWS = 6;
/** Tiles of 2x2 pixels per task, at most: their patches stay in the L2 cache. */
const MOST_TILES = 48;
/** Numbers that a task may keep in its scratch (program.rs, `WORK_BYTES`). */
const SCRATCH = 500_000;
/** Tasks wanted. */
const WANTED_TASKS = 16;
/** Channels below which transforming costs more than it saves. */
const LEAST_CHANNELS = 16;

/** The images that are read, and the weights: strides in elements. */
export interface WinogradOperands {
  readonly images: number;
  readonly shape: Shape;
  readonly weights: number;
  /** Elements between taps, input channels and output channels. */
  readonly strides: readonly [number, number, number];
  /** Whether the taps come in reverse order. */
  readonly flipped: boolean;
  readonly outputs: number;
}

/** Whether a convolution is one of those for which the transforms are made. */
function applies({ geometry }: ConvKernel, shape: Shape, outputs: number): boolean {
  const [, height, width, channels] = shape;
  const { kernel: [kh, kw], stride, padding } = geometry;
  return kh === 3 && kw === 3 && stride === 1 && padding === 1 && height % 2 === 0 &&
    width % 2 === 0 && channels % 4 === 0 && outputs % WIDTH === 0 &&
    Math.min(channels, outputs) >= LEAST_CHANNELS;
}

/** Rows of tiles per task, or null where this way does not apply. */
function tileRows(kernel: ConvKernel, { shape, outputs }: WinogradOperands): number | null {
  const [images, height, width, channels] = shape;
  if (!applies(kernel, shape, outputs)) return null;
  const across = width / 2;
  const padded = (rows: number) => Math.ceil(rows * across / ROWS) * ROWS;
  const numbers = (rows: number) =>
    2 * rows * width * outputs + padded(rows) * (16 * (channels + outputs) + 1);
  const all = images * height / 2;
  const most = Math.max(
    1,
    Math.min(Math.floor(MOST_TILES / across), Math.ceil(all / WANTED_TASKS)),
  );
  const waste = (rows: number) => padded(rows) / (rows * across);
  const fitting = Array.from({ length: most }, (_, i) => most - i)
    .filter((rows) => numbers(rows) <= SCRATCH)
    .sort((a, b) => waste(a) - waste(b));
  return fitting[0] ?? null;
}

/** Appends a convolution if this is a way to do it; false: it is not. */
export function encodeWinograd(
  encoder: Encoder,
  kernel: ConvKernel,
  operands: WinogradOperands,
  epilogue: Epilogue,
): boolean {
  const rows = tileRows(kernel, operands);
  if (rows === null) return false;
  const { images: source, shape, weights, strides, flipped, outputs } = operands;
  const [images, height, width, channels] = shape;
  const panels = encoder.workspace(16 * channels * outputs);
  encoder.phase(PHASE.winogradWeights, outputs / WIDTH, [
    weights,
    ...strides,
    flipped ? 1 : 0,
    channels,
    outputs,
    panels,
  ]);
  const size = { batch: 1, m: images * height * width, n: outputs, k: channels };
  encoder.phase(PHASE.winograd, Math.ceil(images * height / 2 / rows), [
    ...[1, size.m, outputs, channels, 2 * rows * width, outputs, WIDTH],
    source,
    height,
    width,
    panels,
    encoder.zeros(channels),
    ...finishFields(encoder, size, outputs, epilogue),
  ]);
  return true;
}

/** Channels that the weight gradient handles together (winograd.rs). */
const GROUP = 12;
/** Tiles that it transforms together. */
const TOGETHER = 48;
/** Of channels and outputs a task has so many at most: the sums of more leave the cache. */
const MOST_CHANNELS = 132;
const MOST_OUTPUTS = 128;
/** Tiles per task of the weight gradient, at least: every task ends with a transform of its sums. */
const LEAST_TILES = 96;

/** Appends a weight gradient if this is a way to do it; false: it is not. */
export function encodeWinogradGrad(
  encoder: Encoder,
  kernel: ConvKernel,
  source: number,
  gradient: number,
): boolean {
  const { inputShape: [images, height, width, channels], outputShape, epilogue } = kernel;
  const outputs = outputShape[3];
  if (encoder.batchInvariant || !applies(kernel, kernel.inputShape, outputs)) return false;
  const tiles = images * height * width / 4;
  if (tiles < LEAST_TILES) return false;
  const channelBlock = blockOf(channels, MOST_CHANNELS, GROUP);
  const outputBlock = blockOf(outputs, MOST_OUTPUTS, WIDTH);
  const blocks = Math.ceil(channels / channelBlock) * Math.ceil(outputs / outputBlock);
  const tasks = Math.min(Math.ceil(WANTED_TASKS / blocks), Math.floor(tiles / LEAST_TILES));
  const perTask = Math.ceil(tiles / tasks / TOGETHER) * TOGETHER;
  const count = Math.ceil(tiles / perTask);
  const stride = 9 * channels * outputs;
  const start = encoder.workspace(count * stride);
  encoder.phase(PHASE.winogradGrad, count * blocks, [
    source,
    height,
    width,
    channels,
    encoder.zeros(channels),
    gradient,
    outputs,
    tiles,
    perTask,
    channelBlock,
    outputBlock,
    start,
  ]);
  encodePass(encoder, epilogue, [{ kind: "partials", fn: "sum", start, count, stride }]);
  return true;
}

/** Nearly equal blocks of at most `most`, multiples of `unit`. */
function blockOf(size: number, most: number, unit: number): number {
  return Math.ceil(size / Math.ceil(size / most) / unit) * unit;
}
