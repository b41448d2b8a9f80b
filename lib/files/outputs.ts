/**
 * Where a command may write. All verbs ask here, before any work: a result that cannot be written is
 * found out before it is computed, no input is ever overwritten, and nothing that is there goes
 * without `--overwrite`.
 *
 * @module
 */

import { basename, dirname, extname, join, resolve, SEPARATOR } from "jsr:@std/path@1.0.8";
import { ImmError, UsageError } from "../base/errors.ts";
import { FileLock } from "./file_lock.ts";
import { isTemporary } from "../formats/atomic.ts";
import { runOfFile } from "./run_files.ts";

/** A file that a command is to write. */
export interface OutputFile {
  /** The option that named it: `--out`. */
  readonly option: string;
  readonly path: string;
  /**
   * Whether what is there may be replaced: always, or if it is found to be replaceable. Left out: no.
   * A `UsageError` that it throws says better than we why not.
   */
  readonly replace?: boolean | ((path: string) => boolean | Promise<boolean>);
}

/** The files of a command: nobody else writes them until it is disposed of. */
export class OutputClaim implements Disposable {
  constructor(private readonly locks: readonly FileLock[]) {}

  [Symbol.dispose](): void {
    for (const lock of this.locks) lock[Symbol.dispose]();
  }
}

/**
 * Checks that files can be written and keeps other programs of this project from writing them. What
 * killed programs left of them half written is removed.
 *
 * @param inputs files and folders that the command reads; what is not a path of something does no harm
 * @throws {UsageError} naming the option, before anything is changed
 */
export async function claimOutputs(
  outputs: readonly OutputFile[],
  inputs: readonly (string | null | undefined)[] = [],
): Promise<OutputClaim> {
  const locks: FileLock[] = [];
  const targets = new Map<string, OutputFile>();
  try {
    for (const output of outputs) {
      const { option, path } = output;
      refuseTilde(path, option);
      const info = await existing(path, option);
      await refuseFolder(path, option, info);
      if (info !== null && !info.isFile) continue; // /dev/null, a pipe: nothing is replaced there
      const target = await realPath(path);
      const before = targets.get(target);
      if (before) {
        throw new UsageError(`${before.option} and ${option} both name ${path}; give two names.`);
      }
      targets.set(target, output);
      await refuseRunFile(target, output);
      for (const input of inputs) {
        if (input) await refuseInput(target, info, output, input);
      }
      locks.push(await claim(target, output));
      // Asked with the lock: of two programs that begin at once, one finds the other's file.
      if (info !== null && info.size > 0 && !await mayReplace(output)) {
        throw new UsageError(
          `${path} is there already; give --overwrite to replace it, or another ${option}.`,
        );
      }
      await removeLeftovers(target);
    }
    return new OutputClaim(locks);
  } catch (error) {
    for (const lock of locks) lock[Symbol.dispose]();
    throw error;
  }
}

/**
 * Shells expand `~` at the beginning of a word only.
 *
 * @throws {UsageError} for a path that would become a folder of the name `~`
 */
export function refuseTilde(path: string, option: string): void {
  if (!/^~([\\/]|$)/.test(path)) return;
  throw new UsageError(
    `${option} is ${path}, in which the shell has not replaced ~ by your home folder, as it does at ` +
      `the beginning of a word only; write ${option} ${path} without "=" and quotes, or the whole ` +
      `path (./${path} for a folder of the name ~).`,
  );
}

/** @throws {UsageError} when the path is that of a folder, or in no folder */
async function refuseFolder(
  path: string,
  option: string,
  info: Deno.FileInfo | null,
): Promise<void> {
  if (info?.isDirectory || /[\\/]$/.test(path)) {
    throw new UsageError(`${option} is the name of a file to write, but ${path} is a folder.`);
  }
  const folder = dirname(path);
  const parent = await existing(folder, option);
  if (parent === null) {
    throw new UsageError(`the folder ${folder} of ${option} does not exist; create it first.`);
  }
  if (!parent.isDirectory) {
    throw new UsageError(`${option} is ${path}, but ${folder} is a file and no folder.`);
  }
}

/**
 * Pictures that are written into a folder of data would be data the next time that it is read.
 *
 * @param input a folder that is read; what is no folder does no harm
 * @throws {UsageError} when the folder to be written is that folder, or inside of it
 */
export async function refuseInside(
  path: string,
  option: string,
  input: string | null,
): Promise<void> {
  if (input === null || !(await Deno.stat(input).catch(() => null))?.isDirectory) return;
  const [target, real] = [await realPath(path), await realPath(input)];
  if (target !== real && !target.startsWith(real + SEPARATOR)) return;
  throw new UsageError(
    `${option} ${path} is in the folder of the data, ${input}: what is written there would become ` +
      `data; give another ${option}.`,
  );
}

/** What is there; null for nothing. @throws {UsageError} where nobody may look */
async function existing(path: string, option: string): Promise<Deno.FileInfo | null> {
  try {
    return await Deno.stat(path);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound || error instanceof Deno.errors.NotADirectory) {
      return null;
    }
    throw refused(path, option, error);
  }
}

function refused(path: string, option: string, error: unknown): unknown {
  const { message } = error as Error;
  if (error instanceof Deno.errors.NotCapable && !/allow-all/.test(message)) return error;
  return new UsageError(`${option} ${path} cannot be written: ${message}`, { cause: error });
}

/** @throws {UsageError} for a file that a training run writes itself */
async function refuseRunFile(target: string, { option, path }: OutputFile): Promise<void> {
  const run = await runOfFile(target);
  if (run === null) return;
  throw new UsageError(
    `${path} belongs to the training run in ${run}, which may need it; give another ${option}.`,
  );
}

/** Endings of files that are results: they may be replaced although a folder is read that has them. */
const RESULTS = [".html", ".xml", ".md", ".npz", ".stats", ".safetensors", ".pt", ".pth", ".zip"];

/** @throws {UsageError} when the output is what is read, under whatever name, or a part of it */
async function refuseInput(
  target: string,
  existing: Deno.FileInfo | null,
  { option, path }: OutputFile,
  input: string,
): Promise<void> {
  const info = await Deno.stat(input).catch(() => null);
  if (info === null || existing === null) return;
  const real = await realPath(input);
  const same = real === target ||
    (info.ino !== null && info.ino === existing.ino && info.dev === existing.dev);
  if (same) {
    throw new UsageError(
      `${option} ${path} is ${path === input ? "" : `the same file as ${input}, `}what is read; ` +
        `give another name.`,
    );
  }
  const inside = info.isDirectory && target.startsWith(real + SEPARATOR);
  if (inside && !RESULTS.includes(extname(target).toLowerCase())) {
    throw new UsageError(
      `${option} ${path} is one of the files of ${input}, which is read; give another name.`,
    );
  }
}

/** Takes the lock, which shows as well that files can be made there. */
async function claim(target: string, { option, path }: OutputFile): Promise<FileLock> {
  let lock: FileLock | null;
  try {
    lock = await FileLock.take(join(dirname(target), `.${basename(target)}.lock`));
  } catch (error) {
    throw refused(path, option, error);
  }
  if (lock === null) {
    throw new ImmError(
      `another process is writing ${path}; wait for it or give another ${option}.`,
    );
  }
  return lock;
}

async function mayReplace({ path, replace = false }: OutputFile): Promise<boolean> {
  return typeof replace === "boolean" ? replace : await replace(path);
}

/** What writeFileAtomic began: nobody else writes this file now. */
async function removeLeftovers(target: string): Promise<void> {
  const folder = dirname(target);
  const begins = `.${basename(target)}.`;
  for await (const { name } of Deno.readDir(folder)) {
    if (name.startsWith(begins) && isTemporary(name)) {
      await Deno.remove(join(folder, name)).catch(() => {});
    }
  }
}

/** The path without links; of what is not there yet as well. */
async function realPath(path: string): Promise<string> {
  const full = resolve(path);
  return await Deno.realPath(full).catch(async () =>
    dirname(full) === full ? full : join(await realPath(dirname(full)), basename(full))
  );
}
