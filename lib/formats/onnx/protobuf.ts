/**
 * The wire format of protocol buffers, as much of it as ONNX files need.
 * Specification: https://protobuf.dev/programming-guides/encoding/.
 *
 * @module
 */

import { joinArrays } from "../../base/arrays.ts";
import { FormatError } from "../../base/errors.ts";

const WIRE_VARINT = 0;
const WIRE_FIXED64 = 1;
const WIRE_BYTES = 2;
const WIRE_FIXED32 = 5;

/** A message under construction: fields are appended in the order of the calls. */
export class MessageWriter {
  readonly #pieces: Uint8Array[] = [];
  #length = 0;

  /** Bytes so far. */
  get length(): number {
    return this.#length;
  }

  /** An integer field (int64, int32, enum); negative numbers take ten bytes, as specified. */
  int(field: number, value: number | bigint): this {
    this.#key(field, WIRE_VARINT);
    return this.#varint(BigInt(value));
  }

  /** A float field. */
  float(field: number, value: number): this {
    this.#key(field, WIRE_FIXED32);
    return this.#push(new Uint8Array(Float32Array.of(value).buffer));
  }

  /** A double field. */
  double(field: number, value: number): this {
    this.#key(field, WIRE_FIXED64);
    return this.#push(new Uint8Array(Float64Array.of(value).buffer));
  }

  /** A string field, UTF-8. */
  string(field: number, value: string): this {
    return this.bytes(field, new TextEncoder().encode(value));
  }

  /** A bytes field. The array is kept, not copied. */
  bytes(field: number, value: Uint8Array): this {
    this.#key(field, WIRE_BYTES);
    this.#varint(BigInt(value.length));
    return this.#push(value);
  }

  /** An embedded message. */
  message(field: number, value: MessageWriter): this {
    this.#key(field, WIRE_BYTES);
    this.#varint(BigInt(value.#length));
    for (const piece of value.#pieces) this.#push(piece);
    return this;
  }

  /** The message. */
  toBytes(): Uint8Array<ArrayBuffer> {
    return joinArrays(Uint8Array, this.#pieces);
  }

  #key(field: number, wireType: number): void {
    this.#varint(BigInt(field * 8 + wireType));
  }

  #varint(value: bigint): this {
    const bytes: number[] = [];
    let rest = BigInt.asUintN(64, value);
    while (rest >= 128n) {
      bytes.push(Number(rest & 127n) | 128);
      rest >>= 7n;
    }
    bytes.push(Number(rest));
    return this.#push(Uint8Array.from(bytes));
  }

  #push(piece: Uint8Array): this {
    this.#pieces.push(piece);
    this.#length += piece.length;
    return this;
  }
}

/** One field of a message: an unsigned integer for varints, else the bytes (a view). */
export interface MessageField {
  readonly field: number;
  readonly value: bigint | Uint8Array;
}

/**
 * The fields of a message in the order of the file.
 *
 * @param name what error messages call the file
 * @throws {FormatError} when the bytes end within a field or use something that is not specified
 */
export function* readMessage(bytes: Uint8Array, name: string): Generator<MessageField> {
  let offset = 0;
  const varint = (): bigint => {
    let value = 0n;
    for (let shift = 0n; shift < 64n; shift += 7n) {
      if (offset >= bytes.length) break;
      const byte = bytes[offset++];
      value |= BigInt(byte & 127) << shift;
      if (byte < 128) return BigInt.asUintN(64, value);
    }
    throw new FormatError(`${name} is truncated or corrupt: an integer does not end.`);
  };
  const take = (length: bigint | number): Uint8Array => {
    if (BigInt(offset) + BigInt(length) > BigInt(bytes.length)) {
      throw new FormatError(
        `${name} is truncated or corrupt: expected ${length} bytes at ${offset}, but there are ` +
          `${bytes.length - offset}.`,
      );
    }
    const start = offset;
    offset += Number(length);
    return bytes.subarray(start, offset);
  };
  while (offset < bytes.length) {
    const key = varint();
    const field = Number(key >> 3n);
    switch (Number(key & 7n)) {
      case WIRE_VARINT:
        yield { field, value: varint() };
        break;
      case WIRE_FIXED64:
        yield { field, value: take(8) };
        break;
      case WIRE_BYTES:
        yield { field, value: take(varint()) };
        break;
      case WIRE_FIXED32:
        yield { field, value: take(4) };
        break;
      default:
        throw new FormatError(
          `${name} is corrupt or not what its name says: unknown wire type ${key & 7n}.`,
        );
    }
  }
}
