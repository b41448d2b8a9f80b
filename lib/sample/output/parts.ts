/**
 * Parts of a set that several processes made, and the whole: the same file as one process would
 * have written.
 *
 * @module
 */

import { extname } from "jsr:@std/path@1.0.8";
import { bytesOf, joinArrays, sameShape } from "../../base/arrays.ts";
import { FormatError, UsageError } from "../../base/errors.ts";
import { writeFileAtomic } from "../../formats/atomic.ts";
import type { ArrayToWrite, NpyReader } from "../../formats/arrays/npy.ts";
import { NpzFile, writeNpz } from "../../formats/arrays/npz.ts";
import {
  openSafetensors,
  type SafetensorsFile,
  writeSafetensors,
} from "../../formats/safetensors/safetensors.ts";
import { openZip, type ZipArchive } from "../../formats/archive/zip.ts";
import { ZipWriter } from "../../formats/archive/zip_writer.ts";
import type { Shard } from "../../base/shard.ts";
import { parseRanges } from "../../base/units.ts";
import { type FileRecord, partRecord } from "./file_record.ts";
import { RECORD_NAME } from "./sample_set.ts";
import { difference } from "../settings.ts";

/** Rows of an array that are copied at a time. */
const ROWS = 256;

/** `samples.2-of-8.npz`: where part 2 of `samples.npz` goes. */
export function partPath(path: string, { index, of }: Shard): string {
  const extension = extname(path);
  return `${path.slice(0, path.length - extension.length)}.${index}-of-${of}${extension}`;
}

/**
 * Puts parts together in their order, which their names tell.
 *
 * @throws {UsageError} when they are not all the parts of one set
 * @throws {FormatError} when one is damaged or unlike the others
 */
export async function mergeParts(paths: readonly string[], out: string): Promise<void> {
  const ordered = inOrder(paths);
  const extension = extname(out).toLowerCase();
  const odd = ordered.find((path) => extname(path).toLowerCase() !== extension);
  if (odd !== undefined) {
    throw new UsageError(
      `${odd} is no ${extension} file, which ${out} is to be; they must be alike.`,
    );
  }
  switch (extension) {
    case ".npz":
      return await mergeNpz(ordered, out);
    case ".zip":
      return await mergeZip(ordered, out);
    case ".safetensors":
      return await mergeSafetensors(ordered, out);
  }
  throw new UsageError(`${out}: expected a name that ends in .npz, .zip or .safetensors.`);
}

/** Part 1 to part N. @throws {UsageError} when one is missing, there twice, or of another set */
function inOrder(paths: readonly string[]): string[] {
  const parts = paths.map((path) => {
    const match = /\.(\d+)-of-(\d+)\.[^./\\]+$/.exec(path);
    if (!match) {
      throw new UsageError(
        `${path} is not named like a part, as samples.2-of-8.npz, which imm sample --shard writes.`,
      );
    }
    return { path, index: Number(match[1]), of: Number(match[2]) };
  });
  const [{ of }] = parts;
  const other = parts.find((part) => part.of !== of);
  if (other) throw new UsageError(`${other.path} is one of ${other.of} parts, the first of ${of}.`);
  for (let index = 1; index <= of; index++) {
    const found = parts.filter((part) => part.index === index);
    if (found.length !== 1) {
      throw new UsageError(
        found.length === 0
          ? `part ${index} of ${of} is missing: ${parts.length} were given.`
          : `part ${index} of ${of} was given twice: ${found.map((part) => part.path).join(", ")}.`,
      );
    }
  }
  return parts.sort((a, b) => a.index - b.index).map((part) => part.path);
}

async function mergeNpz(paths: readonly string[], out: string): Promise<void> {
  const files = await openAll(paths, NpzFile.open);
  try {
    const record = sameSet(
      await Promise.all(files.map((file) => file.note(RECORD_NAME))),
      paths,
    );
    const names = sameLists(files.map((file) => file.names), paths);
    const arrays = await Promise.all(names.map(async (name): Promise<[string, ArrayToWrite]> => {
      const readers = await Promise.all(files.map((file) => file.array(name)));
      const [{ type, shape }] = readers;
      const odd = readers.findIndex((each) => each.type !== type || !sameRows(each.shape, shape));
      if (odd >= 0) throw unlike(paths[odd], name);
      const count = readers.reduce((sum, each) => sum + each.shape[0], 0);
      return [name, { type, shape: [count, ...shape.slice(1)], data: () => rowsOf(readers) }];
    }));
    checkCount(arrays.find(([name]) => name === "arr_0")?.[1].shape[0], record, paths);
    await writeNpz(out, arrays, { notes: { [RECORD_NAME]: record } });
  } finally {
    for (const file of files) file.close();
  }
}

async function* rowsOf(readers: readonly NpyReader[]): AsyncGenerator<Uint8Array> {
  for (const reader of readers) {
    for (let at = 0; at < reader.shape[0]; at += ROWS) {
      yield await Promise.resolve(reader.rows(at, Math.min(ROWS, reader.shape[0] - at)).bytes);
    }
  }
}

async function mergeZip(paths: readonly string[], out: string): Promise<void> {
  const files: ZipArchive[] = await openAll(paths, openZip);
  try {
    const records = files.map(async (file) =>
      file.members.has(RECORD_NAME) ? new TextDecoder().decode(await file.read(RECORD_NAME)) : null
    );
    const record = sameSet(await Promise.all(records), paths);
    const pictures = files.reduce((sum, { members }) => sum + members.size - 1, 0);
    checkCount(pictures, record, paths);
    await writeFileAtomic(out, async (write) => {
      const zip = new ZipWriter(write);
      const bytes = new TextEncoder().encode(record);
      await zip.add(RECORD_NAME, [bytes], { size: bytes.length });
      const seen = new Set<string>();
      for (const [i, file] of files.entries()) {
        for (const name of file.members.keys()) {
          if (name === RECORD_NAME) continue;
          if (seen.has(name)) {
            throw new FormatError(`${paths[i]} has ${name}, as a part before it.`);
          }
          seen.add(name);
          const bytes = await file.read(name);
          await zip.add(name, [bytes], { size: bytes.length });
        }
      }
      await zip.finish();
    });
  } finally {
    for (const file of files) file.close();
  }
}

async function mergeSafetensors(paths: readonly string[], out: string): Promise<void> {
  const files: SafetensorsFile[] = await openAll(paths, openSafetensors);
  try {
    const record = sameSet(files.map(({ metadata }) => metadata[RECORD_NAME] ?? null), paths);
    const names = sameLists(files.map(({ entries }) => [...entries.keys()].sort()), paths);
    const tensors = names.map((name) => {
      const entries = files.map((file) => file.entries.get(name)!);
      const [{ dtype, shape }] = entries;
      const odd = entries.findIndex((each) => each.dtype !== dtype || !sameRows(each.shape, shape));
      if (odd >= 0) throw unlike(paths[odd], name);
      const count = entries.reduce((sum, each) => sum + each.shape[0], 0);
      const data = async () => {
        const pieces = await Promise.all(files.map(async (file) => (await file.read(name)).bytes));
        return joinArrays(Uint8Array, pieces.map(bytesOf));
      };
      return [name, { dtype, shape: [count, ...shape.slice(1)], data }] as const;
    });
    // In the order in which one process writes them.
    const order = ["samples", "seeds", "labels"];
    tensors.sort(([a], [b]) => order.indexOf(a) - order.indexOf(b));
    checkCount(tensors.find(([name]) => name === "seeds")?.[1].shape[0], record, paths);
    await writeSafetensors(out, tensors, { [RECORD_NAME]: record });
  } finally {
    for (const file of files) file.close();
  }
}

/** Opens files; when one cannot be opened, the others are closed again. */
async function openAll<File extends { close(): void }>(
  paths: readonly string[],
  open: (path: string) => Promise<File>,
): Promise<File[]> {
  const files: File[] = [];
  try {
    for (const path of paths) files.push(await open(path));
    return files;
  } catch (error) {
    for (const file of files) file.close();
    throw error;
  }
}

/**
 * The record of the set that all parts say they belong to.
 *
 * @param paths in the order of the parts
 * @throws {FormatError} when they are of different sets, or were renamed
 */
function sameSet(records: readonly (string | null)[], paths: readonly string[]): string {
  const parts = records.map((record, i) => partRecord(paths[i], record));
  const [first] = parts;
  for (const [i, { whole, seeds, shard }] of parts.entries()) {
    if (seeds !== first.seeds) {
      throw new FormatError(
        `${paths[i]} is of the set with the seeds ${short(seeds)}, but ${paths[0]} of that with ` +
          `${short(first.seeds)}: images would be missing or there twice.`,
      );
    }
    if (whole !== first.whole) {
      throw new FormatError(
        `${paths[i]} was made with other settings or another model than ${paths[0]} ` +
          `(${difference(first.whole, JSON.parse(whole))}).`,
      );
    }
    if (shard !== `${i + 1}/${parts.length}`) {
      throw new FormatError(
        `${paths[i]} is part ${shard} of its set, which is not what its name says.`,
      );
    }
  }
  return first.whole;
}

/** @throws {FormatError} when there are not as many images as the set has seeds */
function checkCount(found: number | undefined, record: string, paths: readonly string[]): void {
  const expected = parseRanges((JSON.parse(record) as FileRecord).seeds, "seeds").length;
  if (found === expected) return;
  throw new FormatError(
    `${paths[0]} and the other parts hold ${found ?? "no"} images, but the set has ${expected}.`,
  );
}

function short(text: string): string {
  return text.length > 60 ? `${text.slice(0, 60)}…` : text;
}

function sameLists(lists: readonly (readonly string[])[], paths: readonly string[]) {
  const odd = lists.findIndex((list) => list.join() !== lists[0].join());
  if (odd >= 0) {
    throw new FormatError(
      `${paths[odd]} holds ${lists[odd].join(", ")}, but ${paths[0]} holds ${lists[0].join(", ")}.`,
    );
  }
  return lists[0];
}

/** Whether arrays differ in the number of their rows at most. */
function sameRows(a: readonly number[], b: readonly number[]): boolean {
  return a.length > 0 && sameShape(a.slice(1), b.slice(1));
}

function unlike(path: string, name: string): FormatError {
  return new FormatError(`${path}: ${name} has another type or shape than in the first part.`);
}
