/**
 * Options of the verbs that decode what models of latents make.
 *
 * @module
 */

import { LATENT_NOTE, parseLatentNote } from "../../lib/data/latents/note.ts";
import { FormatError, UsageError } from "../../lib/base/errors.ts";
import type { ModelDescription } from "../../lib/models/model_file.ts";
import { createNetwork } from "../../lib/models/registry.ts";
import { DECODER_RANGES, LatentDecoder } from "../../lib/sample/decoder.ts";
import { arePictures } from "../../lib/sample/output/sample_set.ts";
import { choice, type Parsed, text } from "../base/options.ts";

/** The options, to be spread into the table of a verb. */
export const decodingOptions = {
  decoder: text({
    help: "make pictures of a model's latents with this network, an autoencoder's decoder from " +
      "N x C x h x w to N x 3 x H x W",
    value: "FILE.onnx",
  }),
  decoderRange: choice(DECODER_RANGES, {
    help:
      "what the decoder's pictures run in: -1 to 1, or 0 to 1, as of latents that EDM2's tool " +
      "encoded",
    default: "signed",
  }),
};

/** The parsed options. */
export type DecodingArgs = Omit<Parsed<typeof decodingOptions>, "_">;

/**
 * The decoder that was asked for, fitted to the latents of a model; null for none.
 *
 * @param source what messages call the model
 * @throws {UsageError} when the model makes no latents
 * @throws {FormatError} when the decoder does not fit, or the model does not note what it takes
 */
export async function openDecoder(
  { decoder: path, decoderRange: range, threads }: DecodingArgs & { readonly threads?: number },
  { network, notes }: ModelDescription,
  source: string,
): Promise<LatentDecoder | null> {
  if (path === undefined) {
    if (range !== "signed") {
      throw new UsageError("--decoder-range says how a decoder is used; give it with --decoder.");
    }
    return null;
  }
  const { sampleShape: latentShape } = createNetwork(network);
  const note: string | undefined = notes[LATENT_NOTE];
  if (note === undefined) {
    if (latentShape.length !== 3 || arePictures(latentShape)) {
      throw new UsageError(
        `${source} makes ${latentShape.length === 3 ? "pictures" : "points"}, not latents; leave ` +
          `out --decoder.`,
      );
    }
    throw new FormatError(
      `${source} does not note how its latents were normalised, which decoding has to undo; ` +
        `write a model that does with: imm convert ${source} --latents imm --out FILE ` +
        `(or edm2, or the statistics).`,
    );
  }
  const normalization = parseLatentNote(note, `${source}: the note on its latents`);
  return await LatentDecoder.load(path, { latentShape, normalization, range, threads });
}
