/**
 * A folder of pictures as one set: `samples.json` says how they were made, all of them in the same
 * way, and a lock keeps two programs from saying two things at once.
 *
 * Programs that make parts of one set share the lock. Whoever begins a set, or replaces another, has
 * it alone for the moment that it takes to write the record.
 *
 * @module
 */

import { join } from "jsr:@std/path@1.0.8";
import { ImmError, UsageError, WriteError } from "../../base/errors.ts";
import { FileLock, LOCK_NAME } from "../../files/file_lock.ts";
import { isTemporary, writeFileAtomic } from "../../formats/atomic.ts";
import { holdsRun } from "../../files/run_files.ts";
import { RECORD_NAME } from "./sample_set.ts";
import { difference } from "../settings.ts";

/** Files that `imm sample` makes in folders. */
const PICTURE = /^\d{6,}\.png$/;
const SUBFOLDER = /^\d{6,}$/;
const CLASS_GRID = /^class-.+\.png$/;
/** What is taken for a picture of somebody else. */
const ANY_PICTURE = /\.(png|jpe?g|webp|bmp|gif|tiff?|p[bgpn]m)$/i;

/** How often, and after how many milliseconds, a folder is asked for that others have. */
const ATTEMPTS = 100;
const PAUSE = 100;

/** What is to be in a folder. */
export interface FolderContent {
  /** How the pictures are made; the folder's record. */
  readonly record: object;
  /** Names of all that this program makes, with `/`. */
  readonly names: readonly string[];
  /** Whether to forget what is there. */
  readonly overwrite: boolean;
}

/** A folder that this program may write into, until it is disposed of. */
export class PictureFolder implements Disposable {
  private constructor(
    private readonly lock: FileLock,
    /** Pictures of another set that went. */
    readonly removed: number = 0,
  ) {}

  /**
   * Makes the folder, or continues it. With `overwrite`, pictures of another set that are there go:
   * those of two sets would look like one.
   *
   * @throws {UsageError} as {@link checkFolder}, and when others write another set there
   */
  static async open(folder: string, content: FolderContent): Promise<PictureFolder> {
    const path = join(folder, LOCK_NAME);
    const text = recordText(content.record);
    let removed = 0;
    try {
      await Deno.mkdir(folder, { recursive: true });
      for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
        if (attempt > 0) await new Promise((resolve) => setTimeout(resolve, PAUSE));
        await refuseRun(folder); // its lock is held for as long as it trains
        const alone = await FileLock.take(path);
        if (alone !== null) {
          try {
            removed += await begin(folder, content, text);
          } catch (error) {
            alone[Symbol.dispose]();
            throw error;
          }
          // In the moment between the locks another program may have replaced the set.
          if (await alone.share() && await readRecord(folder) === text) {
            return new PictureFolder(alone, removed);
          }
          alone[Symbol.dispose]();
          continue;
        }
        const shared = await FileLock.take(path, "shared");
        if (shared === null) continue; // somebody is beginning, or training
        const found = await readRecord(folder);
        if (found === text) return new PictureFolder(shared, removed);
        shared[Symbol.dispose]();
        if (found !== null) {
          throw new UsageError(
            `another process writes samples to ${folder} that are made differently ` +
              `(${difference(found, content.record)}); wait for it or choose another folder.`,
          );
        }
      }
    } catch (error) {
      if (error instanceof ImmError || error instanceof Deno.errors.NotCapable) throw error;
      throw new WriteError(folder, error as Error);
    }
    throw new ImmError(
      `another process is writing in ${folder}; wait for it or choose another folder.`,
    );
  }

  [Symbol.dispose](): void {
    this.lock[Symbol.dispose]();
  }
}

/** What a folder holds of a set. */
interface Found {
  /** Files of these names that are complete: of `FolderContent.names`. */
  readonly finished: Set<string>;
  /** Pictures that would be mixed with those of the set, and can be removed. */
  readonly others: readonly string[];
}

/**
 * Which pictures a folder holds already, and whether the others may be added. Changes nothing.
 *
 * @throws {UsageError} when it holds pictures of another set, or of nobody knows whom
 */
export async function checkFolder(folder: string, content: FolderContent): Promise<Found> {
  const { record, names, overwrite } = content;
  await refuseRun(folder);
  const found = await readRecord(folder);
  const there = await picturesIn(folder);
  const wanted = new Set(names);
  if (found === null) {
    const odd = there.find((name) => !overwrite || !wanted.has(name));
    if (odd !== undefined) {
      throw new UsageError(
        `${folder} holds ${odd} already, but no ${RECORD_NAME} that says how it was made; ` +
          (overwrite || !wanted.has(odd)
            ? "choose another folder."
            : "choose another folder, or give --overwrite."),
      );
    }
    return { finished: new Set(), others: [] };
  }
  if (found !== recordText(record)) {
    if (overwrite) return { finished: new Set(), others: there.filter(isOurs) };
    throw new UsageError(
      `${folder} holds samples that were made differently (${difference(found, record)}); ` +
        `choose another folder, or give --overwrite.`,
    );
  }
  // Of one set, a seed must not be there twice: in the folder itself and in one of a thousand.
  const nested = names.some((name) => name.includes("/"));
  const misplaced = there.filter((name) => isOurs(name) && name.includes("/") !== nested);
  if (misplaced.length > 0 && !overwrite) {
    throw new UsageError(
      `${folder} holds ${misplaced[0]}, of a set of ${nested ? "at most" : "more than"} 1,000 ` +
        `images; one of ${nested ? "more" : "fewer"} has ${nested ? "" : "no "}subfolders. ` +
        `Choose another folder, or give --overwrite.`,
    );
  }
  const finished = overwrite ? [] : there.filter((name) => wanted.has(name));
  return { finished: new Set(finished), others: misplaced };
}

async function refuseRun(folder: string): Promise<void> {
  if (!await holdsRun(folder)) return;
  throw new UsageError(`${folder} holds a training run; choose another folder for pictures.`);
}

/** With the lock alone: checks once more, tidies up, and writes the record. Says how many it removed. */
async function begin(folder: string, content: FolderContent, text: string): Promise<number> {
  const { others } = await checkFolder(folder, content);
  // A program that is killed here leaves a smaller set with its record.
  for (const name of others) await Deno.remove(join(folder, name));
  await tidy(folder);
  if (await readRecord(folder) !== text) await writeFileAtomic(join(folder, RECORD_NAME), text);
  return others.length;
}

/** Removes what killed programs left half written, and subfolders that are empty. */
async function tidy(folder: string): Promise<void> {
  for (const { name, isDirectory } of await entriesOf(folder)) {
    const path = join(folder, name);
    if (isTemporary(name)) await Deno.remove(path);
    if (!isDirectory || !SUBFOLDER.test(name)) continue;
    for (const inside of await entriesOf(path)) {
      if (isTemporary(inside.name)) await Deno.remove(join(path, inside.name));
    }
    await Deno.remove(path).catch(() => {}); // only where it is empty
  }
}

function isOurs(name: string): boolean {
  return CLASS_GRID.test(name) || PICTURE.test(name.slice(name.indexOf("/") + 1));
}

/** Pictures in the folder, and those of ours in the folders of a thousand; empty files do not count. */
async function picturesIn(folder: string): Promise<string[]> {
  const found: string[] = [];
  for (const { name, isDirectory, isFile } of await entriesOf(folder)) {
    if (isFile && ANY_PICTURE.test(name) && await isFilled(join(folder, name))) found.push(name);
    if (!isDirectory || !SUBFOLDER.test(name)) continue;
    for (const inside of await entriesOf(join(folder, name))) {
      const path = join(folder, name, inside.name);
      if (PICTURE.test(inside.name) && await isFilled(path)) found.push(`${name}/${inside.name}`);
    }
  }
  return found.sort();
}

async function isFilled(path: string): Promise<boolean> {
  return ((await Deno.stat(path).catch(() => null))?.size ?? 0) > 0;
}

async function entriesOf(folder: string): Promise<Deno.DirEntry[]> {
  try {
    return await Array.fromAsync(Deno.readDir(folder));
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return [];
    throw error;
  }
}

async function readRecord(folder: string): Promise<string | null> {
  return await Deno.readTextFile(join(folder, RECORD_NAME)).catch(() => null);
}

function recordText(record: object): string {
  return JSON.stringify(record, null, 2) + "\n";
}
