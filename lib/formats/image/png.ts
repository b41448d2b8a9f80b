/**
 * PNG: grey, RGB, palette, with or without alpha, interlaced or not, of all depths. Pixels are those
 * that Pillow reads, also of files that are damaged where it does not matter to them.
 *
 * Specification: https://www.w3.org/TR/png-3/ (the section numbers below). The compression is
 * zlib's own, which Deno brings; what remains is small enough to be here instead of a dependency.
 *
 * @module
 */

import { constants, deflateSync, inflateSync } from "node:zlib";
import { joinArrays } from "../../base/arrays.ts";
import { FormatError } from "../../base/errors.ts";
import { checksum } from "../archive/crc32.ts";
import { exifOrientation } from "./exif.ts";
import {
  checkSize,
  type DecodedImage,
  type Image,
  type ImageFormat,
  type ImageShape,
  ODD,
  oddities,
  orientationOddity,
  type ProbedImage,
} from "./pixels.ts";

const SIGNATURE = [0x89, 0x50, 0x4E, 0x47, 0x0D, 0x0A, 0x1A, 0x0A];

/** Colour types of the header (11.2.1), by number. */
const GREY = 0;
const RGB = 2;
const PALETTE = 3;
const GREY_ALPHA = 4;
const RGBA = 6;
/** Samples per pixel in the file. */
const SAMPLES = new Map([[GREY, 1], [RGB, 3], [PALETTE, 1], [GREY_ALPHA, 2], [RGBA, 4]]);

/** The seven passes of Adam7 (8.1): first column and row, and the steps between them. */
const ADAM7 = [
  [0, 0, 8, 8],
  [4, 0, 8, 8],
  [0, 4, 4, 8],
  [2, 0, 4, 4],
  [0, 2, 2, 4],
  [1, 0, 2, 2],
  [0, 1, 1, 2],
] as const;

interface Header extends ImageShape {
  readonly bitDepth: number;
  readonly colourType: number;
  readonly interlaced: boolean;
}

/** Whether the bytes start like a PNG file. */
export function isPng(bytes: Uint8Array): boolean {
  return SIGNATURE.every((byte, i) => bytes[i] === byte);
}

/** Size and channels of the decoded picture; `bytes` need only hold the first 33 bytes. */
export function probePng(bytes: Uint8Array, name: string): ProbedImage {
  const { width, height, channels, bitDepth, colourType } = readHeader(bytes, name);
  const found = checkSize(width, height, name);
  if (bitDepth === 16) {
    found.push(colourType === GREY ? ODD.deepGrey : ODD.deep);
  }
  for (const { type, content } of chunksBeforePixels(bytes)) {
    if (type === "eXIf") found.push(...orientationOddity(exifOrientation(content)));
    if (type === "acTL") found.push(ODD.frames);
  }
  return { width, height, channels, ...oddities(found) };
}

/** Chunks that lie whole in `bytes` and before the pixels. */
function* chunksBeforePixels(bytes: Uint8Array): Generator<{ type: string; content: Uint8Array }> {
  const fields = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  for (let at = 33; at + 12 <= bytes.length;) {
    const end = at + 12 + fields.getUint32(at);
    const type = chunkName(bytes, at);
    if (type === "IDAT" || end > bytes.length) return;
    yield { type, content: bytes.subarray(at + 8, end - 4) };
    at = end;
  }
}

/**
 * Decodes a PNG file. A palette becomes RGB and its transparency is ignored, as by PIL's
 * `convert("RGB")`; grey of 1, 2 or 4 bits is scaled to 0..255; of 16 bits the high ones are taken,
 * but of grey the values are clipped.
 *
 * @throws {FormatError} when the file is damaged so that its pixels are in doubt
 */
export function decodePng(bytes: Uint8Array, name: string): DecodedImage {
  const header = readHeader(bytes, name);
  const { palette, compressed, found } = readChunks(bytes, name);
  const { width, height, channels } = header;
  const passes = header.interlaced ? ADAM7 : [[0, 0, 1, 1] as const];
  const sizes = passes.map(([x, y, dx, dy]) => ({
    columns: Math.ceil((width - x) / dx),
    rows: Math.ceil((height - y) / dy),
  }));
  const bitsPerPixel = header.bitDepth * SAMPLES.get(header.colourType)!;
  const rowBytes = (columns: number) => Math.ceil(columns * bitsPerPixel / 8);
  let expected = 0;
  for (const { columns, rows } of sizes) {
    if (columns > 0) expected += rows * (1 + rowBytes(columns));
  }
  const { raw, isCut } = inflate(compressed, expected, found.has(CUT), name);
  if (isCut) found.add(CUT);

  const data = new Uint8Array(width * height * channels);
  let position = 0;
  passes.forEach(([x0, y0, dx, dy], pass) => {
    const { columns, rows } = sizes[pass];
    if (columns === 0) return;
    const length = rowBytes(columns);
    let above: Uint8Array = new Uint8Array(length);
    for (let row = 0; row < rows; row++) {
      const line = raw.subarray(position + 1, position + 1 + length);
      unfilter(raw[position], line, above, Math.ceil(bitsPerPixel / 8), name);
      position += 1 + length;
      const target = ((y0 + row * dy) * width + x0) * channels;
      if (!writePixels(line, columns, header, palette, data, target, dx * channels)) {
        found.add("colors that are not in its palette, which become black, as by Pillow");
      }
      above = line;
    }
  });
  return { width, height, channels, data, ...oddities([...found]) };
}

/** The oddity of a file whose end is missing, though none of its pixels. */
const CUT = "a cut end, behind the last pixel";

/**
 * Encodes 8-bit pixels with 1 (grey), 2, 3 (RGB) or 4 channels. The same pixels give the same
 * bytes.
 */
export function encodePng({ width, height, channels, data }: Image): Uint8Array<ArrayBuffer> {
  const colourType = [GREY, GREY_ALPHA, RGB, RGBA][channels - 1];
  if (colourType === undefined || data.length !== width * height * channels || data.length === 0) {
    throw new FormatError(
      `A PNG file needs 1 to 4 channels and ${width} x ${height} x ${channels} values, ` +
        `but was given ${data.length}.`,
    );
  }
  const header = new Uint8Array(13);
  new DataView(header.buffer).setUint32(0, width);
  new DataView(header.buffer).setUint32(4, height);
  header.set([8, colourType], 8);
  return joinArrays(Uint8Array, [
    SIGNATURE,
    chunk("IHDR", header),
    chunk("IDAT", deflateSync(filterRows(data, width * channels, channels))),
    chunk("IEND", new Uint8Array()),
  ]);
}

function readHeader(bytes: Uint8Array, name: string): Header {
  if (bytes.length < 33 || !isPng(bytes) || chunkName(bytes, 8) !== "IHDR") {
    throw new FormatError(`${name} is not a PNG file, or is truncated: its header is missing.`);
  }
  const fields = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const width = fields.getUint32(16);
  const height = fields.getUint32(20);
  const [bitDepth, colourType, compression, filter, interlace] = bytes.subarray(24, 29);
  if (fields.getUint32(8) !== 13 || checksum(bytes.subarray(12, 29)) !== fields.getUint32(29)) {
    throw new FormatError(`${name} is corrupt: the checksum of its header is wrong.`);
  }
  checkSize(width, height, name);
  const samples = SAMPLES.get(colourType);
  const depths = colourType === GREY
    ? [1, 2, 4, 8, 16]
    : colourType === PALETTE
    ? [1, 2, 4, 8]
    : [8, 16];
  if (samples === undefined || !depths.includes(bitDepth)) {
    throw new FormatError(
      `${name} is corrupt: there is no colour type ${colourType} with ${bitDepth} bits.`,
    );
  }
  if (compression !== 0 || filter !== 0 || interlace > 1) {
    throw new FormatError(`${name} is corrupt: its header asks for methods that do not exist.`);
  }
  const channels = colourType === PALETTE ? 3 : samples;
  return { width, height, channels, bitDepth, colourType, interlaced: interlace === 1 };
}

/**
 * The palette and the compressed pixels. Up to the pixels every chunk must be whole; from there on
 * damage that does not reach the pixels is an oddity: zlib has a checksum of its own for them.
 */
function readChunks(
  bytes: Uint8Array,
  name: string,
): { palette: Uint8Array; compressed: Uint8Array; found: Set<string> } {
  const fields = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  let palette = new Uint8Array();
  const parts: Uint8Array[] = [];
  const found = new Set<string>();
  for (let at = 8;;) {
    const length = at + 12 <= bytes.length ? fields.getUint32(at) : Infinity;
    const end = at + 12 + length;
    const type = at + 8 <= bytes.length ? chunkName(bytes, at) : "";
    if (end > bytes.length) {
      if (type === "IDAT") parts.push(bytes.subarray(at + 8));
      if (parts.length === 0) {
        throw new FormatError(`${name} is truncated: it ends within a chunk at byte ${at}.`);
      }
      found.add(CUT);
      break;
    }
    if (parts.length > 0 && !/^[A-Za-z]{4}$/.test(type)) {
      found.add("something behind its pixels that is no PNG");
      break;
    }
    const isIntact = checksum(bytes.subarray(at + 4, end - 4)) === fields.getUint32(end - 4);
    if (!isIntact && parts.length === 0 && type !== "IDAT") {
      throw new FormatError(
        `${name} is corrupt: the checksum of its chunk at byte ${at} is wrong.`,
      );
    }
    if (!isIntact) found.add(`a wrong checksum in its chunk ${type}`);
    const content = bytes.subarray(at + 8, end - 4);
    if (type === "IEND") break;
    if (type === "PLTE") palette = Uint8Array.from(content);
    else if (type === "IDAT") parts.push(content);
    else if (type !== "IHDR" && (bytes[at + 4] & 0x20) === 0) { // an upper-case name: critical
      found.add(`the unknown PNG extension ${JSON.stringify(type)}`);
    }
    at = end;
  }
  return {
    palette,
    compressed: parts.length === 1 ? parts[0] : joinArrays(Uint8Array, parts),
    found,
  };
}

/** Decompresses, bounded: a few bytes could otherwise become gigabytes. */
function inflate(
  compressed: Uint8Array,
  expected: number,
  isTruncated: boolean,
  name: string,
): { raw: Uint8Array; isCut: boolean } {
  // Some encoders append a few bytes too many, which every decoder forgives.
  const maxOutputLength = expected + 1024;
  const attempt = (options: { finishFlush?: number }) => {
    try {
      return inflateSync(compressed, { maxOutputLength, ...options });
    } catch {
      return null; // told below: the message of zlib names no file
    }
  };
  const whole = attempt({});
  // Without its end there is no checksum, but there may be all pixels.
  const raw = whole ?? attempt({ finishFlush: constants.Z_SYNC_FLUSH });
  if (raw === null || raw.length < expected) {
    throw new FormatError(
      `${name} is ${
        isTruncated ? "truncated" : "corrupt"
      }: its pixels do not decompress to the expected ${expected} bytes` +
        `${raw === null ? "" : ` but to ${raw.length}`}.`,
    );
  }
  return { raw, isCut: whole === null };
}

/** Turns a row of differences into a row of values, in place (9.2). */
function unfilter(
  type: number,
  line: Uint8Array,
  above: Uint8Array,
  distance: number,
  name: string,
): void {
  if (type > 4) throw new FormatError(`${name} is corrupt: there is no row filter ${type}.`);
  if (type === 0) return;
  for (let i = 0; i < line.length; i++) {
    const left = i < distance ? 0 : line[i - distance];
    const up = above[i];
    const upLeft = i < distance ? 0 : above[i - distance];
    line[i] += predict(type, left, up, upLeft);
  }
}

/** What a filter expects a value to be, from its neighbours. */
function predict(type: number, left: number, up: number, upLeft: number): number {
  if (type === 1) return left;
  if (type === 2) return up;
  if (type === 3) return (left + up) >> 1;
  if (type !== 4) return 0;
  // Paeth: whichever neighbour is nearest to left + up - upLeft.
  const toLeft = Math.abs(up - upLeft);
  const toUp = Math.abs(left - upLeft);
  const toUpLeft = Math.abs(left + up - 2 * upLeft);
  return toLeft <= toUp && toLeft <= toUpLeft ? left : toUp <= toUpLeft ? up : upLeft;
}

/**
 * Expands or reduces one row to 8 bits per channel; `step` is the distance of its pixels in `data`.
 *
 * @returns whether all of its colors are in the palette; those that are not stay black
 */
function writePixels(
  line: Uint8Array,
  columns: number,
  { bitDepth, colourType, channels }: Header,
  palette: Uint8Array,
  data: Uint8Array,
  target: number,
  step: number,
): boolean {
  if (bitDepth === 8 && colourType !== PALETTE) {
    for (let column = 0; column < columns; column++, target += step) {
      for (let c = 0; c < channels; c++) data[target + c] = line[column * channels + c];
    }
    return true;
  }
  if (bitDepth === 16) {
    for (let column = 0; column < columns; column++, target += step) {
      for (let c = 0; c < channels; c++) {
        const at = 2 * (column * channels + c);
        data[target + c] = channels > 1 ? line[at] : line[at] > 0 ? 255 : line[at + 1];
      }
    }
    return true;
  }
  let isComplete = true;
  const mask = (1 << bitDepth) - 1;
  for (let column = 0; column < columns; column++, target += step) {
    const bit = column * bitDepth;
    const value = (line[bit >> 3] >> (8 - bitDepth - (bit & 7))) & mask;
    if (colourType === GREY) {
      data[target] = value * 255 / mask;
    } else if (3 * value + 2 < palette.length) {
      for (let c = 0; c < 3; c++) data[target + c] = palette[3 * value + c];
    } else isComplete = false;
  }
  return isComplete;
}

/** Chooses for each row the filter with the smallest sum of differences (12.7), and applies it. */
function filterRows(data: Uint8Array, rowBytes: number, distance: number): Uint8Array {
  const rows = data.length / rowBytes;
  const result = new Uint8Array(rows * (rowBytes + 1));
  const candidate = new Uint8Array(rowBytes);
  let above: Uint8Array = new Uint8Array(rowBytes);
  for (let row = 0; row < rows; row++) {
    const line = data.subarray(row * rowBytes, (row + 1) * rowBytes);
    const start = row * (rowBytes + 1);
    let smallest = Infinity;
    for (let type = 0; type <= 4; type++) {
      let sum = 0;
      for (let i = 0; i < rowBytes; i++) {
        const left = i < distance ? 0 : line[i - distance];
        const upLeft = i < distance ? 0 : above[i - distance];
        const difference = (line[i] - predict(type, left, above[i], upLeft)) & 255;
        candidate[i] = difference;
        sum += difference < 128 ? difference : 256 - difference;
      }
      if (sum < smallest) {
        smallest = sum;
        result[start] = type;
        result.set(candidate, start + 1);
      }
    }
    above = line;
  }
  return result;
}

function chunk(type: string, content: Uint8Array): Uint8Array {
  const bytes = new Uint8Array(12 + content.length);
  const fields = new DataView(bytes.buffer);
  fields.setUint32(0, content.length);
  for (let i = 0; i < 4; i++) bytes[4 + i] = type.charCodeAt(i);
  bytes.set(content, 8);
  fields.setUint32(8 + content.length, checksum(bytes.subarray(4, 8 + content.length)));
  return bytes;
}

function chunkName(bytes: Uint8Array, at: number): string {
  return String.fromCharCode(...bytes.subarray(at + 4, at + 8));
}

/** The row of PNG. */
export const PNG: ImageFormat = {
  name: "PNG",
  extensions: [".png"],
  is: isPng,
  probe: probePng,
  decode: decodePng,
};
