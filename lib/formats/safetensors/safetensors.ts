/**
 * Safetensors: an 8-byte little-endian header length, a JSON header
 * `{"name": {"dtype", "shape", "data_offsets"}, "__metadata__": {string: string}}`, and the
 * tensors' bytes, row-major, little-endian, without gaps.
 * Specification: https://github.com/huggingface/safetensors#format.
 *
 * Files that are written here carry checksums (safetensors_checksums.ts); where a file has them,
 * every tensor that is read as a whole is compared.
 *
 * @module
 */

import { bytesOf } from "../../base/arrays.ts";
import { FormatError } from "../../base/errors.ts";
import { writeFileAtomic } from "../atomic.ts";
import { checksum } from "../archive/crc32.ts";
import { NUMERIC_SIZE, type NumericType, toFloat32, toFloat64 } from "../arrays/numeric.ts";
import {
  CHECKSUMS_KEY,
  checksumsPlaceholder,
  checkTensor,
  formatChecksums,
  parseChecksums,
  type TensorChecksums,
} from "./checksums.ts";
import { type ByteSource, openFileSource } from "../source.ts";

/** The element types of the format that are whole bytes. */
export type SafetensorsDtype =
  | "BOOL"
  | "U8"
  | "I8"
  | "F8_E4M3"
  | "F8_E5M2"
  | "U16"
  | "I16"
  | "F16"
  | "BF16"
  | "U32"
  | "I32"
  | "F32"
  | "U64"
  | "I64"
  | "F64";

/** The element type that each name of the format stands for. */
export const NUMERIC_TYPES: Readonly<Record<SafetensorsDtype, NumericType>> = {
  BOOL: "bool",
  U8: "u8",
  I8: "i8",
  F8_E4M3: "f8e4m3",
  F8_E5M2: "f8e5m2",
  U16: "u16",
  I16: "i16",
  F16: "f16",
  BF16: "bf16",
  U32: "u32",
  I32: "i32",
  F32: "f32",
  U64: "u64",
  I64: "i64",
  F64: "f64",
};

/** The header of the official implementation has the same limit. */
const MAX_HEADER_BYTES = 100_000_000;
const METADATA_KEY = "__metadata__";

/** A tensor as the file stores it. The conversions are copies; `bytes` may share memory. */
export interface StoredTensor {
  /** Type of its numbers. */
  readonly dtype: SafetensorsDtype;
  /** Its sizes. */
  readonly shape: readonly number[];
  /** Its numbers, little endian. */
  readonly bytes: Uint8Array;
  /** Its numbers in float32. */
  toFloat32(): Float32Array<ArrayBuffer>;
  /** Its numbers in float64. */
  toFloat64(): Float64Array<ArrayBuffer>;
}

/** A whole file in memory; tensors in the order of their bytes. */
export interface Safetensors {
  /** The texts of the header. */
  readonly metadata: Record<string, string>;
  /** The tensors by name. */
  readonly tensors: Map<string, StoredTensor>;
}

/** Where one tensor lies; offsets count from the end of the header. */
export interface TensorEntry {
  /** Type of its numbers. */
  readonly dtype: SafetensorsDtype;
  /** Its sizes. */
  readonly shape: readonly number[];
  /** Its first byte, after the header. */
  readonly begin: number;
  /** The byte after its last one. */
  readonly end: number;
}

/** An open file: the header has been read and checked, tensors are read when asked for. */
export interface SafetensorsFile extends Disposable {
  /** The texts of the header. */
  readonly metadata: Record<string, string>;
  /** Type, shape and place of every tensor. */
  readonly entries: ReadonlyMap<string, TensorEntry>;
  /**
   * Reads one tensor.
   *
   * @throws {FormatError} when there is no such tensor, or it does not match its checksum
   */
  read(name: string): Promise<StoredTensor>;
  /**
   * `count` entries of a tensor's first axis from `begin`, at once and without reading the others:
   * they are not compared with the checksum, which is of all.
   *
   * @throws {FormatError} when there is no such tensor, or it does not reach that far
   */
  readRowsSync(name: string, begin: number, count: number): StoredTensor;
  /** Closes the file. */
  close(): void;
}

/** A tensor to write: its numbers, or a function that brings them when their turn comes. */
export interface TensorToWrite {
  /** Type of its numbers. */
  readonly dtype: SafetensorsDtype;
  /** Its sizes. */
  readonly shape: readonly number[];
  /** Its numbers, or what makes them when they are written. */
  readonly data: ArrayBufferView | (() => ArrayBufferView | Promise<ArrayBufferView>);
}

/**
 * Parses a file that is in memory. `bytes` of the result are views of the input.
 *
 * @param options.name what error messages call the file
 * @throws {FormatError} when the bytes are not exactly one valid file
 */
export function parseSafetensors(bytes: Uint8Array, { name }: { name: string }): Safetensors {
  const headerBytes = headerLength(bytes.subarray(0, 8), bytes.length, name);
  const start = 8 + headerBytes;
  const header = parseHeader(bytes.subarray(8, start), bytes.length - start, name);
  const { metadata, entries, checksums } = header;
  const tensors = new Map<string, StoredTensor>();
  for (const [key, entry] of entries) {
    const own = bytes.subarray(start + entry.begin, start + entry.end);
    checkTensor(key, own, checksums, name);
    tensors.set(key, storedTensor(entry, own));
  }
  return { metadata, tensors };
}

/**
 * Opens a file, reads and checks its header, and leaves the tensors on the disk until they are
 * read one by one.
 *
 * @throws {FormatError} when the file cannot be opened or its header is not valid
 */
export async function openSafetensors(path: string): Promise<SafetensorsFile> {
  return await safetensorsFrom(await openFileSource(path));
}

/** As {@link openSafetensors}, from any source; takes over the closing of it. */
export async function safetensorsFrom(source: ByteSource): Promise<SafetensorsFile> {
  const { name, size } = source;
  try {
    const prefix = await source.read(0, Math.min(8, size));
    const headerBytes = headerLength(prefix, size, name);
    const start = 8 + headerBytes;
    const header = await source.read(8, headerBytes);
    const { metadata, entries, checksums } = parseHeader(header, size - start, name);
    const find = (key: string): TensorEntry => {
      const entry = entries.get(key);
      if (entry === undefined) throw new FormatError(`${name} has no tensor named "${key}".`);
      return entry;
    };
    return {
      metadata,
      entries,
      async read(key) {
        const entry = find(key);
        const bytes = await source.read(start + entry.begin, entry.end - entry.begin);
        checkTensor(key, bytes, checksums, name);
        return storedTensor(entry, bytes);
      },
      readRowsSync(key, begin, count) {
        const entry = find(key);
        const [rows = 0, ...rest] = entry.shape;
        if (!(begin >= 0 && count >= 0 && begin + count <= rows)) {
          throw new FormatError(
            `${name}: tensor "${key}" has ${rows} entries; ${begin} to ${begin + count - 1} were ` +
              `asked for.`,
          );
        }
        const rowBytes = byteLength(entry.dtype, rest);
        const bytes = source.readSync(start + entry.begin + begin * rowBytes, count * rowBytes);
        return storedTensor({ ...entry, shape: [count, ...rest] }, bytes);
      },
      close: () => source.close(),
      [Symbol.dispose]: () => source.close(),
    };
  } catch (error) {
    source.close();
    throw error;
  }
}

/**
 * The bytes of a file, as a list of pieces that reuse the tensors' memory. Tensors are ordered
 * by element size, widest first, so that each is aligned; the same input gives the same bytes.
 *
 * @param tensors name and tensor; the numbers must be in memory already
 */
export function serializeSafetensors(
  tensors: Iterable<readonly [string, TensorToWrite & { readonly data: ArrayBufferView }]>,
  metadata: Readonly<Record<string, string>> = {},
): Uint8Array[] {
  const ordered = alignmentOrder(tensors);
  const pieces = ordered.map(([key, tensor]) => checkedBytes(key, tensor, tensor.data));
  const checksums = new Map(ordered.map(([key], i) => [key, checksum(pieces[i])]));
  const text = formatChecksums(metadata, new Map(ordered), checksums);
  return [serializeHeader(ordered, { ...metadata, [CHECKSUMS_KEY]: text }), ...pieces];
}

/**
 * Writes a file atomically. Tensors given as functions are fetched one at a time, so a model
 * larger than the free memory can be written.
 *
 * @throws {FormatError} when the file cannot be written or a tensor's numbers do not fit its shape
 */
export async function writeSafetensors(
  path: string,
  tensors: Iterable<readonly [string, TensorToWrite]>,
  metadata: Readonly<Record<string, string>> = {},
): Promise<void> {
  const ordered = alignmentOrder(tensors);
  const checksums = new Map<string, number>();
  await writeFileAtomic(path, async (write, patch) => {
    const placeholder = { [CHECKSUMS_KEY]: checksumsPlaceholder(ordered.length) };
    // What is not a file, a pipe for example, cannot be changed once it is written.
    await write(serializeHeader(ordered, { ...metadata, ...(patch ? placeholder : {}) }));
    for (const [key, tensor] of ordered) {
      const data = typeof tensor.data === "function" ? await tensor.data() : tensor.data;
      const bytes = checkedBytes(key, tensor, data);
      checksums.set(key, checksum(bytes));
      await write(bytes);
    }
    const text = formatChecksums(metadata, new Map(ordered), checksums);
    await patch?.(0, serializeHeader(ordered, { ...metadata, [CHECKSUMS_KEY]: text }));
  });
}

function storedTensor({ dtype, shape }: TensorEntry, bytes: Uint8Array): StoredTensor {
  const type = NUMERIC_TYPES[dtype];
  return {
    dtype,
    shape,
    bytes,
    toFloat32: () => toFloat32(bytes, type),
    toFloat64: () => toFloat64(bytes, type),
  };
}

function headerLength(prefix: Uint8Array, fileSize: number, name: string): number {
  if (prefix.length < 8) {
    throw new FormatError(
      `${name} is not a safetensors file: expected at least 8 bytes, found ${fileSize}.`,
    );
  }
  const length = new DataView(prefix.buffer, prefix.byteOffset, 8).getBigUint64(0, true);
  if (length > BigInt(MAX_HEADER_BYTES)) {
    throw new FormatError(
      `${name} is not a safetensors file: its header would be ${length} bytes, ` +
        `more than the format's limit of ${MAX_HEADER_BYTES}.`,
    );
  }
  if (length > BigInt(fileSize - 8)) {
    throw new FormatError(
      `${name} is truncated: its header is ${length} bytes, but only ${fileSize - 8} follow.`,
    );
  }
  return Number(length);
}

function parseHeader(
  bytes: Uint8Array,
  dataBytes: number,
  name: string,
): {
  metadata: Record<string, string>;
  entries: Map<string, TensorEntry>;
  checksums: TensorChecksums | null;
} {
  let header: unknown;
  try {
    header = JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(bytes));
  } catch (cause) {
    throw new FormatError(`${name} is not a safetensors file: its header is not JSON.`, { cause });
  }
  if (!isObject(header)) {
    throw new FormatError(`${name} is not a safetensors file: its header is not a JSON object.`);
  }
  let metadata: Record<string, string> = {};
  const entries: [string, TensorEntry][] = [];
  for (const [key, value] of Object.entries(header)) {
    if (key === METADATA_KEY) metadata = parseMetadata(value, name);
    else entries.push([key, parseEntry(value, `${name}: tensor "${key}"`)]);
  }
  entries.sort(([, a], [, b]) => a.begin - b.begin || a.end - b.end);
  checkCoverage(entries, dataBytes, name);
  const { [CHECKSUMS_KEY]: text, ...rest } = metadata;
  const byName = new Map(entries);
  return { metadata: rest, entries: byName, checksums: parseChecksums(text, rest, byName, name) };
}

function parseMetadata(value: unknown, name: string): Record<string, string> {
  // The official implementation takes null for none, and some writers leave it.
  if (value === null) return {};
  if (!isObject(value) || !Object.values(value).every((item) => typeof item === "string")) {
    throw new FormatError(`${name}: "${METADATA_KEY}" must be an object of strings.`);
  }
  return value as Record<string, string>;
}

function parseEntry(value: unknown, what: string): TensorEntry {
  if (!isObject(value)) throw new FormatError(`${what} must be described by an object.`);
  const { dtype, shape, data_offsets: offsets } = value;
  if (typeof dtype !== "string" || !Object.hasOwn(NUMERIC_TYPES, dtype)) {
    throw new FormatError(
      `${what} has the element type ${JSON.stringify(dtype)}; ` +
        `known are ${Object.keys(NUMERIC_TYPES).join(", ")}.`,
    );
  }
  if (!isCountList(shape)) {
    throw new FormatError(`${what} has no valid shape: expected a list of whole numbers.`);
  }
  if (!isCountList(offsets) || offsets.length !== 2 || offsets[1] < offsets[0]) {
    throw new FormatError(`${what} has no valid data_offsets: expected [begin, end].`);
  }
  const [begin, end] = offsets;
  const expected = byteLength(dtype as SafetensorsDtype, shape);
  if (end - begin !== expected) {
    throw new FormatError(
      `${what} of type ${dtype} and shape [${shape.join(", ")}] needs ${expected} bytes, ` +
        `but its data_offsets hold ${end - begin}.`,
    );
  }
  return { dtype: dtype as SafetensorsDtype, shape, begin, end };
}

/** The format allows neither overlaps nor gaps: every byte belongs to exactly one tensor. */
function checkCoverage(entries: [string, TensorEntry][], dataBytes: number, name: string): void {
  let position = 0;
  for (const [key, { begin, end }] of entries) {
    if (begin !== position) {
      const what = begin < position ? "overlaps the tensor before it" : "leaves a gap before it";
      throw new FormatError(
        `${name}: tensor "${key}" ${what}: expected it at byte ${position}, found ${begin}.`,
      );
    }
    position = end;
  }
  if (position !== dataBytes) {
    const what = position > dataBytes ? "is truncated" : "has bytes that belong to no tensor";
    throw new FormatError(
      `${name} ${what}: its tensors need ${position} bytes, found ${dataBytes}.`,
    );
  }
}

function alignmentOrder<T extends TensorToWrite>(
  tensors: Iterable<readonly [string, T]>,
): (readonly [string, T])[] {
  const size = ({ dtype }: T) => NUMERIC_SIZE[NUMERIC_TYPES[dtype]];
  return [...tensors].sort(([, a], [, b]) => size(b) - size(a)); // stable: the rest keeps its order
}

function serializeHeader(
  tensors: (readonly [string, TensorToWrite])[],
  metadata: Readonly<Record<string, string>>,
): Uint8Array {
  const members: string[] = [];
  if (Object.keys(metadata).length > 0) {
    members.push(`"${METADATA_KEY}":${JSON.stringify(metadata)}`);
  }
  const seen = new Set<string>([METADATA_KEY]);
  let position = 0;
  for (const [key, { dtype, shape }] of tensors) {
    if (seen.has(key)) throw new FormatError(`Two tensors cannot both be named "${key}".`);
    seen.add(key);
    const end = position + byteLength(dtype, shape);
    const entry = { dtype, shape, data_offsets: [position, end] };
    members.push(`${JSON.stringify(key)}:${JSON.stringify(entry)}`);
    position = end;
  }
  const json = new TextEncoder().encode(`{${members.join(",")}}`);
  const padded = Math.ceil(json.length / 8) * 8;
  if (padded > MAX_HEADER_BYTES) {
    throw new FormatError(
      `A safetensors header may have ${MAX_HEADER_BYTES} bytes, not ${padded}.`,
    );
  }
  const bytes = new Uint8Array(8 + padded).fill(0x20);
  new DataView(bytes.buffer).setBigUint64(0, BigInt(padded), true);
  bytes.set(json, 8);
  return bytes;
}

function checkedBytes(key: string, tensor: TensorToWrite, data: ArrayBufferView): Uint8Array {
  const expected = byteLength(tensor.dtype, tensor.shape);
  if (data.byteLength !== expected) {
    throw new FormatError(
      `Tensor "${key}" of type ${tensor.dtype} and shape [${tensor.shape.join(", ")}] needs ` +
        `${expected} bytes, but was given ${data.byteLength}.`,
    );
  }
  return bytesOf(data);
}

/** Loses exactness above 2^53, where no file's offsets can agree with it any more. */
function byteLength(dtype: SafetensorsDtype, shape: readonly number[]): number {
  return shape.reduce((product, size) => product * size, NUMERIC_SIZE[NUMERIC_TYPES[dtype]]);
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function isCountList(value: unknown): value is number[] {
  return Array.isArray(value) && value.every((item) => Number.isSafeInteger(item) && item >= 0);
}
