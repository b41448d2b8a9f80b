/**
 * Samples that are finished while the file that they belong to is not: a run that is stopped
 * continues behind them. One line of JSON says what they are; then for each batch the number of
 * samples, a checksum and the numbers: bytes for pictures, float32 else.
 *
 * @module
 */

import { basename, dirname, join } from "jsr:@std/path@1.0.8";
import { bytesOf, sizeOf } from "../../base/arrays.ts";
import { FormatError, ImmError, UsageError, WriteError } from "../../base/errors.ts";
import { checksum } from "../../formats/archive/crc32.ts";
import { toFloat32 } from "../../formats/arrays/numeric.ts";
import { decodeRgb, encodeRgb } from "../../base/bytes.ts";
import { formatRanges } from "../../base/units.ts";
import type { GeneratedBatch } from "../generator.ts";
import type { SampleSet } from "./sample_set.ts";
import { difference, type SampleSettings } from "../settings.ts";

/** Bytes of a batch's number of samples and checksum. */
const PREFIX = 8;
const MAX_HEADER_BYTES = 2 ** 26;

/** How the numbers of a set are kept. */
export interface JournalOptions {
  /** Keep the pixels, rounded as pictures have them: a quarter of the bytes. */
  readonly asPixels: boolean;
  /** Forget what is there. */
  readonly overwrite?: boolean;
}

/** The samples of one set that are finished. Close it; {@link remove} it when the file is written. */
export class Journal implements Disposable {
  /** How many samples are finished: the first ones of the set. */
  readonly done: number;

  private constructor(
    private readonly path: string,
    private readonly file: Deno.FsFile,
    private readonly size: number,
    private readonly asPixels: boolean,
    private readonly start: number,
    private readonly counts: readonly number[],
  ) {
    this.done = counts.reduce((sum, count) => sum + count, 0);
  }

  /**
   * Opens the journal beside `path`, or begins one. What a killed run left half written is cut off.
   *
   * @throws {UsageError} when it is of other settings or another set
   * @throws {FormatError} when it does not say of which, because it is damaged
   * @throws {ImmError} when another process writes it
   */
  static async open(
    path: string,
    set: SampleSet,
    settings: SampleSettings,
    { asPixels, overwrite = false }: JournalOptions,
  ): Promise<Journal> {
    const own = journalPath(path);
    const file = await Deno.open(own, { read: true, write: true, create: true });
    try {
      if (!await file.tryLock(true)) {
        throw new ImmError(
          `another process is writing ${path}; wait for it or choose another name.`,
        );
      }
      const { shape, seeds, labels } = set;
      const record = { ...settings, shape, seeds: formatRanges(seeds), labels, asPixels };
      const header = headerOf(record);
      const found = overwrite ? "" : readHeader(file);
      if (found !== "" && found !== header) {
        if (isDamaged(found)) {
          throw new FormatError(
            `${own}, what is finished of ${path}, is damaged; remove it, or give --overwrite, to ` +
              `make all of it again.`,
          );
        }
        throw new UsageError(
          `${own} is of a run that was stopped, but was made differently ` +
            `(${difference(found, record)}); finish that run, or give --overwrite.`,
        );
      }
      if (found === "") {
        await file.truncate(0);
        writeAll(file, new TextEncoder().encode(header), 0, own);
      }
      const size = sizeOf(shape) * (asPixels ? 1 : 4);
      const start = new TextEncoder().encode(header).length;
      const { counts, end } = readBatches(file, start, size);
      await file.truncate(end);
      return new Journal(own, file, size, asPixels, start, counts);
    } catch (error) {
      file.close();
      throw error;
    }
  }

  /** The finished samples, then `batches`, which begin with sample number `done`, as they come. */
  async *continue(batches: AsyncIterable<GeneratedBatch>): AsyncGenerator<GeneratedBatch> {
    let at = this.start;
    let first = 0;
    for (const count of this.counts) {
      const bytes = readExactly(this.file, at + PREFIX, count * this.size);
      const samples = this.asPixels ? encodeRgb(bytes) : toFloat32(bytes, "f32");
      yield { first, count, samples };
      first += count;
      at += PREFIX + bytes.length;
    }
    for await (const { count, samples } of batches) {
      const bytes = this.asPixels ? decodeRgb(samples) : bytesOf(samples);
      const record = new Uint8Array(PREFIX + bytes.length);
      const view = new DataView(record.buffer);
      view.setUint32(0, count, true);
      view.setUint32(4, checksum(bytes), true);
      record.set(bytes, PREFIX);
      writeAll(this.file, record, at, this.path);
      at += record.length;
      yield { first, count, samples };
      first += count;
    }
  }

  /** Removes it: the set is complete. */
  async remove(): Promise<void> {
    await Deno.remove(this.path);
  }

  /** Keeps it for another time, unless nothing is in it. */
  close(): void {
    const empty = this.file.statSync().size <= this.start;
    this.file.close();
    if (empty) {
      try {
        Deno.removeSync(this.path);
      } catch (error) {
        if (!(error instanceof Deno.errors.NotFound)) throw error;
      }
    }
  }

  [Symbol.dispose](): void {
    this.close();
  }
}

/** `.samples.npz.partial` beside `samples.npz`. */
export function journalPath(path: string): string {
  return join(dirname(path), `.${basename(path)}.partial`);
}

/** The first line: what the samples are, and a checksum of that. */
function headerOf(record: object): string {
  return JSON.stringify({ ...record, crc32: recordChecksum(record) }) + "\n";
}

function recordChecksum(record: object): number {
  return checksum(new TextEncoder().encode(JSON.stringify(record)));
}

/** Whether a first line is not as it was written. */
function isDamaged(header: string): boolean {
  try {
    const { crc32, ...record } = JSON.parse(header);
    return crc32 !== recordChecksum(record);
  } catch {
    return true;
  }
}

/** The first line with its end; empty where there is none. */
function readHeader(file: Deno.FsFile): string {
  const { size } = file.statSync();
  let text = new Uint8Array(0);
  while (text.length < Math.min(size, MAX_HEADER_BYTES)) {
    const length = Math.min(size, Math.max(4096, 2 * text.length));
    text = readExactly(file, 0, length);
    const end = text.indexOf(0x0A);
    if (end >= 0) return new TextDecoder().decode(text.subarray(0, end + 1));
  }
  return "";
}

/** Numbers of samples of the batches that are complete and undamaged, and where they end. */
function readBatches(
  file: Deno.FsFile,
  start: number,
  size: number,
): { counts: number[]; end: number } {
  const { size: total } = file.statSync();
  const counts: number[] = [];
  let end = start;
  while (end + PREFIX <= total) {
    const view = new DataView(readExactly(file, end, PREFIX).buffer);
    const count = view.getUint32(0, true);
    const next = end + PREFIX + count * size;
    if (count === 0 || next > total) break;
    if (checksum(readExactly(file, end + PREFIX, count * size)) !== view.getUint32(4, true)) break;
    counts.push(count);
    end = next;
  }
  return { counts, end };
}

function readExactly(file: Deno.FsFile, offset: number, length: number): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(length);
  file.seekSync(offset, Deno.SeekMode.Start);
  for (let filled = 0; filled < length;) {
    const count = file.readSync(bytes.subarray(filled));
    if (count === null) return bytes.slice(0, filled);
    filled += count;
  }
  return bytes;
}

function writeAll(file: Deno.FsFile, bytes: Uint8Array, offset: number, path: string): void {
  try {
    file.seekSync(offset, Deno.SeekMode.Start);
    for (let rest = bytes; rest.length > 0;) rest = rest.subarray(file.writeSync(rest));
  } catch (error) {
    throw new WriteError(path, error as Error, "; the same command goes on where there is room");
  }
}
