/** TensorFlow.js on WebAssembly (XNNPACK). @module */

import { getThreadsCount, setThreadsCount } from "npm:@tensorflow/tfjs-backend-wasm@4.22.0";
import type { Engine, EngineOptions } from "../engine.ts";
import { openBackend } from "./tfjs.ts";

/** Opens it; whether it can start its threads is up to the package. */
export async function open({ threads }: EngineOptions): Promise<Engine> {
  setThreadsCount(threads);
  const engine = await openBackend("wasm");
  return { ...engine, description: `${engine.description}, ${getThreadsCount()} threads` };
}
