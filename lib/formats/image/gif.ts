/**
 * The first frame of GIF files, as Pillow shows it. Specification: GIF89a (CompuServe 1990).
 *
 * @module
 */

import { joinArrays } from "../../base/arrays.ts";
import { FormatError } from "../../base/errors.ts";
import { lzwDecode } from "./lzw.ts";
import {
  checkSize,
  type DecodedImage,
  type ImageFormat,
  ODD,
  oddities,
  type ProbedImage,
} from "./pixels.ts";

const SEPARATOR = 0x2C;
const EXTENSION = 0x21;
const GRAPHIC_CONTROL = 0xF9;
/** First row and step of the passes of an interlaced frame. */
const PASSES = [[0, 8], [4, 8], [2, 4], [1, 2]] as const;

/** Whether the bytes start like a GIF file. */
export function isGif(bytes: Uint8Array): boolean {
  return /^GIF8[79]a/.test(String.fromCharCode(...bytes.subarray(0, 6)));
}

/** Size of the first frame, and 3 channels. @throws {FormatError} when `bytes` do not reach to it */
export function probeGif(bytes: Uint8Array, name: string): ProbedImage {
  const { width, height } = readFrame(bytes, name);
  return { width, height, channels: 3, ...oddities(checkSize(width, height, name)) };
}

/** Decodes the first frame to RGB. @throws {FormatError} when it is damaged */
export function decodeGif(bytes: Uint8Array, name: string): DecodedImage {
  const frame = readFrame(bytes, name);
  const { width, height, columns, rows, left, top, palette, transparent } = frame;
  checkSize(width, height, name);
  const { data: compressed, end } = joinBlocks(bytes, frame.dataAt + 1);
  const bits = bytes[frame.dataAt];
  if (!(bits >= 1 && bits <= 8)) throw damaged(name);
  const kind = { bits, highFirst: false, early: 0 } as const;
  const indices = lzwDecode(compressed, kind, columns * rows);
  if (indices.length < columns * rows) {
    throw new FormatError(
      `${name} is truncated or corrupt: it has ${indices.length} of ${columns * rows} pixels.`,
    );
  }
  const canvas = new Uint8Array(width * height).fill(transparent ?? 0);
  const passes = frame.isInterlaced ? PASSES : [[0, 1]] as const;
  let from = 0;
  for (const [first, step] of passes) {
    for (let row = first; row < rows; row += step, from += columns) {
      canvas.set(indices.subarray(from, from + columns), (top + row) * width + left);
    }
  }
  const data = new Uint8Array(3 * canvas.length);
  canvas.forEach((index, i) => data.set(palette.subarray(3 * index, 3 * index + 3), 3 * i));
  const isAnimated = findFrame(bytes, end) !== null;
  return {
    width,
    height,
    channels: 3,
    data,
    ...oddities(isAnimated ? [ODD.frames] : []),
  };
}

interface Frame {
  /** Of the canvas. */
  readonly width: number;
  readonly height: number;
  readonly columns: number;
  readonly rows: number;
  readonly left: number;
  readonly top: number;
  readonly isInterlaced: boolean;
  /** 256 colors; without a palette values are grey. */
  readonly palette: Uint8Array;
  readonly transparent: number | null;
  /** Where the number of bits of the pixels is. */
  readonly dataAt: number;
}

function readFrame(bytes: Uint8Array, name: string): Frame {
  if (bytes.length < 13) throw damaged(name);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const flags = bytes[10];
  const own = flags & 0x80 ? 3 << (flags & 7) + 1 : 0;
  const found = findFrame(bytes, 13 + own);
  if (found === null || found.at + 10 > bytes.length) throw damaged(name);
  const { at, transparent } = found;
  const [left, top, columns, rows] = [1, 3, 5, 7].map((i) => view.getUint16(at + i, true));
  const local = bytes[at + 9] & 0x80 ? 3 << (bytes[at + 9] & 7) + 1 : 0;
  const [start, length] = local > 0 ? [at + 10, local] : [13, own];
  const dataAt = at + 10 + local;
  if (dataAt >= bytes.length || columns === 0 || rows === 0) throw damaged(name);
  const palette = length > 0
    ? new Uint8Array(768)
    : Uint8Array.from({ length: 768 }, (_, i) => Math.floor(i / 3));
  palette.set(bytes.subarray(start, start + length));
  return {
    width: Math.max(view.getUint16(6, true), left + columns), // Pillow's canvas grows with its frame
    height: Math.max(view.getUint16(8, true), top + rows),
    columns,
    rows,
    left,
    top,
    isInterlaced: (bytes[at + 9] & 0x40) !== 0,
    palette,
    transparent,
    dataAt,
  };
}

/** Where the next frame begins, and which color is transparent in it; null where there is none. */
function findFrame(
  bytes: Uint8Array,
  start: number,
): { at: number; transparent: number | null } | null {
  let transparent: number | null = null;
  for (let at = start; at < bytes.length;) {
    if (bytes[at] === SEPARATOR) return { at, transparent };
    if (bytes[at] !== EXTENSION) {
      if (bytes[at] === 0x3B) return null; // the end
      at++; // Pillow passes over what means nothing, too
      continue;
    }
    if (bytes[at + 1] === GRAPHIC_CONTROL && bytes[at + 3] & 1) transparent = bytes[at + 6] ?? null;
    at = joinBlocks(bytes, at + 2).end;
  }
  return null;
}

/** The data of a chain of blocks, each behind its length, of which the last one is 0. */
function joinBlocks(bytes: Uint8Array, start: number): { data: Uint8Array; end: number } {
  const parts: Uint8Array[] = [];
  let at = start;
  for (; at < bytes.length && bytes[at] > 0; at += 1 + bytes[at]) {
    parts.push(bytes.subarray(at + 1, at + 1 + bytes[at]));
  }
  return { data: joinArrays(Uint8Array, parts), end: at + 1 };
}

function damaged(name: string): FormatError {
  return new FormatError(`${name} is a truncated or corrupt GIF file: it has no frame.`);
}

/** The row of GIF. */
export const GIF: ImageFormat = {
  name: "GIF",
  extensions: [".gif"],
  is: isGif,
  probe: probeGif,
  decode: decodeGif,
};
