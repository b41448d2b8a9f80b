/**
 * The bytes of a pickle, read in order: a window over a {@link ByteSource} that long strings of
 * bytes are not copied through.
 *
 * @module
 */

import { FormatError } from "../../base/errors.ts";
import { type ByteSource, sliceSource } from "../source.ts";

const WINDOW_BYTES = 1 << 16;
/** A line of the text opcodes: a number, a name or a short string. */
const MAX_LINE_BYTES = 1 << 20;
const MAX_STRING_BYTES = 2 ** 28;
/** No number in an honest file has more digits than a cryptographic key. */
const MAX_INTEGER_BYTES = 1024;
/** Strings of Python 2 that are longer are data. */
const MAX_PYTHON2_TEXT = 1024;

/** A `bytes` object of a pickle: where it lies, read when asked for. */
export class PickleBytes {
  /** @param source exactly these bytes; it borrows the file of the pickle */
  constructor(readonly source: ByteSource) {}

  /** Number of bytes. */
  get length(): number {
    return this.source.size;
  }

  /** A copy of the bytes. */
  read(): Uint8Array<ArrayBuffer> {
    return this.source.readSync(0, this.length);
  }
}

/** Reads numbers and texts forward from a position; every read is checked against the end of the source. */
export class PickleInput {
  #window = new Uint8Array(0);
  #view = new DataView(this.#window.buffer);
  #windowStart = 0;

  constructor(readonly source: ByteSource, private at: number) {}

  /** Where the next read begins. */
  get position(): number {
    return this.at;
  }

  uint8(): number {
    return this.#fixed(1, (view, at) => view.getUint8(at));
  }

  uint16(): number {
    return this.#fixed(2, (view, at) => view.getUint16(at, true));
  }

  int32(): number {
    return this.#fixed(4, (view, at) => view.getInt32(at, true));
  }

  uint32(): number {
    return this.#fixed(4, (view, at) => view.getUint32(at, true));
  }

  /** A length of 8 bytes. @throws {FormatError} when no file could be that long */
  uint64(): number {
    const value = this.#fixed(8, (view, at) => view.getBigUint64(at, true));
    if (value > BigInt(Number.MAX_SAFE_INTEGER)) {
      throw new FormatError(`${this.source.name} is corrupt: ${value} is no possible length.`);
    }
    return Number(value);
  }

  float64BigEndian(): number {
    return this.#fixed(8, (view, at) => view.getFloat64(at, false));
  }

  /** The next bytes, as a copy. @throws {FormatError} when there are more than `limit` */
  bytes(length: number, limit: number): Uint8Array<ArrayBuffer> {
    if (length > limit) {
      throw new FormatError(
        `${this.source.name} has a string of ${length} bytes, more than the ${limit} that are ` +
          `accepted here.`,
      );
    }
    const bytes = this.source.readSync(this.at, length);
    this.at += length;
    return bytes;
  }

  /** The next bytes, left where they are. */
  lazyBytes(length: number): PickleBytes {
    const slice = sliceSource(this.source, this.source.name, this.at, length);
    this.at += length;
    return new PickleBytes(slice);
  }

  /** Characters up to the end of the line, as latin1 and without the line feed. */
  line(): string {
    let text = "";
    for (;;) {
      const code = this.uint8();
      if (code === 0x0A) return text;
      text += String.fromCharCode(code);
      if (text.length > MAX_LINE_BYTES) {
        throw new FormatError(`${this.source.name} is corrupt: a line of text does not end.`);
      }
    }
  }

  /** The next bytes as UTF-8. Lone surrogates, which Python lets pass, become U+FFFD. */
  utf8(length: number): string {
    const bytes = this.bytes(length, MAX_STRING_BYTES);
    return new TextDecoder("utf-8", { ignoreBOM: true }).decode(bytes);
  }

  /** A string of Python 2, which may be a text (as latin1) or data. */
  python2String(length: number): string | PickleBytes {
    if (length > MAX_PYTHON2_TEXT) return this.lazyBytes(length);
    return String.fromCharCode(...this.bytes(length, MAX_PYTHON2_TEXT));
  }

  /** A little-endian two's complement number of so many bytes. */
  long(length: number): number | bigint {
    const bytes = this.bytes(length, MAX_INTEGER_BYTES);
    let value = 0n;
    for (let i = length - 1; i >= 0; i--) value = value << 8n | BigInt(bytes[i]);
    return simplest(BigInt.asIntN(length * 8, value));
  }

  /** A line with a number, as `12` or `12L`. */
  decimal(): number | bigint {
    return this.#decimal(this.line().replace(/L$/, ""));
  }

  /** A line with a number, or with a boolean as protocol 0 writes it: `00`, `01`. */
  decimalOrBoolean(): number | bigint | boolean {
    const text = this.line();
    return text === "01" ? true : text === "00" ? false : this.#decimal(text);
  }

  /** A line with the number of an object. */
  index(): number {
    const index = this.decimal();
    if (typeof index !== "number" || index < 0) throw this.#corrupt(`${index} is no memo index`);
    return index;
  }

  /** A line with a floating-point number, as `repr` writes it. */
  decimalFloat(): number {
    const text = this.line().trim();
    const special: Record<string, number> = { nan: NaN, inf: Infinity, "-inf": -Infinity };
    const value = special[text] ?? Number(text);
    if (Number.isNaN(value) && text !== "nan" || text === "") throw this.#noNumber(text);
    return value;
  }

  /** A line in Python's raw-unicode-escape. */
  escapedLine(): string {
    return this.line().replace(
      /\\(?:u([0-9a-fA-F]{4})|U([0-9a-fA-F]{8}))/g,
      (_, short, long) => {
        const code = Number.parseInt(short ?? long, 16);
        if (code > 0x10FFFF) throw this.#corrupt("a character is beyond the last one");
        return String.fromCodePoint(code);
      },
    );
  }

  /** A line with a string literal, as `repr` of Python 2 writes it. */
  quotedLine(): string {
    const match = /^(['"])(.*)\1$/s.exec(this.line());
    if (!match) throw this.#corrupt("a string has no quotes");
    const plain: Record<string, string> = { n: "\n", r: "\r", t: "\t" };
    return match[2].replace(
      /\\(?:x([0-9a-fA-F]{2})|(.))/gs,
      (_, code, other) =>
        code ? String.fromCharCode(Number.parseInt(code, 16)) : plain[other] ?? other,
    );
  }

  #decimal(text: string): number | bigint {
    if (!/^\s*[+-]?\d+\s*$/.test(text) || text.length > MAX_INTEGER_BYTES) {
      throw this.#noNumber(text);
    }
    return simplest(BigInt(text));
  }

  #noNumber(text: string): FormatError {
    return this.#corrupt(`${JSON.stringify(text.slice(0, 40))} is no number`);
  }

  #corrupt(what: string): FormatError {
    return new FormatError(`${this.source.name} is not a valid pickle: ${what}.`);
  }

  #fixed<T>(length: number, get: (view: DataView, at: number) => T): T {
    const inWindow = this.at - this.#windowStart;
    if (inWindow < 0 || inWindow + length > this.#window.length) this.#fill(length);
    const value = get(this.#view, this.at - this.#windowStart);
    this.at += length;
    return value;
  }

  #fill(atLeast: number): void {
    const rest = this.source.size - this.at;
    const length = Math.max(atLeast, Math.min(WINDOW_BYTES, rest));
    this.#window = this.source.readSync(this.at, length);
    this.#view = new DataView(this.#window.buffer);
    this.#windowStart = this.at;
  }
}

/** A number where it is exact, else a bigint. */
function simplest(value: bigint): number | bigint {
  const number = Number(value);
  return Number.isSafeInteger(number) ? number : value;
}
