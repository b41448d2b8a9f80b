/**
 * The first picture of TIFF files of 1 to 16 bits: grey, RGB, palette and CMYK, in strips or tiles,
 * plain or compressed by LZW, Deflate, PackBits or JPEG. Pixels are those of Pillow.
 *
 * Specification: TIFF 6.0 (Adobe 1992).
 *
 * @module
 */

import { constants, inflateSync } from "node:zlib";
import { FormatError } from "../../base/errors.ts";
import { decodeJpeg, loadJpegDecoder } from "./jpeg.ts";
import { lzwDecode } from "./lzw.ts";
import {
  checkSize,
  cmykToRgb,
  type DecodedImage,
  type Image,
  type ImageFormat,
  ODD,
  oddities,
  type ProbedImage,
} from "./pixels.ts";

/** Tags that matter here. */
const TAG = {
  width: 256,
  height: 257,
  bits: 258,
  compression: 259,
  photometric: 262,
  fillOrder: 266,
  stripOffsets: 273,
  orientation: 274,
  samples: 277,
  rowsPerStrip: 278,
  stripCounts: 279,
  planar: 284,
  predictor: 317,
  colorMap: 320,
  tileWidth: 322,
  tileHeight: 323,
  tileOffsets: 324,
  tileCounts: 325,
  extraSamples: 338,
  jpegTables: 347,
  sampleFormat: 339,
} as const;

/** Photometric interpretations. */
const WHITE_IS_ZERO = 0;
const BLACK_IS_ZERO = 1;
const RGB = 2;
const PALETTE = 3;
const CMYK = 5;
const YCBCR = 6;

/** Bytes of the types of values; others are not numbers that matter here. */
const TYPE_SIZE = new Map([[1, 1], [3, 2], [4, 4], [7, 1]]);
const COMPRESSIONS = new Map([
  [1, "none"],
  [5, "lzw"],
  [8, "deflate"],
  [32946, "deflate"],
  [32773, "packbits"],
  [7, "jpeg"],
]);
/** Names of compressions that are not read. */
const OTHER = new Map([
  [2, "CCITT"],
  [3, "CCITT Group 3"],
  [4, "CCITT Group 4"],
  [6, "old JPEG"],
  [34925, "LZMA"],
  [50000, "Zstandard"],
  [50001, "WebP"],
]);

/** Whether the bytes start like a TIFF file. */
export function isTiff(bytes: Uint8Array): boolean {
  const start = String.fromCharCode(...bytes.subarray(0, 4));
  return /^(II[*+]\0|MM\0[*+])$/.test(start);
}

/**
 * Size and channels.
 *
 * @throws {FormatError} when `bytes` do not hold the description of the picture, which may lie at
 * the end of the file, or it is of a kind that is not read
 */
export function probeTiff(bytes: Uint8Array, name: string): ProbedImage {
  const { width, height, channels, orientation, bits, color } = readDirectory(bytes, name);
  const found = checkSize(width, height, name);
  const turned = orientation >= 5;
  if (orientation > 1) found.push("an orientation in TIFF, which is applied, as by Pillow");
  if (bits === 16) {
    found.push(channels === 1 ? ODD.deepGrey : ODD.deep);
  }
  if (color === CMYK) found.push(ODD.cmyk);
  return {
    width: turned ? height : width,
    height: turned ? width : height,
    channels,
    ...oddities(found),
  };
}

/**
 * Decodes it; `loadJpegDecoder` must have been awaited before.
 *
 * @throws {FormatError} when it is damaged, or of a kind that is not read
 */
export function decodeTiff(bytes: Uint8Array, name: string): DecodedImage {
  const directory = readDirectory(bytes, name);
  const { width, height, channels, color, bits, samples, palette, orientation } = directory;
  checkSize(width, height, name);
  const values = readSamples(bytes, directory, name);
  const pixels = width * height;
  const data = new Uint8Array(pixels * (color === CMYK ? 4 : channels));
  const kept = data.length / pixels;
  const most = 2 ** bits - 1;
  const toByte = (value: number) => {
    // 16 bits of grey are clipped, and Pillow does not turn them round where white is 0.
    if (bits === 16) return channels === 1 ? Math.min(255, value) : value >> 8;
    const byte = value * 255 / most;
    return color === WHITE_IS_ZERO ? 255 - byte : byte;
  };
  for (let i = 0; i < pixels; i++) {
    for (let c = 0; c < kept; c++) {
      data[i * kept + c] = palette
        // A color map has all reds, then all greens, of 16 bits.
        ? palette[(c << bits) + values[i * samples]] >> 8
        : toByte(values[i * samples + c]);
    }
  }
  const image = { width, height, channels, data: color === CMYK ? cmykToRgb(data) : data };
  return orientation > 1 ? turn(image, orientation) : image;
}

interface Directory {
  readonly littleEndian: boolean;
  readonly width: number;
  readonly height: number;
  /** Of the result. */
  readonly channels: number;
  /** Numbers per pixel in the file. */
  readonly samples: number;
  readonly bits: number;
  readonly color: number;
  readonly compression: string;
  readonly isPlanar: boolean;
  readonly hasPredictor: boolean;
  readonly palette: readonly number[] | null;
  /** What all strips of JPEG share, a file without a picture; or nothing. */
  readonly jpegTables: Uint8Array;
  readonly orientation: number;
  readonly blockWidth: number;
  readonly blockHeight: number;
  readonly offsets: readonly number[];
  readonly counts: readonly number[];
}

function readDirectory(bytes: Uint8Array, name: string): Directory {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const little = bytes[0] === 0x49;
  if (bytes.length < 8) throw damaged(name, "it has no directory");
  if (view.getUint16(2, little) === 43) throw unsupported(name, "in the format BigTIFF");
  const at = view.getUint32(4, little);
  const count = at + 2 <= bytes.length ? view.getUint16(at, little) : 0;
  if (count === 0 || at + 2 + 12 * count > bytes.length) throw damaged(name, "it has no directory");
  const entries = new Map<number, number>();
  for (let i = 0, entry = at + 2; i < count; i++, entry += 12) {
    entries.set(view.getUint16(entry, little), entry);
  }
  const list = (tag: number): number[] => {
    const entry = entries.get(tag);
    if (entry === undefined) return [];
    const size = TYPE_SIZE.get(view.getUint16(entry + 2, little));
    const length = view.getUint32(entry + 4, little);
    if (size === undefined) throw damaged(name, `its tag ${tag} has no known type`);
    const start = size * length <= 4 ? entry + 8 : view.getUint32(entry + 8, little);
    if (start + size * length > bytes.length) throw damaged(name, `its tag ${tag} is missing`);
    const read = (at: number) =>
      size === 1 ? bytes[at] : size === 2 ? view.getUint16(at, little) : view.getUint32(at, little);
    return Array.from({ length }, (_, i) => read(start + i * size));
  };
  const one = (tag: number, otherwise: number) => list(tag)[0] ?? otherwise;

  const [width, height] = [one(TAG.width, 0), one(TAG.height, 0)];
  const samples = one(TAG.samples, 1);
  const depths = list(TAG.bits);
  const bits = depths[0] ?? 1;
  const code = one(TAG.compression, 1);
  const compression = COMPRESSIONS.get(code);
  const stored = one(TAG.photometric, BLACK_IS_ZERO);
  // JPEG turns its own colors into RGB.
  const color = stored === YCBCR && compression === "jpeg" && samples === 3 ? RGB : stored;
  if (compression === undefined) {
    throw unsupported(name, `compressed by ${OTHER.get(code) ?? `method ${code}`}`);
  }
  const base = color === RGB ? 3 : color === CMYK ? 4 : 1;
  const extra = list(TAG.extraSamples);
  const isKnown = color <= PALETTE || color === CMYK;
  const format = one(TAG.sampleFormat, 1);
  const isPlanar = one(TAG.planar, 1) === 2 && samples > 1;
  const fitsJpeg = bits === 8 && samples === base && !isPlanar &&
    (color === BLACK_IS_ZERO || color === RGB);
  if (
    !isKnown || samples < base || samples > 8 || depths.some((depth) => depth !== bits) ||
    ![1, 2, 4, 8, 16].includes(bits) || (bits < 8 && samples > 1) || format !== 1 ||
    (color === PALETTE && bits === 16) || (compression === "jpeg" && !fitsJpeg) ||
    one(TAG.fillOrder, 1) !== 1 || extra[0] === 1
  ) {
    throw unsupported(
      name,
      `of ${samples} samples of ${depths.join(", ")} bits (photometric interpretation ${color}, ` +
        `sample format ${format}${extra[0] === 1 ? ", premultiplied" : ""})`,
    );
  }
  // Of four samples of RGB the last one is alpha unless it is said to mean nothing.
  const hasAlpha = samples > base && color !== PALETTE && color !== CMYK &&
    (extra.length === 0 ? color === RGB : extra[0] !== 0);
  const map = color === PALETTE ? list(TAG.colorMap) : null;
  if (map !== null && map.length < 3 << bits) throw damaged(name, "its color map is missing");
  const isTiled = entries.has(TAG.tileWidth);
  const rows = one(TAG.rowsPerStrip, height);
  return {
    littleEndian: little,
    width,
    height,
    channels: color === RGB || color === PALETTE || color === CMYK
      ? 3 + Number(hasAlpha)
      : 1 + Number(hasAlpha),
    samples,
    bits,
    color,
    compression,
    isPlanar,
    hasPredictor: one(TAG.predictor, 1) === 2,
    palette: map,
    jpegTables: withColors(Uint8Array.from(list(TAG.jpegTables)), stored),
    orientation: one(TAG.orientation, 1) <= 8 ? one(TAG.orientation, 1) : 1,
    blockWidth: isTiled ? one(TAG.tileWidth, 0) : width,
    blockHeight: isTiled ? one(TAG.tileHeight, 0) : Math.min(rows, height),
    offsets: list(isTiled ? TAG.tileOffsets : TAG.stripOffsets),
    counts: list(isTiled ? TAG.tileCounts : TAG.stripCounts),
  };
}

/** All numbers, pixel by pixel. */
function readSamples(bytes: Uint8Array, directory: Directory, name: string): Uint16Array {
  const { width, height, samples, bits, isPlanar, blockWidth, blockHeight } = directory;
  if (blockWidth < 1 || blockHeight < 1) throw damaged(name, "its strips or tiles have no size");
  const across = Math.ceil(width / blockWidth);
  const down = Math.ceil(height / blockHeight);
  const planes = isPlanar ? samples : 1;
  const perPixel = isPlanar ? 1 : samples;
  if (directory.offsets.length < across * down * planes) {
    throw damaged(name, "some of its strips or tiles are missing");
  }
  const values = new Uint16Array(width * height * samples);
  const rowBytes = Math.ceil(blockWidth * perPixel * bits / 8);
  for (let index = 0; index < across * down * planes; index++) {
    const plane = Math.floor(index / (across * down));
    const left = index % across * blockWidth;
    const top = Math.floor(index / across) % down * blockHeight;
    const rows = Math.min(blockHeight, height - top);
    const block = readBlock(bytes, directory, index, { rowBytes, rows }, name);
    const columns = Math.min(blockWidth, width - left);
    for (let row = 0; row < rows; row++) {
      const line = unpack(block.subarray(row * rowBytes, (row + 1) * rowBytes), directory);
      if (directory.hasPredictor) {
        const mask = 2 ** bits - 1;
        for (let i = perPixel; i < line.length; i++) line[i] = line[i] + line[i - perPixel] & mask;
      }
      for (let column = 0; column < columns; column++) {
        const to = ((top + row) * width + left + column) * samples + plane;
        for (let c = 0; c < perPixel; c++) values[to + c] = line[column * perPixel + c];
      }
    }
  }
  return values;
}

/** Rows of a strip or tile. */
interface BlockSize {
  readonly rowBytes: number;
  readonly rows: number;
}

/** A strip or tile, decompressed: at least its rows. */
function readBlock(
  bytes: Uint8Array,
  { offsets, counts, compression, jpegTables, samples }: Directory,
  index: number,
  { rowBytes, rows }: BlockSize,
  name: string,
): Uint8Array {
  const size = rowBytes * rows;
  const start = offsets[index];
  const data = bytes.subarray(start, start + (counts[index] ?? bytes.length - start));
  if (compression === "jpeg") {
    const { width, height, channels, data: pixels } = decodeJpeg(joined(jpegTables, data), name);
    if (width * samples !== rowBytes || channels !== samples || height < rows) {
      throw damaged(name, `its strip ${index} is ${width} x ${height}`);
    }
    return pixels;
  }
  const block = decompress(data, compression, size);
  if (block.length >= size) return block;
  throw new FormatError(
    `${name} is truncated or corrupt: ${block.length} of ${size} bytes of its strip ${index} can ` +
      `be read.`,
  );
}

/** The tables without their end, and a strip without its beginning. */
function joined(tables: Uint8Array, strip: Uint8Array): Uint8Array {
  const file = new Uint8Array(tables.length + Math.max(0, strip.length - 2));
  file.set(tables);
  file.set(strip.subarray(2), tables.length);
  return file;
}

/** Tables of JPEG, open at their end, with Adobe's marker that says whether colors are YCbCr. */
function withColors(tables: Uint8Array, color: number): Uint8Array {
  const adobe = [0xFF, 0xEE, 0, 14, ...new TextEncoder().encode("Adobe"), 0, 100, 0, 0, 0, 0];
  const inner = tables.length >= 4 ? tables.subarray(2, -2) : [];
  return Uint8Array.from([0xFF, 0xD8, ...adobe, color === YCBCR ? 1 : 0, ...inner]);
}

function decompress(data: Uint8Array, compression: string, size: number): Uint8Array {
  switch (compression) {
    case "lzw":
      return lzwDecode(data, { bits: 8, highFirst: true, early: 1 }, size);
    case "packbits":
      return unpackBits(data, size);
    case "deflate":
      try {
        const options = { finishFlush: constants.Z_SYNC_FLUSH, maxOutputLength: size + 1024 };
        return inflateSync(data, options);
      } catch {
        return new Uint8Array(); // told by the caller: the message of zlib names no file
      }
    default:
      return data;
  }
}

/** Runs: a count, and that many bytes or one that is repeated. */
function unpackBits(data: Uint8Array, size: number): Uint8Array {
  const output = new Uint8Array(size);
  let filled = 0;
  for (let at = 0; at < data.length && filled < size;) {
    const count = data[at++];
    if (count === 128) continue;
    if (count < 128) {
      const run = data.subarray(at, at + count + 1).subarray(0, size - filled);
      output.set(run, filled);
      filled += run.length;
      at += count + 1;
    } else {
      const end = Math.min(size, filled + 257 - count);
      output.fill(data[at++], filled, end);
      filled = end;
    }
  }
  return output.subarray(0, filled);
}

/** The numbers of a row of bytes. */
function unpack(line: Uint8Array, { bits, littleEndian }: Directory): Uint16Array {
  if (bits === 8) return Uint16Array.from(line);
  if (bits === 16) {
    const view = new DataView(line.buffer, line.byteOffset, line.byteLength);
    return Uint16Array.from(
      { length: line.length >> 1 },
      (_, i) => view.getUint16(2 * i, littleEndian),
    );
  }
  const mask = (1 << bits) - 1;
  return Uint16Array.from({ length: line.length * 8 / bits }, (_, i) => {
    const bit = i * bits;
    return line[bit >> 3] >> (8 - bits - (bit & 7)) & mask;
  });
}

/** As the tag says where row 0 and column 0 are to be: 2 to 4 as they lie, 5 to 8 transposed. */
function turn({ width, height, channels, data }: Image, orientation: number): Image {
  const transposed = orientation >= 5;
  const flipsColumns = [2, 3, 7, 8].includes(orientation);
  const flipsRows = [3, 4, 6, 7].includes(orientation);
  const [columns, rows] = transposed ? [height, width] : [width, height];
  const result = new Uint8Array(data.length);
  for (let y = 0, to = 0; y < rows; y++) {
    for (let x = 0; x < columns; x++, to += channels) {
      const [column, row] = transposed ? [y, x] : [x, y];
      const from = (flipsRows ? height - 1 - row : row) * width +
        (flipsColumns ? width - 1 - column : column);
      for (let c = 0; c < channels; c++) result[to + c] = data[from * channels + c];
    }
  }
  return { width: columns, height: rows, channels, data: result };
}

function damaged(name: string, what: string): FormatError {
  return new FormatError(`${name} is a truncated or corrupt TIFF file: ${what}.`);
}

function unsupported(name: string, what: string): FormatError {
  return new FormatError(`${name} is a TIFF file ${what}, which is not read; convert it to PNG.`);
}

/** The row of TIFF. */
export const TIFF: ImageFormat = {
  name: "TIFF",
  extensions: [".tif", ".tiff"],
  is: isTiff,
  probe: probeTiff,
  decode: decodeTiff,
  load: loadJpegDecoder,
};
