/**
 * The IDX format of MNIST and its relatives: two zero bytes, the element type, the number of
 * axes, the big-endian size of each axis, and the elements, row-major and big-endian.
 * Source: http://yann.lecun.com/exdb/mnist/ ("The IDX file format").
 *
 * @module
 */

import { FormatError } from "../../base/errors.ts";
import { gunzip, isGzip } from "../archive/inflate.ts";
import { NUMERIC_SIZE, type NumericType, swapBytes } from "./numeric.ts";
import { readFileBytes } from "../source.ts";

/** An array from an IDX file; `bytes` are little-endian by now. */
export interface IdxArray {
  /** Type of its numbers. */
  readonly type: NumericType;
  /** Its sizes, slowest axis first. */
  readonly shape: readonly number[];
  /** Its numbers, little endian. */
  readonly bytes: Uint8Array<ArrayBuffer>;
}

const TYPE_OF_CODE: ReadonlyMap<number, NumericType> = new Map([
  [0x08, "u8"],
  [0x09, "i8"],
  [0x0B, "i16"],
  [0x0C, "i32"],
  [0x0D, "f32"],
  [0x0E, "f64"],
]);

const MAX_BYTES = 2 ** 32;

/**
 * Reads an IDX file from the disk, compressed with gzip or not.
 *
 * @throws {FormatError} when it cannot be read or is not exactly one IDX array
 */
export async function readIdx(path: string): Promise<IdxArray> {
  return parseIdx(await readFileBytes(path, MAX_BYTES), { name: path });
}

/**
 * Parses an IDX file that is in memory, compressed with gzip or not.
 *
 * @throws {FormatError} when it is not exactly one IDX array
 */
export function parseIdx(file: Uint8Array, { name }: { name: string }): IdxArray {
  const bytes = isGzip(file) ? gunzip(file, MAX_BYTES, name) : file;
  const type = TYPE_OF_CODE.get(bytes[2]);
  const axes = bytes[3];
  if (bytes.length < 4 || bytes[0] !== 0 || bytes[1] !== 0 || type === undefined) {
    const start = [...bytes.subarray(0, 4)].map((byte) => byte.toString(16).padStart(2, "0"));
    throw new FormatError(
      `${name} is not an IDX file: expected it to start with 00 00, an element type 08-0e and the ` +
        `number of axes, found ${start.join(" ") || "nothing"}.`,
    );
  }
  const start = 4 + 4 * axes;
  if (bytes.length < start) {
    throw new FormatError(
      `${name} is truncated: expected ${start} bytes of header, found ${bytes.length}.`,
    );
  }
  const header = new DataView(bytes.buffer, bytes.byteOffset, start);
  const shape = Array.from({ length: axes }, (_, axis) => header.getUint32(4 + 4 * axis));
  const expected = shape.reduce((product, size) => product * size, NUMERIC_SIZE[type]);
  const found = bytes.length - start;
  if (found !== expected) {
    throw new FormatError(
      `${name} ${found < expected ? "is truncated" : "has bytes after its array"}: ` +
        `${shape.join(" x ")} elements of ${type} need ${expected} bytes, found ${found}.`,
    );
  }
  const data = bytes.slice(start) as Uint8Array<ArrayBuffer>;
  swapBytes(data, NUMERIC_SIZE[type]);
  return { type, shape, bytes: data };
}
