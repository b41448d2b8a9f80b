/**
 * From a program on symbolic tensors to a plan that a device can replay:
 *
 * 1. graph.ts: what is needed, once;
 * 2. storage.ts: what goes to memory, what is fused into what;
 * 3. jobs.ts: the kernels-to-be, joined where they share an index space;
 * 4. lower.ts: kernels with fused expressions and strides;
 * 5. schedule.ts: their order;
 * 6. memory.ts: their buffers.
 *
 * @module
 */

import { ImmError } from "../base/errors.ts";
import type { Update } from "../tensor/state.ts";
import type { Tensor } from "../tensor/tensor.ts";
import { Graph } from "./graph.ts";
import { joinJobs, listJobs } from "./jobs.ts";
import { Locations } from "./locations.ts";
import { Lowering } from "./lower.ts";
import { assignBuffers, type Assignment } from "./memory.ts";
import type { Plan, PlanBuffer, PlanValue } from "./plan.ts";
import { debugPlan } from "./print.ts";
import { type CompileOptions, type Program, validateProgram } from "./program.ts";
import { schedule, UpdateConflict } from "./schedule.ts";
import { decideStorage } from "./storage.ts";

/**
 * Compiles a program.
 *
 * @example
 * ```ts
 * import { openDevice } from "@imm/imm";
 * import { compile, summarize } from "@imm/imm/compile";
 * import { add, input, mul } from "@imm/imm/tensor";
 * import assert from "node:assert/strict";
 *
 * const [x, y] = [input("x", [2]), input("y", [])];
 * const plan = compile({
 *   label: "line",
 *   inputs: [x, y],
 *   outputs: { z: add(mul(x, 3), y) },
 *   updates: [],
 * });
 * assert.equal(summarize(plan).kernels, 1); // product and sum are fused
 * const device = await openDevice();
 * const line = await device.prepare(plan, new Map());
 * line.run({ x: Float32Array.of(1, 2), y: Float32Array.of(10) });
 * assert.deepEqual((await line.read(["z"])).z, Float32Array.of(13, 16));
 * line.run({ x: Float32Array.of(0, 1) }); // y stays as it is
 * assert.deepEqual((await line.read(["z"])).z, Float32Array.of(10, 13));
 * device.close();
 * ```
 * @throws {ImmError} when a needed input is not declared
 */
export function compile(program: Program, options: CompileOptions = { fuse: true }): Plan {
  validateProgram(program);
  const graph = new Graph(program);
  const copied = new Set<Update>();
  while (true) {
    try {
      const plan = planOnce(program, graph, options, copied);
      debugPlan(plan);
      return plan;
    } catch (conflict) {
      if (!(conflict instanceof UpdateConflict) || copied.size === program.updates.length) {
        throw conflict;
      }
      // Rare: an update that cannot be made in place is copied there at the end instead.
      for (const update of program.updates) copied.add(update);
    }
  }
}

function planOnce(
  program: Program,
  graph: Graph,
  options: CompileOptions,
  copied: ReadonlySet<Update>,
): Plan {
  const roots = new Set<Tensor>();
  for (const tensor of Object.values(program.outputs)) roots.add(graph.resolve(tensor));
  for (const update of program.updates) roots.add(graph.resolve(update.value));
  const stored = decideStorage(graph, roots, options.fuse);
  const locations = new Locations(graph, program, stored, copied);
  const listed = listJobs(graph, stored, locations);
  const jobs = options.fuse ? joinJobs(listed, graph, locations) : listed;
  const lowering = new Lowering(graph, locations);
  for (const job of jobs) lowering.lower(job);
  const values = locations.values.list;
  const kernels = schedule(lowering.kernels, values);
  const assignment = assignBuffers(kernels, values);
  return {
    label: program.label,
    buffers: assignment.buffers,
    kernels: assignment.kernels,
    batchInvariant: program.batchInvariant,
    ...namedValues(program, locations, assignment),
  };
}

/** Inputs and outputs by name. Inputs that no kernel reads get a buffer all the same. */
function namedValues(
  program: Program,
  locations: Locations,
  { buffers, bufferOf }: Assignment,
): { inputs: Map<string, PlanValue>; outputs: Map<string, PlanValue> } {
  const inputs = new Map<string, PlanValue>();
  const outputs = new Map<string, PlanValue>();
  const byName = new Map<string, number>();
  locations.values.list.forEach(({ place }, number) => {
    const buffer = bufferOf.get(number);
    if (buffer === undefined) return;
    if (place.kind === "input" || place.kind === "output") {
      byName.set(`${place.kind} ${place.name}`, buffer);
    }
  });
  for (const tensor of program.inputs) {
    const { op } = tensor.node;
    if (op.kind !== "input") continue;
    const buffer = byName.get(`input ${op.name}`) ??
      (buffers as PlanBuffer[]).push({ length: tensor.size, role: "input", label: op.name }) - 1;
    inputs.set(op.name, { buffer, shape: tensor.shape, dtype: tensor.dtype });
  }
  for (const [name, tensor] of Object.entries(program.outputs)) {
    const buffer = byName.get(`output ${name}`)!;
    outputs.set(name, { buffer, shape: tensor.shape, dtype: tensor.dtype });
  }
  for (const name of byName.keys()) {
    const [kind, ...rest] = name.split(" ");
    if (kind === "input" && !inputs.has(rest.join(" "))) {
      throw new ImmError(
        `${program.label}: the input ${rest.join(" ")} is used but not declared; ` +
          `add it to the program's inputs`,
      );
    }
  }
  return { inputs, outputs };
}
