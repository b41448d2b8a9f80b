/**
 * Features on the disk, so that images which were looked at before need not be looked at again: a
 * second evaluation is instant, and one that was interrupted goes on where it was.
 *
 * Features are kept in runs of {@link CHUNK} images. The name of a file is the hash of all that
 * determines its numbers: the extractor, and the pixels of its images (or what they are made of).
 * So nothing can be out of date, files may be deleted at any time, and several programs may share
 * a folder: a file is there whole or not at all, and one that another program has removed is made
 * again. What was read is compared with the checksums of safetensors.ts, so that a disk that forgets a bit
 * costs time and no truth. When the files become too many, those go that were not looked at for the longest time.
 *
 * @module
 */

import { dirname, join } from "node:path";
import { Sha256, sha256 } from "../base/hash.ts";
import { FormatError } from "../base/errors.ts";
import { writeFileAtomic } from "../formats/atomic.ts";
import { parseSafetensors, serializeSafetensors } from "../formats/safetensors/safetensors.ts";
import { readFileBytes } from "../formats/source.ts";
import type { Extracted } from "./extractors/extractor.ts";
import type { ImageBatch } from "./images.ts";

/** Images in one file of the cache. */
export const CHUNK = 64;

/** Features of a run of images. */
export interface CachedFeatures extends Extracted {
  /** Number of images. */
  readonly count: number;
}

/** Bytes that a cache may take unless something else is said. */
export const CACHE_LIMIT = 20 * 2 ** 30;

/** What a cache takes. */
export interface CacheUsage {
  /** Number of files. */
  readonly files: number;
  /** Their bytes together. */
  readonly bytes: number;
}

/** Version of keys and files: another number makes everything before it unknown. */
const VERSION = 2;

/** A folder of features. */
export class FeatureCache {
  #hits = 0;
  #misses = 0;
  #damaged = 0;
  #problem: string | null = null;
  /** Bytes written since the folder was last looked through; at first nobody knows. */
  #unchecked = Infinity;

  /**
   * A cache in a folder.
   *
   * @param folder is created when something is written
   * @param limit bytes that its files may take, about; checked now and then while writing
   */
  constructor(readonly folder: string, readonly limit: number = CACHE_LIMIT) {}

  /** Images whose features were found here. */
  get hits(): number {
    return this.#hits;
  }

  /** Images whose features were not. */
  get misses(): number {
    return this.#misses;
  }

  /** Files that were found damaged, and made again. */
  get damaged(): number {
    return this.#damaged;
  }

  /** Why nothing is kept any more, in a few words: a full disk, a folder that may not be written. */
  get problem(): string | null {
    return this.#problem;
  }

  /**
   * The key of images, by their pixels (one batch, or several of different sizes) or by a text that
   * determines them.
   */
  static key(extractorHash: string, images: ImageBatch | readonly ImageBatch[] | string): string {
    if (typeof images === "string") {
      return sha256(JSON.stringify(["imm features", VERSION, extractorHash, images]));
    }
    const key = FeatureCache.startKey(extractorHash);
    for (const batch of [images].flat()) key.add(batch);
    return key.finish();
  }

  /** The same for images that come one after the other and need not be in memory together. */
  static startKey(extractorHash: string): { add(batch: ImageBatch): void; finish(): string } {
    const hash = new Sha256();
    return {
      add({ count, height, width, channels, data }) {
        const type = data instanceof Uint8Array ? "u8" : "f32";
        const shape = [count, height, width, channels];
        hash.add(JSON.stringify(["imm features", VERSION, extractorHash, type, ...shape]), data);
      },
      finish: () => hash.hex(),
    };
  }

  /**
   * The features under a key, or null: when there are none, they have not all that is asked for,
   * or the file is damaged.
   *
   * @param images how many images they are of; counted as found or not
   */
  async get(
    key: string,
    images: number,
    wanted: { readonly dimension: number; readonly classes?: number; readonly layers: string[] },
  ): Promise<CachedFeatures | null> {
    const found = await this.#read(key);
    const complete = found !== null && found.count === images &&
      found.features.length === images * wanted.dimension &&
      (wanted.classes === undefined || found.logits?.length === images * wanted.classes) &&
      wanted.layers.every((layer) => found.layers?.[layer] !== undefined);
    if (!complete) {
      this.#misses += images;
      return null;
    }
    this.#hits += images;
    await this.#touch(key);
    return found;
  }

  /**
   * Keeps features under a key, beside other vectors of the same images that are there already.
   * Where that fails the work goes on without: see {@link problem}.
   */
  async put(key: string, features: CachedFeatures): Promise<void> {
    if (this.#problem !== null) return;
    try {
      await this.#write(key, features);
      if (this.#unchecked > this.limit / 16) await this.prune();
    } catch (error) {
      if (!(error instanceof FormatError || isFileError(error))) throw error;
      this.#problem = (error as Error).message.replace(/\.$/, "");
    }
  }

  async #write(key: string, features: CachedFeatures): Promise<void> {
    const { count } = features;
    const before = await this.#read(key);
    const layers = { ...before?.count === count ? before.layers : {}, ...features.layers };
    const tensors = Object.entries({
      features: features.features,
      ...(features.logits ? { logits: features.logits } : {}),
      ...Object.fromEntries(Object.entries(layers).map(([layer, data]) => [`tap.${layer}`, data])),
    }).map(([name, data]) =>
      [name, { dtype: "F32", shape: [count, data.length / count], data }] as const
    );
    const path = this.#path(key);
    await Deno.mkdir(dirname(path), { recursive: true });
    const chunks = serializeSafetensors(tensors);
    this.#unchecked += chunks.reduce((sum, chunk) => sum + chunk.byteLength, 0);
    await writeFileAtomic(path, async (write) => {
      for (const chunk of chunks) await write(chunk);
    });
  }

  async #read(key: string): Promise<CachedFeatures | null> {
    const path = this.#path(key);
    try {
      const { tensors } = parseSafetensors(await readFileBytes(path), { name: path });
      const features = tensors.get("features");
      const count = features?.shape[0] ?? 0;
      if (!features || count === 0) {
        this.#damaged++;
        return null;
      }
      const layers = [...tensors].filter(([name]) => name.startsWith("tap."))
        .map(([name, tensor]) => [name.slice("tap.".length), tensor.toFloat32()]);
      return {
        count,
        features: features.toFloat32(),
        logits: tensors.get("logits")?.toFloat32(),
        layers: Object.fromEntries(layers),
      };
    } catch (error) {
      // Not there, damaged, or not to be read: made again.
      const exists = (await Deno.stat(path).catch(() => null)) !== null;
      if (error instanceof FormatError && exists) this.#damaged++;
      if (error instanceof FormatError || isFileError(error)) return null;
      throw error;
    }
  }

  /** What the files take. */
  async usage(): Promise<CacheUsage> {
    const files = await this.#list();
    return { files: files.length, bytes: files.reduce((sum, { size }) => sum + size, 0) };
  }

  /**
   * Removes files when they take more than `limit` bytes, those first that were not looked at for
   * the longest time, until a tenth of the limit is free. Only what a cache has written is removed.
   *
   * @returns what was removed
   */
  async prune(limit: number = this.limit): Promise<CacheUsage> {
    const all = await this.#list();
    let bytes = all.reduce((sum, { size }) => sum + size, 0);
    this.#unchecked = 0;
    const removed = { files: 0, bytes: 0 };
    if (bytes <= limit) return removed;
    for (const { path, size } of all.toSorted((a, b) => a.used - b.used)) {
      if (bytes <= 0.9 * limit) break;
      try {
        await Deno.remove(path);
        removed.files++;
        removed.bytes += size;
      } catch (error) {
        // Another program was faster.
        if (!(error instanceof Deno.errors.NotFound)) throw error;
      }
      bytes -= size;
    }
    return removed;
  }

  /** Removes everything that a cache has written to the folder, and subfolders that are empty then. */
  async clear(): Promise<CacheUsage> {
    const removed = await this.prune(0);
    for (const name of await subfolders(this.folder)) {
      await Deno.remove(join(this.folder, name)).catch(() => {}); // something else is in it
    }
    return removed;
  }

  /** The files, and what a killed program has left of one more than a day ago. */
  async #list(): Promise<{ path: string; size: number; used: number }[]> {
    const files: { path: string; size: number; used: number }[] = [];
    const yesterday = Date.now() - 24 * 60 * 60 * 1000;
    for (const folder of await subfolders(this.folder)) {
      for await (const { name, isFile } of Deno.readDir(join(this.folder, folder))) {
        const leftover = LEFTOVER.test(name);
        if (!isFile || !(leftover || FILE.test(name))) continue;
        const path = join(this.folder, folder, name);
        const found = await Deno.stat(path).catch(() => null); // it may be gone by now
        const used = found?.mtime?.getTime() ?? 0;
        if (found && !(leftover && used > yesterday)) files.push({ path, size: found.size, used });
      }
    }
    return files;
  }

  /** Notes that a file was looked at, in its time of modification: it never changes otherwise. */
  async #touch(key: string): Promise<void> {
    const now = new Date();
    // Where that may not be written, nothing is removed either.
    await Deno.utime(this.#path(key), now, now).catch(() => {});
  }

  #path(key: string): string {
    return join(this.folder, key.slice(0, 2), `${key.slice(2)}.safetensors`);
  }
}

/** Names that {@link FeatureCache} gives: of its subfolders, its files, and files being written. */
const SUBFOLDER = /^[0-9a-f]{2}$/;
const FILE = /^[0-9a-f]{62}\.safetensors$/;
const LEFTOVER = /^\.[0-9a-f]{62}\.safetensors\.[0-9a-f]{8}\.tmp$/;

/** Names of a cache's subfolders; none where there is no folder. */
async function subfolders(folder: string): Promise<string[]> {
  try {
    const entries = await Array.fromAsync(Deno.readDir(folder));
    return entries.filter(({ name, isDirectory }) => isDirectory && SUBFOLDER.test(name))
      .map(({ name }) => name);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return [];
    throw error;
  }
}

/** What the operating system or Deno's permissions refuse. */
function isFileError(error: unknown): boolean {
  return error instanceof Deno.errors.NotCapable ||
    (error instanceof Error && /\(os error \d+\)/.test(error.message));
}
