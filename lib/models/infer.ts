/**
 * A network's configuration from the names and shapes of its state dict.
 *
 * Almost everything shows: what does not is the dropout of training, which images do not depend on,
 * and the number of attention heads of a DiT, which the public sizes settle.
 *
 * @module
 */

import { FormatError } from "../base/errors.ts";
import { type NetworkConfig, parseNetworkConfig } from "./config.ts";
import { DIT_SIZES } from "./official.ts";

/** Shapes by official name, with the prefix `model.`. */
export type Shapes = ReadonlyMap<string, readonly number[]>;

/** What was found, and what had to be supposed. */
export interface InferredNetwork {
  readonly network: NetworkConfig;
  /** Sentences about settings that the tensors do not show. */
  readonly assumptions: readonly string[];
}

/** Names by which the networks are told apart, without prefix. */
export const LANDMARKS: readonly string[] = ["x_embedder.proj.weight", "map_layer0.weight"];

/**
 * The configuration of the network that has such a state dict.
 *
 * @param source what error messages call the file
 * @param known settings that are known otherwise; they win
 * @throws {FormatError} when the tensors are of no network that is known here
 */
export function inferNetwork(
  shapes: Shapes,
  source: string,
  known: Readonly<Record<string, unknown>> = {},
): InferredNetwork {
  const found = new Finder(shapes, source);
  const { settings, assumptions } = found.has("x_embedder.proj.weight")
    ? inferDiT(found, known)
    : inferUNet(found);
  return { network: parseNetworkConfig({ ...settings, ...known }), assumptions };
}

type Settings = Record<string, unknown>;
type Inferred = { settings: Settings; assumptions: string[] };

/** Looks names up without the prefix, and complains about the file when they are not there. */
class Finder {
  constructor(private readonly shapes: Shapes, private readonly source: string) {}

  has(name: string): boolean {
    return this.shapes.has(`model.${name}`);
  }

  shape(name: string, axes: number): readonly number[] {
    const shape = this.shapes.get(`model.${name}`);
    if (shape === undefined || shape.length !== axes) {
      throw this.unknown(
        shape === undefined
          ? `it has no ${name}`
          : `its ${name} has ${shape.length} axes instead of ${axes}`,
      );
    }
    return shape;
  }

  /** What the groups of a pattern caught in the names, without repetition. */
  matches(pattern: RegExp): string[] {
    const caught = new Set<string>();
    for (const name of this.shapes.keys()) {
      const match = pattern.exec(name.slice("model.".length));
      if (match) caught.add(match[1]);
    }
    return [...caught];
  }

  unknown(why: string): FormatError {
    return new FormatError(
      `${this.source} is not a SongUNet, DhariwalUNet or DiT as far as its tensors show: ${why}; ` +
        `give the configuration with --config.`,
    );
  }
}

function inferUNet(found: Finder): Inferred {
  const [resolution] = numbers(found.matches(/^enc\.(\d+)x\1_conv\.weight$/));
  if (resolution === undefined) throw found.unknown("it has no first convolution");
  const [firstChannels, imgChannels] = found.shape(
    `enc.${resolution}x${resolution}_conv.weight`,
    4,
  );
  const [embChannels, timeChannels] = found.shape("map_layer0.weight", 2);
  const adm = found.has("out_conv.weight");
  const modelChannels = adm ? timeChannels : firstChannels;
  const levels = numbers(found.matches(/^enc\.(\d+)x\1_block0\.conv0\.weight$/)).toReversed();
  const at = (level: number, part: string) => `${level}x${level}_${part}`;
  const channelMult = levels.map((level) => {
    const [out] = found.shape(`enc.${at(level, "block0.conv0.weight")}`, 4);
    return out / modelChannels;
  });
  const [finest] = levels;
  const labelDim = found.has("map_label.weight") ? found.shape("map_label.weight", 2)[1] : 0;
  const augmentDim = found.has("map_augment.weight") ? found.shape("map_augment.weight", 2)[1] : 0;
  const settings: Settings = {
    type: adm ? "dhariwal_unet" : "song_unet",
    imgResolution: resolution,
    imgChannels,
    labelDim,
    augmentDim,
    modelChannels,
    channelMult,
    channelMultEmb: embChannels / modelChannels,
    numBlocks: found.matches(new RegExp(`^enc\\.${at(finest, "block(\\d+)")}\\.conv0\\.weight$`))
      .length,
    attnResolutions: levels.filter((level) => found.has(`enc.${at(level, "block0.qkv.weight")}`)),
    dropout: 0,
    sEmbed: found.has("map_layer0_s.weight"),
  };
  const assumptions = ["dropout 0: it is of training only, and leaves no trace in the tensors"];
  if (adm) return { settings, assumptions };

  const fourier = found.has("map_noise.freqs");
  const residual = levels.slice(1).some((r) => found.has(`enc.${at(r, "aux_residual.weight")}`));
  const skip = levels.slice(1).some((r) => found.has(`enc.${at(r, "aux_skip.weight")}`));
  const drawsEarly = levels.slice(1).some((r) => found.has(`dec.${at(r, "aux_norm.weight")}`));
  Object.assign(settings, {
    channelMultNoise: timeChannels / modelChannels,
    embeddingType: fourier ? "fourier" : "positional",
    encoderType: residual ? "residual" : skip ? "skip" : "standard",
    decoderType: drawsEarly ? "skip" : "standard",
  });
  const filters = levels.slice(1).map((r) => `enc.${at(r, "down.conv0.resample_filter")}`)
    .filter((name) => found.has(name));
  if (filters.length > 0) {
    const taps = found.shape(filters[0], 4)[3];
    settings.resampleFilter = taps === 4 ? [1, 3, 3, 1] : [1, 1];
  } else if (levels.length > 1) {
    settings.resampleFilter = fourier ? [1, 3, 3, 1] : [1, 1];
    assumptions.push(
      `resampleFilter [${settings.resampleFilter}], as networks with a ${settings.embeddingType} ` +
        `embedding have: the file does not hold the filters`,
    );
  }
  return { settings, assumptions };
}

function inferDiT(found: Finder, known: Settings): Inferred {
  const [hiddenSize, imgChannels, patchSize] = found.shape("x_embedder.proj.weight", 4);
  const depth = found.matches(/^blocks\.(\d+)\.attn\.qkv\.weight$/).length;
  const [hidden] = found.shape("blocks.0.mlp.fc1.weight", 2);
  const [, timeChannels] = found.shape("t_embedder.mlp.0.weight", 2);
  const table = "y_embedder.embedding_table.weight";
  const settings: Settings = {
    type: "dit",
    imgChannels,
    labelDim: found.has(table) ? found.shape(table, 2)[0] - 1 : 0,
    patchSize,
    hiddenSize,
    depth,
    mlpRatio: hidden / hiddenSize,
    qkNorm: found.has("blocks.0.attn.q_norm.weight"),
    embeddingType: found.has("t_embedder.freqs") ? "fourier" : "positional",
    timeChannels,
    sEmbed: found.has("s_embedder.mlp.0.weight"),
  };
  const assumptions: string[] = [];
  if (found.has("pos_embed")) {
    const [, tokens] = found.shape("pos_embed", 3);
    settings.imgResolution = Math.sqrt(tokens) * patchSize;
  } else if (known.imgResolution === undefined) {
    throw new FormatError(
      "the positions (pos_embed) are missing, so that the size of the images is not known; " +
        "give it with --set network.imgResolution=32 or the like.",
    );
  }
  const outWidth = found.shape("final_layer.linear.weight", 2)[0];
  if (outWidth === 2 * imgChannels * patchSize ** 2) {
    throw found.unknown("its output has twice the channels of its input (a learned variance)");
  }
  if (settings.qkNorm) {
    settings.numHeads = hiddenSize / found.shape("blocks.0.attn.q_norm.weight", 1)[0];
  } else if (known.numHeads === undefined) {
    const size = Object.entries(DIT_SIZES).find(([, s]) => s[0] === depth && s[1] === hiddenSize);
    settings.numHeads = size ? size[1][2] : Math.max(1, Math.floor(hiddenSize / 64));
    assumptions.push(
      size
        ? `${settings.numHeads} attention heads, as DiT-${size[0]} has`
        : `${settings.numHeads} attention heads, of 64 channels each: tensors do not show them ` +
          `(--set network.numHeads=…)`,
    );
  }
  return { settings, assumptions };
}

/** Numbers in rising order. */
function numbers(texts: readonly string[]): number[] {
  return texts.map(Number).sort((a, b) => a - b);
}
