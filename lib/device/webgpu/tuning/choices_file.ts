/**
 * The tuner's choices on disk: one small file per adapter in the user's cache folder.
 *
 * Nothing depends on the file but speed. A file that is missing, damaged or of another version counts
 * as empty; a folder that cannot be written is left alone; and where the program would have to ask
 * for permission it does without.
 *
 * @module
 */

import { join } from "node:path";
import { sha256 } from "../../../base/hash.ts";
import { writeFileAtomic } from "../../../formats/atomic.ts";
import { userCacheFolder } from "../../../base/user_cache.ts";

/** Raise it when the generators change so much that old choices are no longer good ones. */
const VERSION = 1;

/** Larger files are not ours. */
const MOST_BYTES = 4 << 20;

/** What the choices of a file were measured on. */
export interface Measured {
  /** What is known of the adapter and its driver. */
  readonly adapter: string;
  /** The version of Deno, which brings the shader compiler. */
  readonly deno: string;
}

/** Names of variants by class of kernels. */
export class ChoicesFile {
  readonly #path: string | null;
  readonly #measured: Measured;
  readonly #choices = new Map<string, string>();

  private constructor(path: string | null, measured: Measured) {
    this.#path = path;
    this.#measured = measured;
  }

  /**
   * Opens the file for an adapter.
   *
   * @param folder default: `webgpu` in the user's cache folder, where the program may read it
   */
  static async open(measured: Measured, folder?: string | null): Promise<ChoicesFile> {
    const where = folder === undefined ? await defaultFolder() : folder;
    if (where === null) return new ChoicesFile(null, measured);
    const file = new ChoicesFile(join(where, `${digest(measured)}.json`), measured);
    await file.#load();
    return file;
  }

  /** Number of classes with a choice. */
  get size(): number {
    return this.#choices.size;
  }

  get(kernelClass: string): string | undefined {
    return this.#choices.get(kernelClass);
  }

  set(kernelClass: string, variant: string): void {
    this.#choices.set(kernelClass, variant);
  }

  /** Writes the file. Says whether it could. */
  async save(): Promise<boolean> {
    const path = this.#path;
    if (path === null || !await granted("write", path)) return false;
    try {
      await Deno.mkdir(join(path, ".."), { recursive: true });
      await this.#load(false); // another program may have measured something meanwhile
      const choices = Object.fromEntries([...this.#choices].sort(([a], [b]) => a < b ? -1 : 1));
      const content = { version: VERSION, ...this.#measured, choices };
      await writeFileAtomic(path, JSON.stringify(content, null, 1) + "\n");
      return true;
    } catch {
      return false;
    }
  }

  /** Adds the choices of the file to those that are here; `replace` says which win. */
  async #load(replace = true): Promise<void> {
    const path = this.#path!;
    if (!await granted("read", path)) return;
    try {
      if ((await Deno.stat(path)).size > MOST_BYTES) return;
      const content: unknown = JSON.parse(await Deno.readTextFile(path));
      for (const [kernelClass, variant] of choicesOf(content)) {
        if (replace || !this.#choices.has(kernelClass)) this.#choices.set(kernelClass, variant);
      }
    } catch {
      // Not there, not readable or not JSON: nothing is known.
    }
  }
}

function choicesOf(content: unknown): [string, string][] {
  if (typeof content !== "object" || content === null) return [];
  const { version, choices } = content as { version?: unknown; choices?: unknown };
  if (version !== VERSION || typeof choices !== "object" || choices === null) return [];
  return Object.entries(choices).filter((entry): entry is [string, string] =>
    typeof entry[1] === "string"
  );
}

async function defaultFolder(): Promise<string | null> {
  try {
    if ((await Deno.permissions.query({ name: "env" })).state !== "granted") return null;
    return join(userCacheFolder(), "webgpu");
  } catch {
    return null;
  }
}

async function granted(name: "read" | "write", path: string): Promise<boolean> {
  return (await Deno.permissions.query({ name, path: join(path, "..") })).state === "granted";
}

function digest(measured: Measured): string {
  return sha256(JSON.stringify([measured.adapter, measured.deno])).slice(0, 16);
}
