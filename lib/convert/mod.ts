/**
 * Models of other programs: what a file holds, and bringing it here and back. How the files are read is
 * in lib/formats/torch. To be read in this order:
 *
 * 1. foreign_file.ts, all formats as one; describe.ts, what is in a file;
 * 2. find_weights.ts and averages.ts, which weights are meant;
 * 3. convert.ts, from there to a model file, and back to a state dict.
 *
 * @module
 */

export {
  type ConvertOptions,
  findModelIn,
  type FoundModel,
  type FoundTensor,
  writeConverted,
  type WriteOptions,
  writeStateDict,
} from "./convert.ts";
export { describeFile, type FileDescription, type TensorDescription } from "./describe.ts";
export { openForeign } from "./foreign_file.ts";
export type { ForeignFile, ForeignTensor } from "./formats/format.ts";
