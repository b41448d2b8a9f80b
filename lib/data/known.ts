/**
 * Public data sets by name: where their files usually lie, and where to get them.
 *
 * @module
 */

import { join } from "node:path";
import { FormatError } from "../base/errors.ts";
import { userCacheFolder } from "../base/user_cache.ts";

/** A public data set. */
interface KnownDataset {
  /** Names of its file or folder, relative to the places, the best first; also torchvision's. */
  readonly paths: readonly string[];
  /** What it consists of and where that is. */
  readonly source: string;
  /** How it is to be called in one of the places. */
  readonly called: string;
}

const idx = (url: string, more = "") =>
  `a folder with train-images-idx3-ubyte.gz and train-labels-idx1-ubyte.gz from ${url}${more}`;

const KNOWN: ReadonlyMap<string, KnownDataset> = new Map([
  ["cifar10", {
    paths: [
      ...["cifar10", "cifar10.zip", "cifar10.npz", "cifar10-32x32.zip"],
      ...["cifar-10-batches-bin", "cifar-10-batches-py"],
      ...["cifar-10-binary.tar.gz", "cifar-10-python.tar.gz"],
    ],
    source: "cifar-10-binary.tar.gz or cifar-10-python.tar.gz from " +
      "https://www.cs.toronto.edu/~kriz/cifar.html",
    called: "under its own name",
  }],
  ["mnist", {
    paths: ["mnist", join("MNIST", "raw")],
    source: idx("https://ossci-datasets.s3.amazonaws.com/mnist/"),
    called: "as mnist",
  }],
  ["fashion-mnist", {
    paths: ["fashion-mnist", join("FashionMNIST", "raw")],
    source: idx(
      "https://github.com/zalandoresearch/fashion-mnist",
      " (on Debian and Ubuntu: apt-get install dataset-fashion-mnist)",
    ),
    called: "as fashion-mnist",
  }],
  ["imagenet256-latents", {
    paths: ["", ".zip", ".npz", ".npy", ".safetensors"].map((end) => `imagenet256-latents${end}`),
    source: "ImageNet as latents of an autoencoder, made by EDM2's dataset_tool.py encode or " +
      "LightningDiT's extract_features.py",
    called: "as imagenet256-latents",
  }],
]);

/** Names of public data sets that {@link findKnown} looks for. */
export const KNOWN_DATASETS: readonly string[] = [...KNOWN.keys()];

/** Where data sets are looked for by name: beside the run, in the user's cache, of the system. */
export function datasetPlaces(os: typeof Deno.build.os = Deno.build.os): string[] {
  const system = os === "windows" ? [] : ["/usr/share/datasets"];
  return ["data", join(userCacheFolder(os), "datasets"), ...system];
}

/**
 * The path of a public data set on this machine.
 *
 * @param name one of {@link KNOWN_DATASETS}
 * @throws {FormatError} when it is in none of the places; the sentence says where to get it
 */
export async function findKnown(
  name: string,
  places: readonly string[] = datasetPlaces(),
): Promise<string> {
  const { paths, source, called } = KNOWN.get(name)!;
  for (const place of places) {
    for (const path of paths.map((path) => join(place, path))) if (await exists(path)) return path;
  }
  const here = await exists(name) ? ` (what is called so here is ./${name})` : "";
  throw new FormatError(
    `The data set ${name} was not found${here}. It is ${source}. Give its path (with --data when ` +
      `training), or put it ${called} into one of ${places.join(", ")}.`,
  );
}

/** Whether there is such a file or folder that this program may read. */
export async function exists(path: string): Promise<boolean> {
  const { state } = await Deno.permissions.query({ name: "read", path });
  return state === "granted" && await Deno.stat(path).then(() => true, () => false);
}
