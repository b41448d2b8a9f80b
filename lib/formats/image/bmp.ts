/**
 * Windows bitmaps, as Pillow reads them: 1 to 32 bits per pixel, plain, by bit fields and run-length
 * encoded.
 *
 * @module
 */

import { FormatError } from "../../base/errors.ts";
import {
  checkSize,
  type DecodedImage,
  type ImageFormat,
  oddities,
  type ProbedImage,
} from "./pixels.ts";

const PLAIN = 0;
const RLE8 = 1;
const RLE4 = 2;
const BIT_FIELDS = 3;
const HEADER_SIZES = [12, 40, 52, 56, 64, 108, 124];

/** Whether the bytes start like a bitmap. */
export function isBmp(bytes: Uint8Array): boolean {
  return bytes[0] === 0x42 && bytes[1] === 0x4D && HEADER_SIZES.includes(bytes[14]) &&
    bytes[15] === 0;
}

/** Size and channels. @throws {FormatError} when `bytes` do not reach to the pixels' description */
export function probeBmp(bytes: Uint8Array, name: string): ProbedImage {
  const { width, height, channels } = readHeader(bytes, name);
  return { width, height, channels, ...oddities(checkSize(width, height, name)) };
}

/** Decodes it. @throws {FormatError} when it is damaged */
export function decodeBmp(bytes: Uint8Array, name: string): DecodedImage {
  const header = readHeader(bytes, name);
  const { width, height, channels, bits, palette, pixelsAt } = header;
  checkSize(width, height, name);
  const data = new Uint8Array(width * height * channels);
  const target = (row: number) => (header.topDown ? row : height - 1 - row) * width * channels;
  const isRle = header.compression === RLE8 || header.compression === RLE4;
  const rowBytes = isRle ? width : Math.floor((width * bits + 31) / 32) * 4;
  const source = isRle
    ? decodeRle(bytes, pixelsAt, header.compression === RLE4, width, height)
    : bytes.subarray(pixelsAt);
  if (source.length < rowBytes * (height - 1) + Math.ceil(width * (isRle ? 8 : bits) / 8)) {
    throw new FormatError(
      `${name} is truncated: it has ${source.length} of ${rowBytes * height} bytes of pixels.`,
    );
  }
  const valueBits = isRle ? 8 : bits;
  for (let row = 0; row < height; row++) {
    const line = source.subarray(row * rowBytes);
    for (let column = 0, to = target(row); column < width; column++, to += channels) {
      if (palette !== null) {
        const bit = column * valueBits;
        const value = line[bit >> 3] >> (8 - valueBits - (bit & 7)) & (1 << valueBits) - 1;
        for (let c = 0; c < channels; c++) data[to + c] = palette[3 * value + c] ?? 0;
      } else {
        const size = bits / 8;
        let value = 0;
        for (let i = 0; i < size; i++) value += line[column * size + i] * 2 ** (8 * i);
        for (let c = 0; c < channels; c++) data[to + c] = channelOf(value, header.masks[c]);
      }
    }
  }
  return { width, height, channels, data };
}

interface Header {
  readonly width: number;
  readonly height: number;
  readonly topDown: boolean;
  readonly bits: number;
  readonly compression: number;
  readonly channels: number;
  /** RGB of each value, where pixels are of a palette. */
  readonly palette: Uint8Array | null;
  /** The bits of each channel. */
  readonly masks: readonly number[];
  readonly pixelsAt: number;
}

function readHeader(bytes: Uint8Array, name: string): Header {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const size = bytes.length >= 18 ? view.getUint32(14, true) : Infinity;
  if (14 + size > bytes.length) throw damaged(name, "it ends within its header");
  const isOld = size === 12;
  const width = isOld ? view.getUint16(18, true) : view.getUint32(18, true);
  const signed = isOld ? view.getUint16(20, true) : view.getInt32(22, true);
  const bits = view.getUint16(isOld ? 24 : 28, true);
  const compression = isOld ? PLAIN : view.getUint32(30, true);
  const known = compression === PLAIN || compression === BIT_FIELDS && bits >= 16 ||
    compression === RLE8 && bits === 8 || compression === RLE4 && bits === 4;
  if (!known || ![1, 4, 8, 16, 24, 32].includes(bits)) {
    throw new FormatError(
      `${name} is a bitmap of ${bits} bits per pixel with compression ${compression}, which is ` +
        `not read; convert it to PNG.`,
    );
  }
  const common = { width, height: Math.abs(signed), topDown: signed < 0, bits, compression };
  const declared = view.getUint32(10, true);
  if (bits <= 8) {
    const colors = isOld ? 0 : view.getUint32(46, true);
    const entry = isOld ? 3 : 4;
    const count = colors === 0 ? 1 << bits : colors;
    const start = 14 + size;
    if (count > 65536 || start + entry * count > bytes.length) {
      throw damaged(name, "its palette is missing");
    }
    const palette = new Uint8Array(3 * 256);
    for (let i = 0; i < Math.min(count, 256); i++) {
      for (let c = 0; c < 3; c++) palette[3 * i + c] = bytes[start + entry * i + 2 - c];
    }
    // A palette of greys in their order is none.
    const step = count === 2 ? 255 : 1;
    const isGrey = palette.subarray(0, 3 * count)
      .every((value, i) => value === Math.floor(i / 3) * step);
    return {
      ...common,
      channels: isGrey ? 1 : 3,
      palette,
      masks: [],
      pixelsAt: declared || start + entry * count,
    };
  }
  let masks = bits === 16 ? [0x7C00, 0x3E0, 0x1F] : [0xFF0000, 0xFF00, 0xFF];
  if (compression === BIT_FIELDS) {
    const count = size >= 56 ? 4 : 3;
    if (54 + 4 * count > bytes.length) throw damaged(name, "its bit fields are missing");
    masks = Array.from({ length: count }, (_, i) => view.getUint32(54 + 4 * i, true));
    if (masks.every((mask) => mask === 0)) masks = [0xFF0000, 0xFF00, 0xFF, 0xFF000000];
    if (masks[3] === 0) masks.pop();
    if (masks.some((mask) => widthOf(mask) === 0 || widthOf(mask) > 8)) {
      throw damaged(name, "its bit fields are not those of colors");
    }
  }
  const extra = compression === BIT_FIELDS && size === 40 ? 12 : 0;
  return {
    ...common,
    channels: masks.length,
    palette: null,
    masks,
    pixelsAt: declared || 14 + size + extra,
  };
}

/** The number of bits of a mask, or 0 where they are not side by side. */
function widthOf(mask: number): number {
  const bits = mask.toString(2).replace(/0+$/, "");
  return bits.includes("0") ? 0 : bits.length;
}

function channelOf(value: number, mask: number): number {
  const most = 2 ** widthOf(mask) - 1;
  const shift = 31 - Math.clz32(mask & -mask);
  return Math.floor(((value & mask) >>> shift) * 255 / most);
}

/** One value per byte, in the order of the file; what is left out is 0. */
function decodeRle(
  bytes: Uint8Array,
  start: number,
  isFour: boolean,
  width: number,
  height: number,
): Uint8Array {
  const values = new Uint8Array(width * height);
  let at = start;
  let to = 0;
  const put = (value: number) => {
    if (to < values.length) values[to++] = value;
  };
  while (at + 1 < bytes.length && to < values.length) {
    const [count, value] = [bytes[at], bytes[at + 1]];
    at += 2;
    if (count > 0) {
      const length = Math.min(count, width - to % width);
      for (let i = 0; i < length; i++) {
        put(isFour ? (i % 2 === 0 ? value >> 4 : value & 15) : value);
      }
      // A full line is ended by its own code, which must not skip the next one.
      if (to % width === 0 && bytes[at] === 0 && bytes[at + 1] === 0) at += 2;
    } else if (value === 0) {
      to = Math.ceil(to / width) * width;
    } else if (value === 1) {
      break;
    } else if (value === 2) {
      to += (bytes[at] ?? 0) + (bytes[at + 1] ?? 0) * width;
      at += 2;
    } else {
      const size = isFour ? Math.ceil(value / 2) : value;
      for (let i = 0; i < value; i++) {
        const byte = bytes[at + (isFour ? i >> 1 : i)] ?? 0;
        put(isFour ? (i % 2 === 0 ? byte >> 4 : byte & 15) : byte);
      }
      at += size + size % 2;
    }
  }
  return values;
}

function damaged(name: string, what: string): FormatError {
  return new FormatError(`${name} is a truncated or corrupt bitmap: ${what}.`);
}

/** The row of BMP. */
export const BMP: ImageFormat = {
  name: "BMP",
  extensions: [".bmp", ".dib"],
  is: isBmp,
  probe: probeBmp,
  decode: decodeBmp,
};
