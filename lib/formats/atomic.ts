/**
 * Writing files so that a killed run never leaves half a file under its final name.
 *
 * @module
 */

import { basename, dirname, join } from "node:path";
import { bytesOf } from "../base/arrays.ts";
import { FormatError, WriteError } from "../base/errors.ts";
import { describeFileError } from "./source.ts";

/** Appends a chunk to the file being written; await it before reusing the chunk's memory. */
export type ChunkWriter = (chunk: ArrayBufferView | string) => Promise<void>;

/** Replaces bytes that were written before, from `offset` on. */
export type ChunkPatcher = (offset: number, bytes: Uint8Array) => Promise<void>;

/**
 * Writes a file under a temporary name beside its final one, syncs it to the disk, and renames
 * it. When anything fails the temporary file is removed and the old file, if any, is as it was.
 *
 * A path that exists and is not a regular file (`/dev/null`, a pipe) is written directly: there
 * is nothing to replace there.
 *
 * @param content the bytes, text (UTF-8), or a function that writes them piece by piece; it is also
 * given what replaces bytes once they are written, null for what is not a regular file
 * @throws {FormatError} when the folder does not exist or may not be written
 * @throws {WriteError} when the disk is full, or writing fails otherwise
 */
export async function writeFileAtomic(
  path: string,
  content:
    | ArrayBufferView
    | string
    | ((write: ChunkWriter, patch: ChunkPatcher | null) => Promise<void>),
): Promise<void> {
  const produce = typeof content === "function" ? content : (write: ChunkWriter) => write(content);
  const existing = await Deno.stat(path).catch(() => null);
  if (existing?.isDirectory) {
    throw new FormatError(`${path} is a folder; give the path of a file to write.`);
  }
  if (existing !== null && !existing.isFile) {
    using file = await Deno.open(path, { write: true });
    await produce(writerTo(file, path), null);
    return;
  }
  // A symbolic link is kept: what it points at is replaced.
  const target = await Deno.realPath(path).catch(() => path);
  const folder = dirname(target);
  const temporary = join(folder, `.${basename(target)}.${crypto.randomUUID().slice(0, 8)}.tmp`);
  const file = await create(temporary, path);
  try {
    try {
      await produce(writerTo(file, path), patcherOf(file, path));
      await naming(path, () => file.sync());
    } finally {
      file.close();
    }
    await naming(path, () => Deno.rename(temporary, target));
  } catch (error) {
    await Deno.remove(temporary).catch(() => {}); // the first error is the one worth telling
    throw error;
  }
  await syncFolder(folder);
}

async function create(temporary: string, path: string): Promise<Deno.FsFile> {
  try {
    return await Deno.open(temporary, { write: true, createNew: true });
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) {
      throw new FormatError(
        `${path} cannot be written: the folder ${dirname(path)} does not exist; create it first.`,
        { cause: error },
      );
    }
    throw describeFileError(error, path);
  }
}

/** Whether a name is that of a file that {@link writeFileAtomic} has begun. */
export function isTemporary(name: string): boolean {
  return /^\..+\.[0-9a-f]{8}\.tmp$/.test(name);
}

/** What the system says about a full disk and the like, with the name of the file. */
async function naming<Value>(path: string, write: () => Promise<Value>): Promise<Value> {
  try {
    return await write();
  } catch (error) {
    if (error instanceof Deno.errors.BrokenPipe) throw error; // its reader has enough
    throw new WriteError(path, error as Error);
  }
}

function writerTo(file: Deno.FsFile, path: string): ChunkWriter {
  const encoder = new TextEncoder();
  return (chunk) =>
    writeAll(file, typeof chunk === "string" ? encoder.encode(chunk) : bytesOf(chunk), path);
}

function patcherOf(file: Deno.FsFile, path: string): ChunkPatcher {
  return async (offset, bytes) => {
    await file.seek(offset, Deno.SeekMode.Start);
    await writeAll(file, bytes, path);
    await file.seek(0, Deno.SeekMode.End);
  };
}

async function writeAll(file: Deno.FsFile, bytes: Uint8Array, path: string): Promise<void> {
  for (let rest = bytes; rest.length > 0;) {
    rest = rest.subarray(await naming(path, () => file.write(rest)));
  }
}

/** The rename itself lives in the folder: without this it can be lost when the power fails. */
async function syncFolder(folder: string): Promise<void> {
  try {
    using handle = await Deno.open(folder, { read: true });
    await handle.sync();
  } catch {
    // Windows opens no folders, and some network file systems refuse; the file itself is safe.
  }
}
