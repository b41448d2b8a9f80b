/**
 * File formats, each read and written by itself: images, archives, arrays, safetensors, PyTorch's
 * checkpoints, ONNX. Nothing here knows of tensors with gradients, of models or of data sets, and
 * nothing trusts a file: sizes are checked before memory is taken, and no code in a file is run.
 *
 * Where to begin: source.ts, what a file is read from; then the folder of the format.
 *
 * @module
 */

export { openZip, type ZipArchive, type ZipMember, type ZipPlace } from "./archive/zip.ts";
export { type ZipMemberOptions, ZipWriter } from "./archive/zip_writer.ts";
export { type IdxArray, parseIdx, readIdx } from "./arrays/idx.ts";
export {
  type ArrayToWrite,
  type NpyArray,
  npyByteLength,
  npyChunks,
  NpyReader,
  type NpyType,
} from "./arrays/npy.ts";
export { NpzFile, writeNpz } from "./arrays/npz.ts";
export {
  type FloatType,
  fromFloat32,
  type NumericType,
  toFloat32,
  toFloat64,
} from "./arrays/numeric.ts";
export { decodeImage, IMAGE_EXTENSIONS, probeImage } from "./image/decode.ts";
export { type GridOptions, imageGrid, splitImages } from "./image/grid.ts";
export {
  type DecodedImage,
  type Image,
  type ImageShape,
  MAX_PIXELS,
  type ProbedImage,
} from "./image/pixels.ts";
export { encodePng } from "./image/png.ts";
export { RESIZE_FILTERS, type ResizeFilter, resizeImage } from "./image/resize.ts";
export {
  openSafetensors,
  parseSafetensors,
  type Safetensors,
  type SafetensorsDtype,
  type SafetensorsFile,
  serializeSafetensors,
  type StoredTensor,
  type TensorEntry,
  type TensorToWrite,
  writeSafetensors,
} from "./safetensors/safetensors.ts";
export { type ByteSource, bytesSource, openFileSource } from "./source.ts";
