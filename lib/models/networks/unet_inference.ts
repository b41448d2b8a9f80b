/**
 * The settings of a U-Net from the names and shapes of its tensors.
 *
 * @module
 */

import type { TensorShapes } from "../tensor_shapes.ts";

/** A tensor that every U-Net has, and no other network. */
export const UNET_LANDMARK = "map_layer0.weight";
/** A tensor that tells Dhariwal and Nichol's U-Net from Song et al.'s. */
export const ADM_MARK = "out_conv.weight";
/** What is supposed of every U-Net. */
export const NO_DROPOUT = "dropout 0: it is of training only, and leaves no trace in the tensors";

/** What shows of every U-Net. */
export interface UNetTensors {
  /** The settings that both have. */
  readonly settings: Record<string, unknown>;
  /** Resolutions, finest first. */
  readonly levels: readonly number[];
  /** Columns of the time embedding. */
  readonly timeChannels: number;
  /** Unit of the channels. */
  readonly modelChannels: number;
}

/**
 * What shows of a U-Net.
 *
 * @throws {FormatError} when the tensors are of no U-Net
 */
export function inferUNet(
  found: TensorShapes,
  type: "song_unet" | "dhariwal_unet",
): UNetTensors {
  const [resolution] = numbers(found.matches(/^enc\.(\d+)x\1_conv\.weight$/));
  if (resolution === undefined) throw found.unknown("it has no first convolution");
  const [firstChannels, imgChannels] = found.shape(
    `enc.${resolution}x${resolution}_conv.weight`,
    4,
  );
  const [embChannels, timeChannels] = found.shape("map_layer0.weight", 2);
  const modelChannels = type === "dhariwal_unet" ? timeChannels : firstChannels;
  const levels = numbers(found.matches(/^enc\.(\d+)x\1_block0\.conv0\.weight$/)).toReversed();
  const at = (level: number, part: string) => `${level}x${level}_${part}`;
  const channelMult = levels.map((level) => {
    const [out] = found.shape(`enc.${at(level, "block0.conv0.weight")}`, 4);
    return out / modelChannels;
  });
  const [finest] = levels;
  const settings = {
    imgResolution: resolution,
    imgChannels,
    labelDim: found.has("map_label.weight") ? found.shape("map_label.weight", 2)[1] : 0,
    augmentDim: found.has("map_augment.weight") ? found.shape("map_augment.weight", 2)[1] : 0,
    modelChannels,
    channelMult,
    channelMultEmb: embChannels / modelChannels,
    numBlocks: found.matches(new RegExp(`^enc\\.${at(finest, "block(\\d+)")}\\.conv0\\.weight$`))
      .length,
    attnResolutions: levels.filter((level) => found.has(`enc.${at(level, "block0.qkv.weight")}`)),
    dropout: 0,
    sEmbed: found.has("map_layer0_s.weight"),
  };
  return { settings, levels, timeChannels, modelChannels };
}

/** Numbers in rising order. */
function numbers(texts: readonly string[]): number[] {
  return texts.map(Number).sort((a, b) => a - b);
}
