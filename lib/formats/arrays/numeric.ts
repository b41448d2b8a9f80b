/**
 * Numbers as files store them: the element types that safetensors, npy and IDX have in common,
 * and their conversion to the arrays that the rest of the program works with.
 *
 * Bytes are little-endian here, as on every machine that Deno runs on; a reader of a big-endian
 * file swaps them first with {@link swapBytes}.
 *
 * @module
 */

import { bytesOf } from "../../base/arrays.ts";

/** An element type of at least one byte. `bool` is one byte, 0 or 1. */
export type NumericType =
  | "bool"
  | "u8"
  | "i8"
  | "u16"
  | "i16"
  | "f16"
  | "bf16"
  | "u32"
  | "i32"
  | "f32"
  | "u64"
  | "i64"
  | "f64"
  | "f8e4m3"
  | "f8e5m2";

/** Bytes per element. */
export const NUMERIC_SIZE: Readonly<Record<NumericType, 1 | 2 | 4 | 8>> = {
  bool: 1,
  u8: 1,
  i8: 1,
  f8e4m3: 1,
  f8e5m2: 1,
  u16: 2,
  i16: 2,
  f16: 2,
  bf16: 2,
  u32: 4,
  i32: 4,
  f32: 4,
  u64: 8,
  i64: 8,
  f64: 8,
};

/** Reverses each group of `size` bytes, in place: big-endian to little-endian and back. */
export function swapBytes(bytes: Uint8Array, size: number): void {
  for (let start = 0; start + size <= bytes.length; start += size) {
    for (let low = start, high = start + size - 1; low < high; low++, high--) {
      const byte = bytes[low];
      bytes[low] = bytes[high];
      bytes[high] = byte;
    }
  }
}

/** The elements as float32, rounded where the type is wider. Always a copy. */
export function toFloat32(bytes: Uint8Array, type: NumericType): Float32Array<ArrayBuffer> {
  return convert(bytes, type, (length) => new Float32Array(length));
}

/** Element types that weights are stored in. */
export type FloatType = "f32" | "f16" | "bf16";

/** Numbers in an element type, rounded to the nearest (to even between two); f32 is no copy. */
export function fromFloat32(data: Float32Array, type: FloatType): ArrayBufferView {
  switch (type) {
    case "f32":
      return data;
    case "f16":
      return Float16Array.from(data);
    case "bf16":
      return roundBfloat16(data);
  }
}

/** From this magnitude on, rounding to the nearest gives infinity in an element type. */
export const OVERFLOWS_AT: Readonly<Record<FloatType, number>> = {
  f32: Infinity,
  f16: 65520, // halfway between the largest number, 65504, and the one that would follow
  bf16: (2 - 2 ** -8) * 2 ** 127,
};

/** bfloat16 is the upper half of a float32, to which half of the lower half's last place is added. */
function roundBfloat16(data: Float32Array): Uint16Array {
  const words = new Uint32Array(data.buffer, data.byteOffset, data.length);
  return Uint16Array.from(words, (word) => {
    // Not a number must not round to infinity.
    if ((word & 0x7FFFFFFF) > 0x7F800000) return word >>> 16 | 0x40;
    return (word + 0x7FFF + (word >>> 16 & 1)) >>> 16;
  });
}

/** The elements as float64; 64-bit integers beyond 2^53 are rounded. Always a copy. */
export function toFloat64(bytes: Uint8Array, type: NumericType): Float64Array<ArrayBuffer> {
  return convert(bytes, type, (length) => new Float64Array(length));
}

/** Converts through the typed array of the file's own type; `set` does the rounding. */
function convert<T extends Float32Array | Float64Array>(
  bytes: Uint8Array,
  type: NumericType,
  create: (length: number) => T,
): T {
  const source = elements(bytes, type);
  const result = create(source.length);
  if (source instanceof BigInt64Array || source instanceof BigUint64Array) {
    for (let i = 0; i < source.length; i++) result[i] = Number(source[i]);
  } else {
    result.set(source);
  }
  return result;
}

/** The elements in a typed array that holds them exactly; a view of `bytes` where it can be one. */
function elements(
  bytes: Uint8Array,
  type: NumericType,
): Exclude<ArrayBufferView & ArrayLike<number>, never> | BigInt64Array | BigUint64Array {
  switch (type) {
    case "bool":
      return bytes.map((byte) => (byte === 0 ? 0 : 1));
    case "u8":
      return bytes;
    case "i8":
      return view(bytes, Int8Array);
    case "u16":
      return view(bytes, Uint16Array);
    case "i16":
      return view(bytes, Int16Array);
    case "f16":
      return view(bytes, Float16Array);
    case "bf16":
      return widenBfloat16(view(bytes, Uint16Array));
    case "u32":
      return view(bytes, Uint32Array);
    case "i32":
      return view(bytes, Int32Array);
    case "f32":
      return view(bytes, Float32Array);
    case "u64":
      return view(bytes, BigUint64Array);
    case "i64":
      return view(bytes, BigInt64Array);
    case "f64":
      return view(bytes, Float64Array);
    case "f8e4m3":
      return Float32Array.from(bytes, float8e4m3);
    case "f8e5m2":
      // The upper byte of a float16, by definition.
      return view(bytesOf(Uint16Array.from(bytes, (byte) => byte << 8)), Float16Array);
  }
}

/** `bytes` as another typed array: in place where they are aligned for it, else through a copy. */
function view<T>(
  bytes: Uint8Array,
  type: {
    new (buffer: ArrayBufferLike, byteOffset: number, length: number): T;
    readonly BYTES_PER_ELEMENT: number;
  },
): T {
  const aligned = bytes.byteOffset % type.BYTES_PER_ELEMENT === 0 ? bytes : bytes.slice();
  const length = Math.floor(bytes.length / type.BYTES_PER_ELEMENT);
  return new type(aligned.buffer, aligned.byteOffset, length);
}

/** bfloat16 is the upper half of a float32. */
function widenBfloat16(words: Uint16Array): Float32Array {
  return new Float32Array(Uint32Array.from(words, (word) => word << 16).buffer);
}

/** E4M3 without infinities (OCP "E4M3FN"): bias 7, only 0x7F and 0xFF are not a number. */
function float8e4m3(byte: number): number {
  const sign = byte & 0x80 ? -1 : 1;
  const exponent = (byte >> 3) & 15;
  const fraction = byte & 7;
  if (exponent === 15 && fraction === 7) return NaN;
  if (exponent === 0) return sign * fraction * 2 ** -9;
  return sign * (8 + fraction) * 2 ** (exponent - 10);
}
