/**
 * Many small pictures side by side in one.
 *
 * @module
 */

import { FormatError } from "../../base/errors.ts";
import type { Image } from "./pixels.ts";

/** How a grid is laid out. */
export interface GridOptions {
  /** Pictures per row; by default as many as make the grid about square. */
  readonly columns?: number;
  /** Pixels between the pictures and around them, before enlarging. Default 0. */
  readonly padding?: number;
  /** Value of the padding, 0 (black) to 255. Default 0. */
  readonly background?: number;
  /** Each pixel becomes a square of so many pixels. Default 1; see {@link enlargement}. */
  readonly scale?: number;
}

/**
 * Lays out pictures of the same size and channels, row by row.
 *
 * @throws {FormatError} when there are none, or they are not alike
 */
export function imageGrid(images: readonly Image[], options: GridOptions = {}): Image {
  const first = images[0];
  if (first === undefined) throw new FormatError("A grid needs at least one picture.");
  const { width, height, channels } = first;
  const { padding = 0, background = 0, scale = 1 } = options;
  const columns = Math.min(
    options.columns ?? Math.ceil(Math.sqrt(images.length)),
    images.length,
  );
  const rows = Math.ceil(images.length / columns);
  const grid = {
    width: columns * (width + padding) + padding,
    height: rows * (height + padding) + padding,
    channels,
  };
  const data = new Uint8Array(grid.width * grid.height * channels).fill(background);
  images.forEach((image, i) => {
    if (image.width !== width || image.height !== height || image.channels !== channels) {
      throw new FormatError(
        `A grid needs pictures of one size, but picture ${i} is ${image.width} x ${image.height} ` +
          `x ${image.channels} and the first is ${width} x ${height} x ${channels}.`,
      );
    }
    const left = padding + (i % columns) * (width + padding);
    const top = padding + Math.floor(i / columns) * (height + padding);
    for (let y = 0; y < height; y++) {
      const line = image.data.subarray(y * width * channels, (y + 1) * width * channels);
      data.set(line, ((top + y) * grid.width + left) * channels);
    }
  });
  return enlarge({ ...grid, data }, scale);
}

/** Pictures in the middle of the largest height and width among them; what is new is `background`. */
export function ofOneSize(images: readonly Image[], background = 0): Image[] {
  const [width, height] = [
    Math.max(...images.map(({ width }) => width)),
    Math.max(...images.map(({ height }) => height)),
  ];
  return images.map((image) => centred(image, width, height, background));
}

/** A picture in the middle of one of at least its size; what is new is `background`. */
export function centred(image: Image, width: number, height: number, background = 0): Image {
  if (image.width === width && image.height === height) return image;
  const { channels } = image;
  const data = new Uint8Array(width * height * channels).fill(background);
  const [left, top] = [width - image.width, height - image.height].map((x) => x >> 1);
  for (let y = 0; y < image.height; y++) {
    const line = image.data.subarray(y * image.width * channels, (y + 1) * image.width * channels);
    data.set(line, ((top + y) * width + left) * channels);
  }
  return { width, height, channels, data };
}

/** Repeats every pixel `scale` times in both directions. */
export function enlarge(image: Image, scale: number): Image {
  if (scale === 1) return image;
  const { width, height, channels } = image;
  const data = new Uint8Array(width * scale * height * scale * channels);
  const rowLength = width * scale * channels;
  for (let y = 0; y < height; y++) {
    const row = data.subarray(y * scale * rowLength, (y * scale + 1) * rowLength);
    for (let x = 0, to = 0; x < width; x++) {
      const pixel = image.data.subarray((y * width + x) * channels, (y * width + x + 1) * channels);
      for (let i = 0; i < scale; i++, to += channels) row.set(pixel, to);
    }
    for (let i = 1; i < scale; i++) data.set(row, (y * scale + i) * rowLength);
  }
  return { width: width * scale, height: height * scale, channels, data };
}

/** The first three channels as RGB, or where there are fewer the first one as grey. */
export function channelView({ width, height, channels, data }: Image): Image {
  const shown = channels >= 3 ? 3 : 1;
  const view = new Uint8Array(width * height * shown);
  for (let i = 0; i < width * height; i++) {
    for (let c = 0; c < shown; c++) view[i * shown + c] = data[i * channels + c];
  }
  return { width, height, channels: shown, data: view };
}

/** The factor that brings tiny pictures (`size` pixels) to at least `target` pixels. */
export function enlargement(size: number, target = 64): number {
  return Math.max(1, Math.ceil(target / size));
}

/**
 * Cuts a batch of pixels, [count, height, width, channels], into pictures that share its memory.
 */
export function splitImages(
  data: Uint8Array,
  [height, width, channels]: readonly [height: number, width: number, channels: number],
): Image[] {
  const size = height * width * channels;
  return Array.from({ length: data.length / size }, (_, i) => ({
    width,
    height,
    channels,
    data: data.subarray(i * size, (i + 1) * size),
  }));
}
