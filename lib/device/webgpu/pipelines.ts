/**
 * Pipelines, made once for each text: kernels that do the same to different buffers share one.
 *
 * @module
 */

import { InternalError } from "../../base/errors.ts";
import type { Dispatch } from "./dispatch.ts";

/** A compiled shader and the layout that its bind groups follow. */
export interface Pipeline {
  readonly pipeline: GPUComputePipeline;
  readonly layout: GPUBindGroupLayout;
}

/** The pipelines of a device. */
export class PipelineCache {
  readonly #gpu: GPUDevice;
  readonly #pipelines = new Map<string, Pipeline>();
  readonly #layouts = new Map<string, GPUBindGroupLayout>();

  constructor(gpu: GPUDevice) {
    this.#gpu = gpu;
  }

  /** Number of different shaders so far. */
  get size(): number {
    return this.#pipelines.size;
  }

  /** The pipeline for a dispatch. Throws when the shader is not valid, which is a bug. */
  async get(dispatch: Dispatch): Promise<Pipeline> {
    const known = this.#pipelines.get(dispatch.wgsl);
    if (known) return known;
    const gpu = this.#gpu;
    gpu.pushErrorScope("validation");
    const layout = this.#layout(dispatch);
    const pipeline = gpu.createComputePipeline({
      label: dispatch.label,
      layout: gpu.createPipelineLayout({ bindGroupLayouts: [layout] }),
      compute: {
        module: gpu.createShaderModule({ label: dispatch.label, code: dispatch.wgsl }),
        entryPoint: "main",
      },
    });
    const error = await gpu.popErrorScope();
    if (error) {
      throw new InternalError(
        `the shader of ${dispatch.label} is not valid: ${error.message}\n${dispatch.wgsl}`,
      );
    }
    const made = { pipeline, layout };
    this.#pipelines.set(dispatch.wgsl, made);
    return made;
  }

  #layout({ bindings, params }: Dispatch): GPUBindGroupLayout {
    const types: GPUBufferBindingType[] = bindings.map((b) =>
      b.writable ? "storage" : "read-only-storage"
    );
    if (params.length > 0) types.push("uniform");
    const key = types.join();
    let layout = this.#layouts.get(key);
    if (!layout) {
      layout = this.#gpu.createBindGroupLayout({
        entries: types.map((type, binding) => ({
          binding,
          visibility: GPUShaderStage.COMPUTE,
          buffer: { type },
        })),
      });
      this.#layouts.set(key, layout);
    }
    return layout;
  }
}
