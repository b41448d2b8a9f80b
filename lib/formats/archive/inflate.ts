/**
 * Decompression with a known end: a few bytes of a hostile file must not become gigabytes.
 *
 * @module
 */

import { gunzipSync, inflateRawSync } from "node:zlib";
import { FormatError } from "../../base/errors.ts";

/** DEFLATE turns one byte into at most this many (zlib's documentation, "Maximum expansion"). */
const MAX_DEFLATE_RATIO = 1032;

/**
 * Decompresses a stream whose decompressed size is known, into memory.
 *
 * @param compressedSize length of `chunks` together, to refuse an impossible `size` before any
 * memory is taken for it
 * @throws {FormatError} when the data is damaged or is not exactly `size` bytes
 */
export async function inflateExactly(
  chunks: Iterable<Uint8Array> | AsyncIterable<Uint8Array>,
  compressedSize: number,
  size: number,
  name: string,
): Promise<Uint8Array<ArrayBuffer>> {
  checkRatio(compressedSize, size, name);
  const result = new Uint8Array(size);
  let filled = 0;
  for await (const chunk of inflateChunks(chunks, compressedSize, size, name)) {
    result.set(chunk, filled);
    filled += chunk.length;
  }
  return result;
}

/** As {@link inflateExactly}, piece by piece. */
export async function* inflateChunks(
  chunks: Iterable<Uint8Array> | AsyncIterable<Uint8Array>,
  compressedSize: number,
  size: number,
  name: string,
): AsyncGenerator<Uint8Array> {
  checkRatio(compressedSize, size, name);
  let filled = 0;
  for await (const chunk of decompress(chunks, name)) {
    filled += chunk.length;
    if (filled > size) {
      throw new FormatError(`${name} is corrupt: it decompresses to more than ${size} bytes.`);
    }
    yield chunk;
  }
  checkSize(filled, size, name);
}

/** As {@link inflateExactly}, at once: for callers that pick single files. */
export function inflateExactlySync(
  bytes: Uint8Array,
  size: number,
  name: string,
): Uint8Array<ArrayBuffer> {
  checkRatio(bytes.length, size, name);
  let result: Uint8Array;
  try {
    // One byte more shows that there is more; an empty output is not allowed as a limit.
    result = inflateRawSync(bytes, { maxOutputLength: size + 1 });
  } catch (cause) {
    const what = (cause as { code?: string }).code === "ERR_BUFFER_TOO_LARGE"
      ? `it decompresses to more than ${size} bytes`
      : "its compressed data is damaged";
    throw new FormatError(`${name} is corrupt: ${what}.`, { cause });
  }
  checkSize(result.length, size, name);
  return Uint8Array.from(result);
}

function checkRatio(compressedSize: number, size: number, name: string): void {
  if (size > compressedSize * MAX_DEFLATE_RATIO) {
    throw new FormatError(
      `${name} is corrupt: ${compressedSize} compressed bytes cannot hold ${size} bytes.`,
    );
  }
}

function checkSize(found: number, size: number, name: string): void {
  if (found === size) return;
  throw new FormatError(
    `${name} is corrupt: expected ${size} decompressed bytes, found ${found}.`,
  );
}

/**
 * Decompresses a gzip file that is in memory: all of its members, where it has several, as
 * `cat a.gz b.gz` makes one. The checksum of each is checked.
 *
 * @param limit most decompressed bytes that are accepted
 * @throws {FormatError} when the data is damaged or holds more than `limit` bytes
 */
export function gunzip(bytes: Uint8Array, limit: number, name: string): Uint8Array<ArrayBuffer> {
  try {
    return new Uint8Array(gunzipSync(bytes, { maxOutputLength: limit }));
  } catch (cause) {
    throw new FormatError(
      (cause as { code?: string }).code === "ERR_BUFFER_TOO_LARGE"
        ? `${name} decompresses to more than the ${limit} bytes that are accepted here.`
        : `${name} is truncated or corrupt: it cannot be decompressed (${
          (cause as Error).message
        }).`,
      { cause },
    );
  }
}

/** Whether the bytes start like a gzip file. */
export function isGzip(bytes: Uint8Array): boolean {
  return bytes[0] === 0x1F && bytes[1] === 0x8B;
}

async function* decompress(
  chunks: Iterable<Uint8Array> | AsyncIterable<Uint8Array>,
  name: string,
): AsyncGenerator<Uint8Array> {
  const output = ReadableStream.from(chunks as AsyncIterable<BufferSource>)
    .pipeThrough(new DecompressionStream("deflate-raw"));
  try {
    yield* output;
  } catch (error) {
    // The stream says TypeError for damaged data; whatever came from `chunks` keeps its own words.
    if (!(error instanceof TypeError)) throw error;
    throw new FormatError(`${name} is truncated or corrupt: it cannot be decompressed.`, {
      cause: error,
    });
  }
}
