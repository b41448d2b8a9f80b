/**
 * The weights of the FID's Inception network: where they come from, and how they are read.
 *
 * @module
 */

import { basename, join } from "node:path";
import { download, type DownloadOptions, fileSha256, type RemoteFile } from "../download.ts";
import { FormatError } from "../errors.ts";
import { openSafetensors } from "../format/safetensors.ts";
import { openTorchFile } from "../format/torch_file.ts";
import { namedTensors } from "../format/torch_module.ts";
import { userCacheFolder } from "../user_cache.ts";
import { checkInceptionWeights, inceptionManifest, type InceptionWeights } from "./inception.ts";

/**
 * The file that pytorch-fid and torch-fidelity download (Apache-2.0): Google's weights of 2015-12-05,
 * converted by pytorch-fid. Both projects publish the same bytes.
 */
export const INCEPTION_WEIGHTS: RemoteFile & { readonly name: string } = {
  name: "pt_inception-2015-12-05-6726825d.pth",
  urls: [
    "https://github.com/mseitzer/pytorch-fid/releases/download/fid_weights/" +
    "pt_inception-2015-12-05-6726825d.pth",
    "https://github.com/toshas/torch-fidelity/releases/download/v0.2.0/" +
    "weights-inception-2015-12-05-6726825d.pth",
  ],
  bytes: 95_628_359,
  sha256: "6726825d0af5f729cebd5821db510b11b1cfad8faad88a03f1befd49fb9129b2",
};

/** Weights and the hash of the file that they were in. */
export interface LoadedWeights {
  /** By name. */
  readonly weights: InceptionWeights;
  /** Of the file, in hex. */
  readonly sha256: string;
}

/** Where the weights are kept after they were downloaded. */
export function inceptionWeightsPath(folder: string = userCacheFolder()): string {
  return join(folder, "weights", INCEPTION_WEIGHTS.name);
}

/** Where {@link findInceptionWeights} looks, and what it tells. */
export interface FindWeightsOptions extends DownloadOptions {
  /** Default: the user's cache. */
  readonly folder?: string;
  /** Default: {@link INCEPTION_WEIGHTS}. */
  readonly file?: RemoteFile;
}

/**
 * The path of the downloaded weights; downloads them when they are not there.
 *
 * @throws {UsageError} when they are not there and the program may not use the network
 * @throws {ImmError} when they cannot be downloaded
 */
export async function findInceptionWeights(options: FindWeightsOptions = {}): Promise<string> {
  const path = inceptionWeightsPath(options.folder);
  if (!(await Deno.stat(path).catch(() => null))?.isFile) {
    await download(path, options.file ?? INCEPTION_WEIGHTS, options);
  }
  return path;
}

/**
 * Reads weights: a PyTorch file or a safetensors file with the tensors of pytorch-fid's state dict.
 *
 * A name that ends in a hash, as those of PyTorch's hub do (`…-6726825d.pth`), must tell the truth.
 * Other weights than {@link INCEPTION_WEIGHTS} are accepted; their statistics have another hash.
 *
 * @throws {FormatError} when it is damaged, or has not the tensors of the network
 */
export async function readInceptionWeights(path: string): Promise<LoadedWeights> {
  const sha256 = await fileSha256(path);
  const named = /-([0-9a-f]{8,64})\.[a-z]+$/.exec(basename(path))?.[1];
  if (named !== undefined && !sha256.startsWith(named)) {
    throw new FormatError(
      `${path} is damaged: its name says that its SHA-256 begins with ${named}, but it is ` +
        `${sha256.slice(0, 12)}…. Delete it and fetch it again.`,
    );
  }
  const isSafetensors = path.toLowerCase().endsWith(".safetensors");
  const weights = await (isSafetensors ? readSafetensors(path) : readTorch(path));
  checkInceptionWeights(weights, path);
  return { weights, sha256 };
}

async function readSafetensors(path: string): Promise<InceptionWeights> {
  using file = await openSafetensors(path);
  return await readAll(file.entries, async (name) => (await file.read(name)).toFloat32());
}

async function readTorch(path: string): Promise<InceptionWeights> {
  using file = await openTorchFile(path);
  const tensors = namedTensors(file.value, path);
  return await readAll(tensors, (name) => tensors.get(name)!.toFloat32());
}

/** The tensors that the network needs, as far as they are there. */
async function readAll(
  available: ReadonlyMap<string, { readonly shape: readonly number[] }>,
  read: (name: string) => Promise<Float32Array>,
): Promise<InceptionWeights> {
  const weights = new Map<string, { shape: readonly number[]; data: Float32Array }>();
  for (const [name, expected] of inceptionManifest()) {
    const shape = available.get(name)?.shape;
    // A tensor of another shape may be of any size: its shape is enough to say so.
    if (shape) {
      weights.set(name, {
        shape,
        data: `${shape}` === `${expected}` ? await read(name) : new Float32Array(0),
      });
    }
  }
  return weights;
}
