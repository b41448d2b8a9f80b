/**
 * The npz format: a zip archive of npy files, as `numpy.savez` and `numpy.savez_compressed` write
 * it. Samples are exchanged as `arr_0` (uint8 NHWC) with labels as `arr_1`; reference statistics
 * as `mu` and `sigma`.
 *
 * @module
 */

import { FormatError } from "../../base/errors.ts";
import { writeFileAtomic } from "../atomic.ts";
import { type ArrayToWrite, npyByteLength, npyChunks, NpyReader } from "./npy.ts";
import { type ByteSource, openFileSource } from "../source.ts";
import { type ZipArchive, zipFrom } from "../archive/zip.ts";
import { ZipWriter } from "../archive/zip_writer.ts";

const SUFFIX = ".npy";
const MAX_NOTE_BYTES = 2 ** 24;

/** An open npz file. */
export class NpzFile implements Disposable {
  /** The arrays' names, without `.npy`, in the order of the file. */
  readonly names: readonly string[];
  readonly #archive: ZipArchive;

  private constructor(archive: ZipArchive) {
    this.#archive = archive;
    this.names = [...archive.members.keys()]
      .filter((name) => name.endsWith(SUFFIX)).map((name) => name.slice(0, -SUFFIX.length));
  }

  /**
   * Opens a file and reads its directory.
   *
   * @throws {FormatError} when the file cannot be opened or is not a zip archive
   */
  static async open(path: string): Promise<NpzFile> {
    return await NpzFile.from(await openFileSource(path));
  }

  /** As {@link open}, from any source; takes over the closing of it. */
  static async from(source: ByteSource): Promise<NpzFile> {
    return new NpzFile(await zipFrom(source));
  }

  /**
   * An array whose header has been read. The numbers of an uncompressed one stay in the file
   * until they are read, which must be before the file is closed.
   *
   * @throws {FormatError} when there is no such array, or it is damaged
   */
  async array(name: string): Promise<NpyReader> {
    if (!this.names.includes(name)) {
      throw new FormatError(
        `${this.#archive.name} has no array named "${name}"; it has ${this.names.join(", ")}.`,
      );
    }
    return new NpyReader(await this.#archive.open(name + SUFFIX));
  }

  /** What the archive says of the contents of an array, as in `npz:0a1b2c3d`; null for nothing. */
  storedChecksum(name: string): string | null {
    const crc = this.#archive.members.get(name + SUFFIX)?.crc32;
    return crc === undefined ? null : `npz:${crc.toString(16).padStart(8, "0")}`;
  }

  /** Whether an array is compressed: `numpy.savez_compressed` does that, `numpy.savez` does not. */
  isCompressed(name: string): boolean {
    return this.#archive.members.get(name + SUFFIX)?.method === "deflate";
  }

  /** A text that is kept beside the arrays, or null; see {@link writeNpz}. */
  async note(name: string): Promise<string | null> {
    if (!this.#archive.members.has(name)) return null;
    return new TextDecoder().decode(await this.#archive.read(name, MAX_NOTE_BYTES));
  }

  /** Closes the file. */
  close(): void {
    this.#archive.close();
  }

  /** Closes the file. */
  [Symbol.dispose](): void {
    this.close();
  }
}

/**
 * Writes arrays atomically, in the order given, so that `numpy.load` reads them. Arrays given as
 * functions are streamed: 50,000 images never need to be in memory together. Notes are texts beside
 * the arrays, which numpy gives back as bytes when asked for.
 *
 * @throws {FormatError} when the file cannot be written or an array's numbers do not fit its shape
 */
export async function writeNpz(
  path: string,
  arrays: Iterable<readonly [string, ArrayToWrite]>,
  { compress = false, notes = {} }: {
    compress?: boolean;
    notes?: Readonly<Record<string, string>>;
  } = {},
): Promise<void> {
  await writeFileAtomic(path, async (write) => {
    const zip = new ZipWriter(write);
    for (const [name, array] of arrays) {
      await zip.add(name + SUFFIX, npyChunks(array), { size: npyByteLength(array), compress });
    }
    for (const [name, text] of Object.entries(notes)) {
      const bytes = new TextEncoder().encode(text);
      await zip.add(name, [bytes], { size: bytes.length });
    }
    await zip.finish();
  });
}
