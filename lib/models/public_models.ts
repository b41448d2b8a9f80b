/**
 * The models of the public release, by name: the keyword arguments that its scripts give to
 * `IMMPrecond`. A state dict does not hold them.
 *
 * @module
 */

import { type LatentNormalization, normalizationOf } from "../data/latents/note.ts";
import { UsageError } from "../base/errors.ts";
import type { ImmConfig } from "../imm/config.ts";
import type { NetworkConfig } from "./registry.ts";
import { fromOfficial, methodFromOfficial } from "./official.ts";

/** One model of the release. */
export interface PublicModel {
  /** The network. */
  readonly network: NetworkConfig;
  /** How it is called and sampled. */
  readonly imm: ImmConfig;
  /** How the latents that it was trained on were normalised; null for a model of pictures. */
  readonly latents: LatentNormalization | null;
}

const IMAGENET = {
  model_type: "DiT_XL_2",
  img_resolution: 32,
  img_channels: 4,
  label_dim: 1000,
  s_embed: true,
  f_type: "euler_fm",
};

// deno-fmt-ignore
const OPTIONS: Readonly<Record<string, Readonly<Record<string, unknown>>>> = {
  // cifar10.pt: unconditional DDPM++, FID 1.98 in two steps in the paper.
  cifar10: {
    model_type: "SongUNet", img_resolution: 32, img_channels: 3, label_dim: 0, model_channels: 128,
    channel_mult: [2, 2, 2], num_blocks: 4, attn_resolutions: [16], dropout: 0.2, s_embed: true,
    f_type: "simple_edm", eps: 0.006,
  },
  // Second time t - s; FID 1.99 in eight steps with guidance 1.5 in the paper.
  imagenet256_ts_a2: { ...IMAGENET, temb_type: "stride" },
  // Second time s.
  imagenet256_s_a1: { ...IMAGENET, temb_type: "identity" },
};

/** Names of the public models. */
export const PUBLIC_MODELS: readonly string[] = Object.keys(OPTIONS);

/** A public model by its name. @throws {UsageError} for an unknown one, with the list */
export function publicModel(name: string): PublicModel {
  if (!Object.hasOwn(OPTIONS, name)) {
    throw new UsageError(
      `there is no public model ${name}; there are ${PUBLIC_MODELS.join(", ")}.`,
    );
  }
  const network = fromOfficial(OPTIONS[name]);
  return {
    network,
    imm: methodFromOfficial(OPTIONS[name]),
    latents: network.type === "dit" ? normalizationOf({ normalize: "imm", finalStd: 0.5 }) : null,
  };
}
