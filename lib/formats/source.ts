/**
 * Random access to the bytes of a file or of a buffer. A reader that takes a {@link ByteSource}
 * can look at one tensor of a checkpoint, or one array of a 2 GB npz, without reading the rest.
 *
 * @module
 */

import { FormatError } from "../base/errors.ts";
import { recognizeStandIn, START_BYTES, unexpected } from "./recognize/bytes.ts";

/** Bytes that can be read in any order. */
export interface ByteSource {
  /** What error messages call it: a path, or a name that its owner gave. */
  readonly name: string;
  /** Length in bytes. */
  readonly size: number;
  /**
   * Exactly `length` bytes from `offset`.
   *
   * @throws {FormatError} when they reach past the end, or the file became shorter meanwhile
   */
  read(offset: number, length: number): Promise<Uint8Array<ArrayBuffer>>;
  /** As {@link read}, at once: for callers that pick single images or rows. */
  readSync(offset: number, length: number): Uint8Array<ArrayBuffer>;
  /** Releases the file. Further reads fail. */
  close(): void;
  /** Closes it. */
  [Symbol.dispose](): void;
}

/** A source over bytes in memory. Reads are copies, so a caller may keep or change them. */
export function bytesSource(bytes: Uint8Array, name: string): ByteSource {
  return new BytesSource(name, bytes);
}

/**
 * The `size` bytes from `offset` of another source, under their own name. It borrows the file:
 * closing it does nothing, and it fails once the owner is closed.
 */
export function sliceSource(
  source: ByteSource,
  name: string,
  offset: number,
  size: number,
): ByteSource {
  return new SliceSource(name, size, source, offset);
}

/**
 * Opens a regular file for random access.
 *
 * @throws {FormatError} when it does not exist, cannot be read, is not a regular file, or is something
 * in the place of a file: a pointer of git-lfs, a web page
 */
export async function openFileSource(path: string): Promise<ByteSource> {
  let file: Deno.FsFile | undefined;
  try {
    file = await Deno.open(path, { read: true });
    const info = await file.stat();
    if (!info.isFile) {
      throw new FormatError(
        `${path} is ${
          info.isDirectory ? "a folder" : "not a regular file"
        }; give the path of a file.`,
      );
    }
    const source = new FileSource(path, info.size, file);
    const start = source.readSync(0, Math.min(START_BYTES, info.size));
    const standIn = recognizeStandIn(start, info.size);
    if (standIn !== null) throw new FormatError(unexpected(path, standIn));
    return source;
  } catch (error) {
    file?.close();
    throw describeFileError(error, path);
  }
}

/**
 * A temporary file with what the chunks bring: for what must be read at random but comes in order
 * and is too large for the memory. Closing it removes it.
 *
 * @param name what error messages call it
 */
export async function temporarySource(
  name: string,
  chunks: AsyncIterable<Uint8Array>,
): Promise<ByteSource> {
  const path = await Deno.makeTempFile({ prefix: "imm-" });
  try {
    let size = 0;
    {
      using file = await Deno.open(path, { write: true });
      for await (const chunk of chunks) {
        for (let rest = chunk; rest.length > 0;) rest = rest.subarray(await file.write(rest));
        size += chunk.length;
      }
    }
    const file = await Deno.open(path, { read: true });
    // Gone with the program, however it ends; Windows removes no files that are open.
    const removed = await Deno.remove(path).then(() => true, () => false);
    return new FileSource(name, size, file, removed ? undefined : path);
  } catch (error) {
    await Deno.remove(path).catch(() => {});
    throw error;
  }
}

/**
 * Reads a whole file.
 *
 * @param limit most bytes that are accepted, so that a wrong path cannot fill the memory
 * @throws {FormatError} when it cannot be read or is larger than `limit`
 */
export async function readFileBytes(
  path: string,
  limit: number = 2 ** 31,
): Promise<Uint8Array<ArrayBuffer>> {
  using source = await openFileSource(path);
  if (source.size > limit) {
    throw new FormatError(
      `${path} has ${source.size} bytes, more than the ${limit} that are accepted here.`,
    );
  }
  return await source.read(0, source.size);
}

/** Turns what the operating system said about `path` into one sentence; passes other errors. */
export function describeFileError(error: unknown, path: string): unknown {
  if (error instanceof Deno.errors.NotFound) {
    const advice = path.startsWith("~/")
      ? "the shell replaces ~ by your home folder at the beginning of a word only, not behind ="
      : "check the path";
    return new FormatError(`${path} does not exist; ${advice}.`, { cause: error });
  }
  if (
    error instanceof Deno.errors.PermissionDenied || error instanceof Deno.errors.NotCapable
  ) {
    return new FormatError(
      `${path} cannot be opened: permission denied; check its access rights and Deno's -A.`,
      { cause: error },
    );
  }
  if (error instanceof Deno.errors.NotADirectory) {
    return new FormatError(
      `${path} does not exist: a part of the path is a file, not a folder; check the path.`,
      { cause: error },
    );
  }
  return error;
}

/** What the three kinds of source share: the check of every range, and the asynchronous form. */
abstract class CheckedSource implements ByteSource {
  constructor(readonly name: string, readonly size: number) {}

  readSync(offset: number, length: number): Uint8Array<ArrayBuffer> {
    checkRange(this.name, this.size, offset, length);
    return this.readChecked(offset, length);
  }

  // Local files answer at memory speed, and a seek and its read must not be torn apart by another
  // reader of the same cursor: so the asynchronous form does its work in one go.
  // deno-lint-ignore require-await
  async read(offset: number, length: number): Promise<Uint8Array<ArrayBuffer>> {
    return this.readSync(offset, length);
  }

  protected abstract readChecked(offset: number, length: number): Uint8Array<ArrayBuffer>;

  close(): void {}

  [Symbol.dispose](): void {
    this.close();
  }
}

class BytesSource extends CheckedSource {
  constructor(name: string, private readonly bytes: Uint8Array) {
    super(name, bytes.length);
  }

  protected override readChecked(offset: number, length: number): Uint8Array<ArrayBuffer> {
    return Uint8Array.from(this.bytes.subarray(offset, offset + length));
  }
}

class SliceSource extends CheckedSource {
  constructor(
    name: string,
    size: number,
    private readonly source: ByteSource,
    private readonly offset: number,
  ) {
    checkRange(name, source.size, offset, size);
    super(name, size);
  }

  protected override readChecked(offset: number, length: number): Uint8Array<ArrayBuffer> {
    return this.source.readSync(this.offset + offset, length);
  }
}

class FileSource extends CheckedSource {
  /** @param temporary path of a file that is to be removed when it is closed */
  constructor(
    name: string,
    size: number,
    private readonly file: Deno.FsFile,
    private readonly temporary?: string,
  ) {
    super(name, size);
  }

  protected override readChecked(offset: number, length: number): Uint8Array<ArrayBuffer> {
    const bytes = new Uint8Array(length);
    this.file.seekSync(offset, Deno.SeekMode.Start);
    for (let filled = 0; filled < length;) {
      const count = this.file.readSync(bytes.subarray(filled));
      if (count === null) {
        throw new FormatError(
          `${this.name} ended at byte ${offset + filled} but had ${this.size} bytes when it was ` +
            `opened; it changed while it was read.`,
        );
      }
      filled += count;
    }
    return bytes;
  }

  override close(): void {
    this.file.close();
    if (this.temporary !== undefined) Deno.removeSync(this.temporary);
  }
}

function checkRange(name: string, size: number, offset: number, length: number): void {
  const valid = Number.isSafeInteger(offset) && Number.isSafeInteger(length) &&
    offset >= 0 && length >= 0;
  if (!valid || offset + length > size) {
    throw new FormatError(
      `${name} is truncated or corrupt: expected ${length} bytes at ${offset}, ` +
        `but the file has ${size} bytes.`,
    );
  }
}
