/** onnxruntime-web on WebGPU; its outputs stay on the GPU. @module */

import * as ort from "npm:onnxruntime-web@1.30.0/webgpu";
import { type Engine, Unsupported } from "../engine.ts";
import { prepare, type Runtime } from "./onnx.ts";

/** Opens it. */
export async function open(): Promise<Engine> {
  if (!await navigator.gpu?.requestAdapter()) throw new Unsupported("There is no WebGPU adapter.");
  ort.env.wasm.numThreads = 1;
  const options = { executionProviders: ["webgpu"], preferredOutputLocation: "gpu-buffer" };
  return {
    description: "onnxruntime-web 1.30.0, webgpu",
    async prepare(task, inputs) {
      const prepared = await prepare(ort as unknown as Runtime, options, task, inputs);
      // deno-lint-ignore no-explicit-any -- its device is `any` in its own types too
      const finish = () => (ort.env.webgpu as any).device.queue.onSubmittedWorkDone();
      return { ...prepared, finish };
    },
  };
}
