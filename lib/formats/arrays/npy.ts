/**
 * The npy format: one array with a header that is a Python dictionary,
 * `{'descr': '<f8', 'fortran_order': False, 'shape': (2048, 2048), }`.
 * Specification: numpy's `numpy/lib/format.py` (NEP 1), versions 1.0, 2.0 and 3.0.
 *
 * @module
 */

import { bytesOf } from "../../base/arrays.ts";
import { FormatError } from "../../base/errors.ts";
import { NUMERIC_SIZE, type NumericType, swapBytes, toFloat32, toFloat64 } from "./numeric.ts";
import { type ByteSource, bytesSource } from "../source.ts";

/** The element types that npy and this project have in common. */
export type NpyType = Exclude<NumericType, "bf16" | "f8e4m3" | "f8e5m2">;

const TYPE_CODES: Readonly<Record<NpyType, string>> = {
  bool: "b1",
  u8: "u1",
  i8: "i1",
  u16: "u2",
  i16: "i2",
  f16: "f2",
  u32: "u4",
  i32: "i4",
  f32: "f4",
  u64: "u8",
  i64: "i8",
  f64: "f8",
};
const TYPE_OF_CODE = new Map(Object.entries(TYPE_CODES).map(([t, code]) => [code, t as NpyType]));

const MAGIC = "\x93NUMPY";
/** numpy itself refuses headers over 10,000 characters unless told otherwise. */
const MAX_HEADER_BYTES = 1 << 16;

/** An array in row-major order, little-endian. The conversions are copies. */
export interface NpyArray {
  /** Type of its numbers. */
  readonly type: NpyType;
  /** Its sizes. */
  readonly shape: readonly number[];
  /** Its numbers, little endian, last axis fastest. */
  readonly bytes: Uint8Array<ArrayBuffer>;
  /** Its numbers in float32. */
  toFloat32(): Float32Array<ArrayBuffer>;
  /** Its numbers in float64. */
  toFloat64(): Float64Array<ArrayBuffer>;
}

/** An array to write, row-major: its numbers, or a function that brings them piece by piece. */
export interface ArrayToWrite {
  /** Type of its numbers. */
  readonly type: NpyType;
  /** Its sizes. */
  readonly shape: readonly number[];
  /** Its numbers, or chunks of them one after another. */
  readonly data:
    | ArrayBufferView
    | (() => Iterable<ArrayBufferView> | AsyncIterable<ArrayBufferView>);
}

/**
 * Parses a whole npy file that is in memory.
 *
 * @throws {FormatError} when the bytes are not exactly one array of a known element type
 */
export function parseNpy(bytes: Uint8Array, { name }: { name: string }): NpyArray {
  return new NpyReader(bytesSource(bytes, name)).read();
}

/** An npy file whose header has been read and checked; its numbers are read when asked for. */
export class NpyReader {
  /** What errors call the array. */
  readonly name: string;
  /** Type of its numbers. */
  readonly type: NpyType;
  /** Its sizes. */
  readonly shape: readonly number[];
  /** Whether the first axis is the fastest in the file. */
  readonly fortranOrder: boolean;
  readonly #littleEndian: boolean;
  readonly #dataOffset: number;
  readonly #source: ByteSource;

  /**
   * Reads the header.
   *
   * @param source is borrowed: whoever opened it closes it
   * @throws {FormatError} when it is not exactly one array of a known element type
   */
  constructor(source: ByteSource) {
    const { text, end } = readHeader(source);
    const { code, bigEndian, fortranOrder, shape } = parseHeader(text, source.name);
    this.name = source.name;
    this.type = code;
    this.shape = shape;
    this.fortranOrder = fortranOrder;
    this.#littleEndian = !bigEndian;
    this.#dataOffset = end;
    this.#source = source;
    const expected = this.byteLength;
    if (source.size - end !== expected) {
      const what = source.size - end < expected ? "is truncated" : "has bytes after its array";
      throw new FormatError(
        `${source.name} ${what}: an array of ${code} and shape (${shape.join(", ")}) needs ` +
          `${expected} bytes, found ${source.size - end}.`,
      );
    }
  }

  /** Bytes of the whole array, without the header. */
  get byteLength(): number {
    return this.shape.reduce((product, size) => product * size, NUMERIC_SIZE[this.type]);
  }

  /** The whole array, row-major whatever the order in the file. */
  read(): NpyArray {
    const bytes = this.#source.readSync(this.#dataOffset, this.byteLength);
    if (!this.#littleEndian) swapBytes(bytes, NUMERIC_SIZE[this.type]);
    return npyArray(
      this.type,
      this.shape,
      this.fortranOrder ? toRowMajor(bytes, this.shape, NUMERIC_SIZE[this.type]) : bytes,
    );
  }

  /**
   * `count` entries of the first axis from `begin`, without reading the others.
   *
   * @throws {FormatError} when the array has no first axis, is stored in Fortran order (whose
   * entries are scattered over the whole file), or does not reach that far
   */
  rows(begin: number, count: number): NpyArray {
    if (this.shape.length === 0 || this.fortranOrder) {
      throw new FormatError(
        `${this.name} cannot be read row by row: expected an array in C order with at least one axis.`,
      );
    }
    if (!(begin >= 0 && count >= 0 && begin + count <= this.shape[0])) {
      throw new FormatError(
        `${this.name} has ${this.shape[0]} entries; ${begin} to ${
          begin + count - 1
        } were asked for.`,
      );
    }
    const rowBytes = this.shape.slice(1).reduce((a, b) => a * b, NUMERIC_SIZE[this.type]);
    const bytes = this.#source.readSync(this.#dataOffset + begin * rowBytes, count * rowBytes);
    if (!this.#littleEndian) swapBytes(bytes, NUMERIC_SIZE[this.type]);
    return npyArray(this.type, [count, ...this.shape.slice(1)], bytes);
  }
}

/** Length of the npy file that {@link npyChunks} makes. */
export function npyByteLength(array: ArrayToWrite): number {
  return npyHeader(array).length + dataLength(array);
}

/**
 * The bytes of an npy file (version 1.0, C order), the same as `numpy.save` writes.
 *
 * @throws {FormatError} when the numbers do not fit the shape
 */
export async function* npyChunks(array: ArrayToWrite): AsyncGenerator<Uint8Array> {
  yield npyHeader(array);
  let written = 0;
  const pieces = typeof array.data === "function" ? array.data() : [array.data];
  for await (const piece of pieces) {
    written += piece.byteLength;
    yield bytesOf(piece);
  }
  if (written !== dataLength(array)) {
    throw new FormatError(
      `An array of ${array.type} and shape (${array.shape.join(", ")}) needs ` +
        `${dataLength(array)} bytes, but was given ${written}.`,
    );
  }
}

function dataLength({ type, shape }: ArrayToWrite): number {
  return shape.reduce((product, size) => product * size, NUMERIC_SIZE[type]);
}

function npyHeader({ type, shape }: ArrayToWrite): Uint8Array {
  const order = NUMERIC_SIZE[type] === 1 ? "|" : "<";
  const tuple = shape.length === 1 ? `${shape[0]},` : shape.join(", ");
  const text = `{'descr': '${order}${TYPE_CODES[type]}', 'fortran_order': False, ` +
    `'shape': (${tuple}), }`;
  const total = Math.ceil((10 + text.length + 1) / 64) * 64;
  const bytes = new Uint8Array(total).fill(0x20);
  bytes.set([0x93, ...new TextEncoder().encode("NUMPY"), 1, 0]);
  new DataView(bytes.buffer).setUint16(8, total - 10, true);
  bytes.set(new TextEncoder().encode(text), 10);
  bytes[total - 1] = 0x0A;
  return bytes;
}

function readHeader(source: ByteSource): { text: string; end: number } {
  const { name, size } = source;
  const prefix = source.readSync(0, Math.min(12, size));
  if (prefix.length < 10 || String.fromCharCode(...prefix.subarray(0, 6)) !== MAGIC) {
    throw new FormatError(`${name} is not an npy file: it does not start with \\x93NUMPY.`);
  }
  const major = prefix[6];
  if (major < 1 || major > 3) {
    throw new FormatError(`${name} has npy version ${major}; known are 1, 2 and 3.`);
  }
  const fields = new DataView(prefix.buffer);
  const start = major === 1 ? 10 : 12;
  const length = prefix.length < start
    ? Infinity
    : major === 1
    ? fields.getUint16(8, true)
    : fields.getUint32(8, true);
  if (length > MAX_HEADER_BYTES || start + length > size) {
    throw new FormatError(
      `${name} is truncated or corrupt: its header would have ${length} bytes, of ${size} in the ` +
        `file.`,
    );
  }
  const encoding = major === 3 ? "utf-8" : "latin1";
  return {
    text: new TextDecoder(encoding).decode(source.readSync(start, length)),
    end: start + length,
  };
}

/** Reads the three entries of the dictionary; Python 2 wrote numbers as `8L`. */
function parseHeader(
  text: string,
  name: string,
): { code: NpyType; bigEndian: boolean; fortranOrder: boolean; shape: number[] } {
  const descr = /'descr'\s*:\s*'([^']*)'/.exec(text)?.[1];
  const order = /'fortran_order'\s*:\s*(True|False)\b/.exec(text)?.[1];
  const tuple = /'shape'\s*:\s*\(([0-9L,\s]*)\)/.exec(text)?.[1];
  if (/'descr'\s*:\s*[[(]/.test(text)) {
    throw new FormatError(`${name} holds structured records; expected an array of plain numbers.`);
  }
  if (descr === undefined || order === undefined || tuple === undefined) {
    throw new FormatError(
      `${name} is corrupt: its header must give 'descr', 'fortran_order' and 'shape', ` +
        `found ${JSON.stringify(text.trim().slice(0, 200))}.`,
    );
  }
  const code = TYPE_OF_CODE.get(descr.slice(1));
  if (code === undefined || !"<>|=".includes(descr[0])) {
    throw new FormatError(
      `${name} has elements of type '${descr}'; known are ${Object.values(TYPE_CODES).join(", ")}.`,
    );
  }
  const shape = tuple.split(",").map((item) => item.trim()).filter((item) => item !== "")
    .map((item) => /^\d+L?$/.test(item) ? Number.parseInt(item, 10) : NaN);
  if (!shape.every(Number.isSafeInteger)) {
    throw new FormatError(`${name} is corrupt: its shape is (${tuple}).`);
  }
  return { code, bigEndian: descr[0] === ">", fortranOrder: order === "True", shape };
}

/** From Fortran order (first axis fastest) to C order (last axis fastest). */
function toRowMajor(
  bytes: Uint8Array<ArrayBuffer>,
  shape: readonly number[],
  elementSize: number,
): Uint8Array<ArrayBuffer> {
  const result = new Uint8Array(bytes.length);
  const stride = shape.map((_, axis) =>
    shape.slice(0, axis).reduce((product, size) => product * size, elementSize)
  );
  const index = shape.map(() => 0);
  for (let from = 0, to = 0; to < bytes.length; to += elementSize) {
    for (let i = 0; i < elementSize; i++) result[to + i] = bytes[from + i];
    // The next index in row-major order, and where Fortran order keeps it.
    for (let axis = shape.length - 1; axis >= 0; axis--) {
      from += stride[axis];
      if (++index[axis] < shape[axis]) break;
      from -= stride[axis] * shape[axis];
      index[axis] = 0;
    }
  }
  return result;
}

function npyArray(
  type: NpyType,
  shape: readonly number[],
  bytes: Uint8Array<ArrayBuffer>,
): NpyArray {
  return {
    type,
    shape,
    bytes,
    toFloat32: () => toFloat32(bytes, type),
    toFloat64: () => toFloat64(bytes, type),
  };
}
