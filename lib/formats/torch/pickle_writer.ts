/**
 * Writing pickles of dictionaries with numbers, texts and numpy arrays: what programs in Python
 * exchange as results. Protocol 3, which every Python 3 reads.
 *
 * @module
 */

import { bytesOf } from "../../base/arrays.ts";
import { FormatError } from "../../base/errors.ts";

/** A float64 or float32 array of numpy. */
export interface PickledArray {
  readonly shape: readonly number[];
  /** Row-major. */
  readonly data: Float64Array | Float32Array;
}

/** What can be written. */
export type PickledValue =
  | number
  | string
  | PickledArray
  | { readonly [key: string]: PickledValue };

/** The pickle of a value, in pieces; arrays are not copied. @throws {FormatError} for odd numbers */
export function writePickle(value: PickledValue): Uint8Array[] {
  const pieces: Uint8Array[] = [Uint8Array.of(0x80, 3)];
  put(pieces, value);
  pieces.push(ascii("."));
  return pieces;
}

function put(pieces: Uint8Array[], value: PickledValue): void {
  if (typeof value === "number") return putInteger(pieces, value);
  if (typeof value === "string") return putText(pieces, value);
  if (isArray(value)) return putArray(pieces, value);
  pieces.push(ascii("}("));
  for (const [key, item] of Object.entries(value)) {
    putText(pieces, key);
    put(pieces, item);
  }
  pieces.push(ascii("u"));
}

function isArray(value: object): value is PickledArray {
  return "data" in value &&
    (value.data instanceof Float64Array || value.data instanceof Float32Array);
}

function putInteger(pieces: Uint8Array[], value: number): void {
  if ((value | 0) !== value) {
    throw new FormatError(`A pickle of this program holds integers of 32 bits, found ${value}.`);
  }
  const bytes = new Uint8Array(5);
  bytes[0] = "J".charCodeAt(0);
  new DataView(bytes.buffer).setInt32(1, value, true);
  pieces.push(bytes);
}

function putText(pieces: Uint8Array[], text: string): void {
  const bytes = new TextEncoder().encode(text);
  pieces.push(ascii("X"), uint32(bytes.length), bytes);
}

/** What `ndarray.__reduce__` gives; numpy 2 still knows the old name of the module. */
function putArray(pieces: Uint8Array[], { shape, data }: PickledArray): void {
  pieces.push(ascii("cnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\n"));
  pieces.push(ascii("K\0\x85C\x01b\x87R(K\x01(")); // (ndarray, (0,), b"b"), then the state: 1,
  for (const length of shape) putInteger(pieces, length);
  pieces.push(
    ascii("tcnumpy\ndtype\nX"),
    uint32(2),
    ascii(`f${data.BYTES_PER_ELEMENT}\x89\x88\x87R(K\x03X`),
  );
  pieces.push(uint32(1), ascii("<NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\0tb\x89"));
  const bytes = bytesOf(data);
  pieces.push(ascii("B"), uint32(bytes.length), bytes, ascii("tb"));
}

/** Characters up to 255 as bytes. */
function ascii(text: string): Uint8Array {
  return Uint8Array.from(text, (character) => character.charCodeAt(0));
}

function uint32(value: number): Uint8Array {
  const bytes = new Uint8Array(4);
  new DataView(bytes.buffer).setUint32(0, value, true);
  return bytes;
}
