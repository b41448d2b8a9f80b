/**
 * Inductive Moment Matching (Zhou, Ermon & Song 2025): train, sample and evaluate few-step image
 * generators on any GPU or none.
 *
 * Load a model and sample from it:
 *
 * ```ts
 * import { Generator, loadModel, openDevice, pushforwardSteps, scheduleTimes } from "./mod.ts";
 *
 * export async function draw(path: string): Promise<Float32Array> {
 *   const device = await openDevice();
 *   const generator = await Generator.create(device, await loadModel(path), { batch: 16 });
 *   const times = scheduleTimes(generator.imm, { kind: "uniform", steps: 2 });
 *   const steps = pushforwardSteps(generator.imm, times);
 *   const samples = await generator.generate({ seeds: [0, 1, 2, 3], steps });
 *   generator.free();
 *   device.close();
 *   return samples; // [4, height, width, channels], from -1 to 1
 * }
 * ```
 *
 * Build a graph, differentiate it, and run it:
 *
 * ```ts
 * import { compile, grad, input, openDevice, square, sum } from "./mod.ts";
 *
 * export async function gradientOfSquares(): Promise<Float32Array | Int32Array> {
 *   const x = input("x", [3]);
 *   const [dx] = grad(sum(square(x)), [x]);
 *   const device = await openDevice();
 *   const plan = compile({ label: "example", inputs: [x], outputs: { dx }, updates: [] });
 *   const executable = await device.prepare(plan, new Map());
 *   executable.run({ x: Float32Array.of(1, 2, 3) });
 *   const result = await executable.read(["dx"]);
 *   device.close();
 *   return result.dx; // [2, 4, 6]
 * }
 * ```
 *
 * @module
 */

export * from "./lib/errors.ts";
export * from "./lib/tensor/mod.ts";
export * from "./lib/compile/mod.ts";
export * from "./lib/device/mod.ts";
export * from "./lib/nn/mod.ts";
export * from "./lib/models/mod.ts";
export * from "./lib/imm/mod.ts";
export * from "./lib/sample/mod.ts";
export * from "./lib/train/mod.ts";
export * from "./lib/data/mod.ts";
export * from "./lib/eval/mod.ts";
export { VERSION } from "./lib/version.ts";
