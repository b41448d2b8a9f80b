/** onnxruntime-web on WebAssembly: its build for Node, the one with threads in Deno. @module */

import * as ort from "npm:onnxruntime-web@1.30.0";
import type { Engine, EngineOptions } from "../engine.ts";
import { prepare, type Runtime } from "./onnx.ts";

/** Opens it. */
export async function open({ threads }: EngineOptions): Promise<Engine> {
  ort.env.wasm.numThreads = threads;
  return await Promise.resolve({
    description: `onnxruntime-web 1.30.0, wasm, ${threads} threads`,
    prepare: (task, inputs) =>
      prepare(ort as unknown as Runtime, { executionProviders: ["wasm"] }, task, inputs),
  });
}
