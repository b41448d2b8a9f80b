/**
 * What sampling takes, known before a device is opened.
 *
 * @module
 */

import { compile } from "../compile/compile.ts";
import { planFlops } from "../compile/flops.ts";
import type { NetworkConfig } from "../models/registry.ts";
import { atPrecision, type Precision } from "../models/precision.ts";
import { createNetwork } from "../models/registry.ts";
import { samplingProgram } from "./generator.ts";

/** What a network would take to sample from. */
export interface SamplingDescription {
  /** Number of parameters, frozen ones included. */
  readonly parameters: number;
  /** The weights on the device. */
  readonly weightBytes: number;
  /** What a batch needs besides: inputs, outputs and everything between. */
  readonly scratchBytes: number;
  /** Both together. */
  readonly deviceBytes: number;
  /**
   * The largest single buffer, which is usually that of the weights. Kernels bind parts of it, so
   * WebGPU's maxBufferSize limits it and not maxStorageBufferBindingSize.
   */
  readonly largestBufferBytes: number;
  /** The largest buffer besides the weights, which a kernel may bind as a whole. */
  readonly largestScratchBytes: number;
  readonly kernels: number;
  /** Operations for one image in one step without guidance; a product and a sum are two. */
  readonly flopsPerImage: number;
}

/** Plans the network for batches of `batch` images. */
export function describeSampling(
  config: NetworkConfig,
  batch: number,
  precision: Precision = "float32",
): SamplingDescription {
  const network = atPrecision(precision, () => createNetwork(config));
  const plan = compile(samplingProgram(network, batch));
  const bytes = plan.buffers.map(({ length, role }) => ({ bytes: length * 4, role }));
  const sum = (own: typeof bytes) => own.reduce((total, buffer) => total + buffer.bytes, 0);
  const most = (own: typeof bytes) => Math.max(0, ...own.map((buffer) => buffer.bytes));
  const weights = bytes.filter(({ role }) => role === "arena");
  const scratch = bytes.filter(({ role }) => role !== "arena");
  return {
    parameters: network.parameters.parameterCount,
    weightBytes: sum(weights),
    scratchBytes: sum(scratch),
    deviceBytes: sum(bytes),
    largestBufferBytes: most(bytes),
    largestScratchBytes: most(scratch),
    kernels: plan.kernels.length,
    flopsPerImage: planFlops(plan) / batch,
  };
}
