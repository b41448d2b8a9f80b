/** TensorFlow.js on WebGPU. @module */

import "npm:@tensorflow/tfjs-backend-webgpu@4.22.0";
import type { Engine } from "../engine.ts";
import { openBackend } from "./tfjs.ts";

/** Opens it. */
export function open(): Promise<Engine> {
  return openBackend("webgpu");
}
