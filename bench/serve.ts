/**
 * One engine in a process of its own, so that none of them disturbs another's globals, threads or
 * memory: `serve.ts ENGINE THREADS`. Requests come on standard input (engine.ts).
 *
 * @module
 */

import process from "node:process";
import { TextLineStream } from "./lines.ts";
import { timeRuns } from "../lib/base/clock.ts";
import { taskShapes } from "../lib/measure/tasks.ts";
import { createNetwork } from "../lib/models/registry.ts";
import {
  type Answer,
  type ClockName,
  type Engine,
  type EngineOptions,
  type PreparedTask,
  type Request,
  Unsupported,
} from "./engine.ts";

/** Every engine that runs in Deno. The specifiers are literal, so that `deno check` sees them. */
const ENGINES: Readonly<Record<string, (options: EngineOptions) => Promise<Engine>>> = {
  "imm-wasm": async (options) => (await import("./engines/imm.ts")).open("wasm", options),
  "imm-webgpu": async (options) => (await import("./engines/imm.ts")).open("webgpu", options),
  "jax-js-wasm": async () => (await import("./engines/jax.ts")).open("wasm"),
  "jax-js-webgpu": async () => (await import("./engines/jax.ts")).open("webgpu"),
  "tfjs-wasm": async (options) => (await import("./engines/tfjs_wasm.ts")).open(options),
  "tfjs-webgpu": async () => (await import("./engines/tfjs_webgpu.ts")).open(),
  "ort-wasm": async (options) => (await import("./engines/onnx_wasm.ts")).open(options),
  "ort-webgpu": async () => (await import("./engines/onnx_webgpu.ts")).open(),
};

const CLOCKS: Readonly<Record<ClockName, () => number>> = {
  wall: () => performance.now(),
  cpu() {
    const { user, system } = process.cpuUsage();
    return (user + system) / 1000;
  },
};

const encoder = new TextEncoder();

function answer(message: Answer): void {
  let bytes = encoder.encode(JSON.stringify(message) + "\n");
  while (bytes.length > 0) bytes = bytes.subarray(Deno.stdout.writeSync(bytes));
}

/** The first line of whatever was thrown. */
function sentence(error: unknown): string {
  const message = error instanceof Error ? error.message : String(error);
  return message.split("\n", 1)[0].slice(0, 300);
}

async function serve(name: string, options: EngineOptions): Promise<void> {
  // Engines chat on standard output, which belongs to the answers.
  console.log = console.info = console.debug = console.error;
  let engine: Engine;
  try {
    engine = await ENGINES[name](options);
    answer({ description: engine.description });
  } catch (error) {
    return answer({ skipped: sentence(error) });
  }
  let prepared: PreparedTask | null = null;
  const lines = Deno.stdin.readable.pipeThrough(new TextDecoderStream())
    .pipeThrough(new TextLineStream());
  for await (const line of lines) {
    const request: Request = JSON.parse(line);
    try {
      switch (request.command) {
        case "prepare": {
          const { task, folder } = request;
          const inputs = await readInputs(folder, Object.keys(taskShapes(task)));
          prepared = await engine.prepare(task, inputs);
          await prepared.run();
          await prepared.finish();
          const outputs = await prepared.read();
          for (const [name, values] of Object.entries(outputs)) {
            const { buffer, byteOffset, byteLength } = values;
            const bytes = new Uint8Array(buffer, byteOffset, byteLength);
            await Deno.writeFile(`${folder}/out-${name}.f32`, bytes);
          }
          answer({ outputs: Object.keys(outputs) });
          break;
        }
        case "prepare job": {
          if (!engine.prepareJob) throw new Unsupported("trains no networks here.");
          prepared = { ...await engine.prepareJob(request.job), read: () => Promise.resolve({}) };
          await prepared.run();
          await prepared.finish();
          const { parameters } = createNetwork(request.job.config.network);
          answer({ parameters: parameters.parameterCount });
          break;
        }
        case "time": {
          const { seconds } = request;
          const clock = CLOCKS[request.clock];
          const samples = await timeRuns(prepared!, { seconds, clock, warmUp: false });
          answer({ samples, peakBytes: peakBytes() });
          break;
        }
        case "free":
          prepared?.free();
          prepared = null;
          answer({ done: true });
      }
    } catch (error) {
      if (Deno.env.get("BENCH_DEBUG")) console.error(error);
      prepared?.free();
      prepared = null;
      answer({ skipped: sentence(error) });
    }
  }
}

/** Linux alone tells it. */
function peakBytes(): number | null {
  try {
    const status = Deno.readTextFileSync("/proc/self/status");
    return Number(/^VmHWM:\s*(\d+) kB/m.exec(status)![1]) * 1024;
  } catch {
    return null;
  }
}

async function readInputs(folder: string, names: readonly string[]) {
  const values = await Promise.all(
    names.map(async (name) => [name, await Deno.readFile(`${folder}/${name}.f32`)] as const),
  );
  return Object.fromEntries(values.map(([name, bytes]) => [name, new Float32Array(bytes.buffer)]));
}

if (import.meta.main) {
  const [name, threads] = Deno.args;
  await serve(name, { threads: Number(threads) });
  Deno.exit(0);
}
