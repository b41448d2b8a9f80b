/**
 * Features on the disk, so that images which were looked at before need not be looked at again: a
 * second evaluation is instant, and one that was interrupted goes on where it was.
 *
 * Features are kept in runs of {@link CHUNK} images. The name of a file is the hash of all that
 * determines its numbers: the extractor, and the pixels of its images (or what they are made of).
 * So nothing can be out of date, files may be deleted at any time, and several programs may share
 * a folder.
 *
 * @module
 */

import { createHash } from "node:crypto";
import { dirname, join } from "node:path";
import { FormatError } from "../errors.ts";
import { writeFileAtomic } from "../format/atomic.ts";
import { parseSafetensors, serializeSafetensors } from "../format/safetensors.ts";
import { readFileBytes } from "../format/source.ts";
import type { Extracted } from "./extractor.ts";
import type { ImageBatch } from "./images.ts";

/** Images in one file of the cache. */
export const CHUNK = 64;

/** Features of a run of images. */
export interface CachedFeatures extends Extracted {
  /** Number of images. */
  readonly count: number;
}

/** Version of the keys: another number makes everything before it unknown. */
const VERSION = 1;

/** A folder of features. */
export class FeatureCache {
  #hits = 0;
  #misses = 0;
  #problem: string | null = null;

  /**
   * A cache in a folder.
   *
   * @param folder is created when something is written
   */
  constructor(readonly folder: string) {}

  /** Images whose features were found here. */
  get hits(): number {
    return this.#hits;
  }

  /** Images whose features were not. */
  get misses(): number {
    return this.#misses;
  }

  /** Why nothing is kept any more, in a few words: a full disk, a folder that may not be written. */
  get problem(): string | null {
    return this.#problem;
  }

  /** The key of images, by their pixels or by a text that determines them. */
  static key(extractorHash: string, images: ImageBatch | string): string {
    const hash = createHash("sha256");
    if (typeof images === "string") {
      hash.update(JSON.stringify(["imm features", VERSION, extractorHash, images]));
    } else {
      const { count, height, width, channels, data } = images;
      const type = data instanceof Uint8Array ? "u8" : "f32";
      const shape = [count, height, width, channels];
      hash.update(JSON.stringify(["imm features", VERSION, extractorHash, type, ...shape]));
      hash.update(new Uint8Array(data.buffer, data.byteOffset, data.byteLength));
    }
    return hash.digest("hex");
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
    wanted: { readonly dimension: number; readonly classes?: number; readonly taps: string[] },
  ): Promise<CachedFeatures | null> {
    const found = await this.#read(key);
    const complete = found !== null && found.count === images &&
      found.features.length === images * wanted.dimension &&
      (wanted.classes === undefined || found.logits?.length === images * wanted.classes) &&
      wanted.taps.every((tap) => found.taps?.[tap] !== undefined);
    if (complete) this.#hits += images;
    else this.#misses += images;
    return complete ? found : null;
  }

  /**
   * Keeps features under a key, beside other vectors of the same images that are there already.
   * Where that fails the work goes on without: see {@link problem}.
   */
  async put(key: string, features: CachedFeatures): Promise<void> {
    if (this.#problem !== null) return;
    try {
      await this.#write(key, features);
    } catch (error) {
      if (!(error instanceof FormatError || isFileError(error))) throw error;
      this.#problem = (error as Error).message.replace(/\.$/, "");
    }
  }

  async #write(key: string, features: CachedFeatures): Promise<void> {
    const { count } = features;
    const before = await this.#read(key);
    const taps = { ...before?.count === count ? before.taps : {}, ...features.taps };
    const tensors = Object.entries({
      features: features.features,
      ...(features.logits ? { logits: features.logits } : {}),
      ...Object.fromEntries(Object.entries(taps).map(([tap, data]) => [`tap.${tap}`, data])),
    }).map(([name, data]) =>
      [name, { dtype: "F32", shape: [count, data.length / count], data }] as const
    );
    const path = this.#path(key);
    await Deno.mkdir(dirname(path), { recursive: true });
    const chunks = serializeSafetensors(tensors);
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
      if (!features || count === 0) return null;
      const taps = [...tensors].filter(([name]) => name.startsWith("tap."))
        .map(([name, tensor]) => [name.slice("tap.".length), tensor.toFloat32()]);
      return {
        count,
        features: features.toFloat32(),
        logits: tensors.get("logits")?.toFloat32(),
        taps: Object.fromEntries(taps),
      };
    } catch (error) {
      // Not there, damaged, or not to be read: made again.
      if (error instanceof FormatError || isFileError(error)) return null;
      throw error;
    }
  }

  #path(key: string): string {
    return join(this.folder, key.slice(0, 2), `${key.slice(2)}.safetensors`);
  }
}

/** What the operating system or Deno's permissions refuse. */
function isFileError(error: unknown): boolean {
  return error instanceof Deno.errors.NotCapable ||
    (error instanceof Error && /\(os error \d+\)/.test(error.message));
}
