/**
 * Writing zip archives front to back, without seeking: a member's checksum, and its size when it
 * is compressed, follow its data. The same content gives the same bytes: there are no clocks in it.
 *
 * @module
 */

import { FormatError } from "../../base/errors.ts";
import type { ChunkWriter } from "../atomic.ts";
import { checksum } from "./crc32.ts";

/** How a member is written. */
export interface ZipMemberOptions {
  /** Exact size before compression, in bytes; it decides whether ZIP64 is needed. */
  readonly size: number;
  /** Compress with DEFLATE; otherwise the bytes are stored as they are. */
  readonly compress?: boolean;
  /** Where the data begin in the file is a multiple of this, up to 4,096 (default 1). */
  readonly alignment?: number;
}

const LIMIT_32 = 0xFFFFFFFF;
const LIMIT_16 = 0xFFFF;
/** DEFLATE may grow what it cannot shrink, by far less than this. */
const DEFLATE_SLACK = 2 ** 26;

const STREAMED = 0x0008; // sizes and checksum follow the data
const UTF8 = 0x0800;
const DOS_DATE_1980 = 0x0021; // the first day that zip can express

interface WrittenMember {
  readonly name: Uint8Array;
  readonly method: number;
  readonly crc: number;
  readonly size: number;
  readonly compressedSize: number;
  readonly offset: number;
}

/**
 * Writes members one after the other, then the directory.
 *
 * @example
 * ```ts
 * import { writeFileAtomic } from "../atomic.ts";
 *
 * const folder = await Deno.makeTempDir();
 * await writeFileAtomic(`${folder}/a.zip`, async (write) => {
 *   const zip = new ZipWriter(write);
 *   await zip.add("hello.txt", [new TextEncoder().encode("hello")], { size: 5 });
 *   await zip.finish();
 * });
 * await Deno.remove(folder, { recursive: true });
 * ```
 */
export class ZipWriter {
  readonly #write: ChunkWriter;
  readonly #members: WrittenMember[] = [];
  #position = 0;

  /** Writes with the given function, from front to back. */
  constructor(write: ChunkWriter) {
    this.#write = write;
  }

  /**
   * Appends one member.
   *
   * @throws {FormatError} when the chunks are not `size` bytes together
   */
  async add(
    name: string,
    chunks: Iterable<Uint8Array> | AsyncIterable<Uint8Array>,
    { size, compress = false, alignment = 1 }: ZipMemberOptions,
  ): Promise<void> {
    const offset = this.#position;
    const encodedName = new TextEncoder().encode(name);
    const method = compress ? 8 : 0;
    const wide = size >= (compress ? LIMIT_32 - DEFLATE_SLACK : LIMIT_32);
    const unaligned = offset + localHeader(encodedName, method, wide).length;
    await this.#put(localHeader(encodedName, method, wide, paddingFor(unaligned, alignment)));

    let crc = 0;
    let found = 0;
    const dataStart = this.#position;
    const counted = (async function* () {
      for await (const chunk of chunks) {
        crc = checksum(chunk, crc);
        found += chunk.length;
        yield chunk;
      }
    })();
    for await (const chunk of compress ? deflate(counted) : counted) await this.#put(chunk);
    const compressedSize = this.#position - dataStart;
    if (found !== size) {
      throw new FormatError(`Member "${name}" was to have ${size} bytes, but was given ${found}.`);
    }
    await this.#put(dataDescriptor(crc, compressedSize, size, wide));
    this.#members.push({ name: encodedName, method, crc, size, compressedSize, offset });
  }

  /** Writes the directory; nothing may be added after it. */
  async finish(): Promise<void> {
    const start = this.#position;
    for (const member of this.#members) await this.#put(directoryEntry(member));
    await this.#put(endRecords(this.#members.length, start, this.#position - start));
  }

  async #put(bytes: Uint8Array): Promise<void> {
    await this.#write(bytes);
    this.#position += bytes.length;
  }
}

function deflate(chunks: AsyncIterable<Uint8Array>): AsyncIterable<Uint8Array> {
  return ReadableStream.from(chunks as AsyncIterable<BufferSource>)
    .pipeThrough(new CompressionStream("deflate-raw"));
}

/** Little-endian fields, appended one by one. */
class Fields {
  readonly #bytes: number[] = [];

  u16(...values: number[]): this {
    for (const value of values) this.#bytes.push(value & 255, value >>> 8);
    return this;
  }

  u32(...values: number[]): this {
    for (const value of values) this.u16(value & 0xFFFF, value >>> 16);
    return this;
  }

  u64(...values: number[]): this {
    for (const value of values) this.u32(value % 2 ** 32, Math.floor(value / 2 ** 32));
    return this;
  }

  append(bytes: Iterable<number>): this {
    this.#bytes.push(...bytes);
    return this;
  }

  get bytes(): Uint8Array {
    return Uint8Array.from(this.#bytes);
  }
}

/** Bytes of an extra field, its 4 of header among them, that bring `position` to a multiple. */
function paddingFor(position: number, alignment: number): number {
  if (position % alignment === 0) return 0;
  return 4 + (alignment - (position + 4) % alignment) % alignment;
}

function localHeader(
  name: Uint8Array,
  method: number,
  wide: boolean,
  padding = 0,
): Uint8Array {
  const size = wide ? LIMIT_32 : 0;
  const fields = new Fields()
    .u32(0x04034b50)
    .u16(versionNeeded(wide), STREAMED | UTF8, method, 0, DOS_DATE_1980)
    .u32(0, size, size)
    .u16(name.length, (wide ? 20 : 0) + padding)
    .append(name);
  if (wide) fields.u16(0x0001, 16).u64(0, 0);
  // An identifier that readers do not know and skip; PyTorch pads with the same.
  if (padding > 0) fields.u16(0x4246, padding - 4).append(new Uint8Array(padding - 4));
  return fields.bytes;
}

function dataDescriptor(crc: number, compressed: number, size: number, wide: boolean): Uint8Array {
  const fields = new Fields().u32(0x08074b50, crc);
  return (wide ? fields.u64(compressed, size) : fields.u32(compressed, size)).bytes;
}

function directoryEntry(
  { name, method, crc, size, compressedSize, offset }: WrittenMember,
): Uint8Array {
  const narrow: number[] = [];
  const extra = new Fields();
  // The order is part of the format: the extra field holds the values that did not fit, in turn.
  for (const value of [size, compressedSize, offset]) {
    narrow.push(value >= LIMIT_32 ? LIMIT_32 : value);
    if (value >= LIMIT_32) extra.u64(value);
  }
  const wide = extra.bytes.length > 0;
  const fields = new Fields()
    .u32(0x02014b50)
    .u16(versionNeeded(wide), versionNeeded(wide), STREAMED | UTF8, method, 0, DOS_DATE_1980)
    .u32(crc, narrow[1], narrow[0])
    .u16(name.length, wide ? extra.bytes.length + 4 : 0, 0, 0, 0)
    .u32(0, narrow[2])
    .append(name);
  if (wide) fields.u16(0x0001, extra.bytes.length).append(extra.bytes);
  return fields.bytes;
}

function endRecords(count: number, start: number, size: number): Uint8Array {
  const fields = new Fields();
  if (count >= LIMIT_16 || start >= LIMIT_32 || size >= LIMIT_32) {
    fields
      .u32(0x06064b50).u64(44).u16(45, 45).u32(0, 0).u64(count, count, size, start)
      .u32(0x07064b50, 0).u64(start + size).u32(1);
  }
  const count16 = Math.min(count, LIMIT_16);
  return fields
    .u32(0x06054b50)
    .u16(0, 0, count16, count16)
    .u32(Math.min(size, LIMIT_32), Math.min(start, LIMIT_32))
    .u16(0)
    .bytes;
}

/** 4.5 is the version of the format that has ZIP64. */
function versionNeeded(wide: boolean): number {
  return wide ? 45 : 20;
}
