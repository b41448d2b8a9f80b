/**
 * Networks of others in ONNX files, run by onnxruntime-web on the CPU.
 *
 * The package's main entry resolves to its build for Node, which is the one to use in Deno: it
 * finds its WebAssembly through the file system, runs several threads (1.9x with two, and the
 * same bits), and works in Workers as it is; the builds for browsers do neither.
 *
 * @module
 */

import type { InferenceSession, Tensor } from "npm:onnxruntime-web@1.30.0";
import { FormatError } from "../../base/errors.ts";
import { readFileBytes } from "../source.ts";

/** A model that can be run, and what its inputs are made of. */
export interface OnnxModel {
  readonly session: InferenceSession;
  readonly Tensor: typeof Tensor;
}

/**
 * Loads a model. The runtime is imported for the first one: a program that runs none never does.
 *
 * @param name what error messages call the model
 * @param threads of the runtime, which count from the first model on. Default: the processors, 8 at
 * most; one in a compiled program, where the runtime's own worker file may be missing
 * @throws {FormatError} when it cannot be run
 */
export async function loadOnnx(
  bytes: Uint8Array<ArrayBuffer>,
  name: string,
  threads: number = Deno.build.standalone ? 1 : Math.min(8, navigator.hardwareConcurrency),
): Promise<OnnxModel> {
  const runtime = await import("npm:onnxruntime-web@1.30.0");
  runtime.env.logLevel = "error";
  runtime.env.wasm.numThreads = threads;
  try {
    // Only errors: models of others are full of small things to warn of.
    const options = { executionProviders: ["wasm"], logSeverityLevel: 3 } as const;
    return {
      session: await runtime.InferenceSession.create(bytes, options),
      Tensor: runtime.Tensor,
    };
  } catch (error) {
    throw new FormatError(
      `${name} cannot be run: ${error instanceof Error ? error.message : error}`,
      { cause: error },
    );
  } finally {
    globalThis.Worker = Worker;
  }
}

/**
 * Loads a model with one input and one output.
 *
 * @param what it is meant to be, for error messages
 * @throws {FormatError} when it is something else, or cannot be read or run
 */
export async function loadOneToOne(
  path: string,
  what: string,
  threads?: number,
): Promise<OnnxModel> {
  const model = await loadOnnx(await readFileBytes(path), path, threads);
  const { inputNames, outputNames } = model.session;
  if (inputNames.length === 1 && outputNames.length === 1) return model;
  await model.session.release();
  throw new FormatError(
    `${path} is no ${what}: expected one input and one output, found ` +
      `${inputNames.join(", ")} and ${outputNames.join(", ")}.`,
  );
}

/**
 * The first session starts the runtime's threads, for which it puts Node's Worker in the place of
 * the global one and leaves it there; every Worker of this program would break after that.
 */
const { Worker } = globalThis;
