/**
 * Layers and their parameters, under the names that PyTorch's files use. Networks made of them are in
 * lib/models. parameters.ts comes first: how parameters are declared, initialized and laid out; then a
 * file for each kind of layer.
 *
 * @module
 */

export { type Initializer, initialValues, type LayerInit, layerInitializer } from "./init.ts";
export {
  type ArenaContents,
  type BufferSpec,
  fromDevice,
  type HostTensor,
  type ParameterSpec,
  ParameterStore,
  type StateDict,
  type StateTensor,
} from "./parameters.ts";
export { Linear } from "./linear.ts";
export { Conv2d, type ConvOptions, type ResampleFilter } from "./conv.ts";
export { GroupNorm, LayerNorm } from "./norm.ts";
export { selfAttention } from "./attention.ts";
export {
  fourierEmbedding,
  gridEmbedding,
  positionalEmbedding,
  type SinusoidOptions,
} from "./embedding.ts";
