/**
 * Random access to the bytes of a file or of a buffer. A reader that takes a {@link ByteSource}
 * can look at one tensor of a checkpoint, or one array of a 2 GB npz, without reading the rest.
 *
 * @module
 */

import { FormatError } from "../errors.ts";

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
  /** Releases the file. Further reads fail. */
  close(): void;
  [Symbol.dispose](): void;
}

/** A source over bytes in memory. Reads are copies, so a caller may keep or change them. */
export function bytesSource(bytes: Uint8Array, name: string): ByteSource {
  return {
    name,
    size: bytes.length,
    read(offset, length) {
      try {
        checkRange(name, bytes.length, offset, length);
      } catch (error) {
        return Promise.reject(error);
      }
      return Promise.resolve(bytes.slice(offset, offset + length));
    },
    close() {},
    [Symbol.dispose]() {},
  };
}

/**
 * Opens a regular file for random access.
 *
 * @throws {FormatError} when it does not exist, cannot be read, or is not a regular file
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
    return new FileSource(path, info.size, file);
  } catch (error) {
    file?.close();
    throw describeFileError(error, path);
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
    return new FormatError(`${path} does not exist; check the path.`, { cause: error });
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

class FileSource implements ByteSource {
  /** Seek and read are two calls on one cursor, so reads queue up behind each other. */
  #previous: Promise<unknown> = Promise.resolve();

  constructor(
    readonly name: string,
    readonly size: number,
    private readonly file: Deno.FsFile,
  ) {}

  read(offset: number, length: number): Promise<Uint8Array<ArrayBuffer>> {
    const result = this.#previous.then(() => this.#read(offset, length));
    this.#previous = result.catch(() => {});
    return result;
  }

  async #read(offset: number, length: number): Promise<Uint8Array<ArrayBuffer>> {
    checkRange(this.name, this.size, offset, length);
    const bytes = new Uint8Array(length);
    await this.file.seek(offset, Deno.SeekMode.Start);
    for (let filled = 0; filled < length;) {
      const count = await this.file.read(bytes.subarray(filled));
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

  close(): void {
    this.file.close();
  }

  [Symbol.dispose](): void {
    this.close();
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
