/**
 * From seeds to images: batches of a model's samples, and the stages that they pass through. The samplers
 * themselves are in lib/objectives. To be read in this order:
 *
 * 1. generator.ts, from seeds to a batch;
 * 2. schedule.ts and settings.ts, which steps; presets.ts, those of the public release;
 * 3. decoder.ts, from latents to images; output/, files, journals and parts of large sets.
 *
 * @module
 */

export { DECODER_RANGES, type DecoderRange, type DecoderRecord, LatentDecoder } from "./decoder.ts";
export { NotFiniteError } from "./finite.ts";
export { type GeneratedBatch, type GenerateOptions, Generator } from "./generator.ts";
export { uniformSteps } from "./schedule.ts";
