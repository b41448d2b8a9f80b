/** The ways in which a test can evaluate a graph: without a device, compiled, and on a device. */

import { compile } from "../../../lib/compile/compile.ts";
import type { Program } from "../../../lib/compile/program.ts";
import { ArenaBuffer, arenaMap } from "../../../lib/device/arena_buffer.ts";
import type { Device, HostArray } from "../../../lib/device/device.ts";
import type { Tensor } from "../../../lib/tensor/mod.ts";
import { interpretPlan } from "../reference/plan.ts";
import { evaluateGraph, type GraphData, nodesBehind } from "../reference/graph.ts";

/** Values of graph tensors for the given values of its leaves. */
export type Evaluate = (
  outputs: readonly Tensor[],
  data: GraphData,
) => Promise<readonly ArrayLike<number>[]>;

/** The graph itself, operation by operation, in float64. */
export const evaluateReference: Evaluate = (outputs, data) =>
  Promise.resolve(evaluateGraph(outputs, data));

/** The compiled plan, in float64. */
export const evaluatePlan: Evaluate = (outputs, { inputs = {}, state = new Map() }) => {
  const plan = compile(programOf(outputs));
  const arenas = new Map([...state].map(([arena, data]) => [arena, Float64Array.from(data)]));
  const found = interpretPlan(plan, inputs, arenas);
  return Promise.resolve(outputs.map((_, i) => found[outputName(i)]));
};

/** The compiled plan on a device, in float32. */
export function evaluateOn(device: Device): Evaluate {
  return async (outputs, { inputs = {}, state = new Map() }) => {
    const program = programOf(outputs);
    const arenas = [...state.keys()].map((arena) => new ArenaBuffer(device, arena));
    try {
      for (const buffer of arenas) buffer.writeAll(Float32Array.from(state.get(buffer.arena)!));
      const executable = await device.prepare(compile(program), arenaMap(...arenas));
      try {
        executable.run(hostInputs(program, inputs));
        const found = await executable.read(outputs.map((_, i) => outputName(i)));
        return outputs.map((_, i) => found[outputName(i)]);
      } finally {
        executable.destroy();
      }
    } finally {
      for (const buffer of arenas) buffer.free();
    }
  };
}

function programOf(outputs: readonly Tensor[]): Program {
  return {
    label: "test",
    inputs: nodesBehind(outputs).flatMap(({ op, outputs: [x] }) => op.kind === "input" ? [x] : []),
    outputs: Object.fromEntries(outputs.map((tensor, i) => [outputName(i), tensor])),
    updates: [],
  };
}

function outputName(i: number): string {
  return `output${i}`;
}

function hostInputs(
  { inputs }: Program,
  values: NonNullable<GraphData["inputs"]>,
): Record<string, HostArray> {
  return Object.fromEntries(inputs.map(({ node: { op }, dtype }) => {
    if (op.kind !== "input") throw new Error(`${op.kind} is not an input`);
    const data = values[op.name];
    return [op.name, dtype === "i32" ? Int32Array.from(data) : Float32Array.from(data)];
  }));
}
