/**
 * Mean and reciprocal standard deviation over trailing axes, in two passes over the values: first
 * the mean, then the squared differences from it, so that a large mean does not cancel. Where a
 * thread has few values it keeps them in registers in between.
 *
 * @module
 */

import type { MomentsKernel } from "../../../compile/kernels/reduce.ts";
import { sizeOf } from "../../../tensor/tensor.ts";
import {
  type Dispatch,
  foldWorkgroups,
  subgroupSizeFor,
  type Target,
  workgroupNumber,
} from "../dispatch.ts";
import { BoundExpression, isVectorAccess, Library, prefersVectors } from "./expression.ts";
import { literal } from "./functions.ts";
import { Memory, typeName } from "./memory.ts";
import { acrossLanes, powerOfTwoFrom, powerOfTwoUpTo } from "./reduce.ts";
import { combineThreads, needsMemory, shareFirst, type Tree } from "./tree.ts";

/** Values that a thread keeps in registers between the passes. */
const MOST_REGISTERS = 4;

/** Threads of a workgroup, where a point has fewer and no variant says otherwise. */
const THREADS = 64;

/** Code for a moments kernel. */
export function generateMoments(kernel: MomentsKernel, target: Target): Dispatch[] {
  const { body, keptRank, label } = kernel;
  const rank = body.shape.length;
  const points = sizeOf(body.shape.slice(0, keptRank));
  const count = sizeOf(body.shape.slice(keptRank));
  if (points === 0) return [];
  const last = rank - 1;
  const vector = last >= keptRank && prefersVectors(body, [], last) &&
    body.operands.some((a) => isVectorAccess(a, last));
  const memory = new Memory(target, label);
  const library = new Library();
  const bound = new BoundExpression(memory, body, [], vector ? last : null, library);
  const write = { write: true };
  const mean = memory.view(kernel.mean, points, write);
  const rstd = memory.view(kernel.rstd, points, write);
  memory.seal();

  const steps = count / bound.width;
  const along = Math.min(256, powerOfTwoUpTo(Math.max(1, steps / 2)));
  const lanes = Math.max(
    1,
    Math.min((target.variant?.threads ?? THREADS) / along, powerOfTwoFrom(points)),
  );
  const threads = along * lanes;
  const workgroups = foldWorkgroups(Math.ceil(points / lanes), target);
  const tree: Tree = { along, stride: 1, subgroup: subgroupSizeFor(target) };
  // Makes t the sum of t over the threads of a point, in all of them.
  const sumOverThreads = [
    ...combineThreads(["sum"], ["t"], ["sums"], tree),
    ...shareFirst("t", "sums", tree),
  ].join("\n");
  const F = typeName("f32", bound.width);
  const parts = [
    { variable: "point", first: 0, count: keptRank },
    { variable: "element", first: keptRank, count: rank - keptRank },
  ];
  const scale = bound.width === 4 ? " * 4u" : "";
  const perThread = Math.ceil(steps / along);
  const whole = perThread * along === steps;
  const cached = perThread <= MOST_REGISTERS;

  /** A pass: `use` gets the name of a value; `step` is the number of the step of this thread. */
  const everyValue = (prefix: string, use: (value: string, step: number) => string): string => {
    if (!cached) {
      const { code, values } = bound.compute(parts, [], prefix, [kernel.value]);
      return `for (var step = row; step < ${steps}u; step += ${along}u) {
let element = step${scale};
${code}
${use(values[0], -1)}
}`;
    }
    return Array.from({ length: perThread }, (_, i) => {
      const { code, values } = bound.compute(parts, [], prefix, [kernel.value]);
      const guard = whole || i < perThread - 1 ? "" : `if (row + ${i * along}u < ${steps}u) `;
      return `${guard}{
let element = (row + ${i * along}u)${scale};
${code}
${use(values[0], i)}
}`;
    }).join("\n");
  };

  const first = everyValue(
    "e",
    (value, step) => `${cached ? `v${step} = ${value}; ` : ""}sum += ${value};`,
  );
  const square = (value: string) => `{ let d = ${value} - mean; squares += d * d; }`;
  const second = cached
    ? Array.from({ length: perThread }, (_, i) => {
      const guard = whole || i < perThread - 1 ? "" : `if (row + ${i * along}u < ${steps}u) `;
      return `${guard}${square(`v${i}`)}`;
    }).join("\n")
    : everyValue("g", square);
  const registers = cached
    ? Array.from({ length: perThread }, (_, i) => `var v${i} = ${F}(0.0);`).join(" ")
    : "";
  const total = (name: string) => bound.width === 4 ? acrossLanes("sum", name) : name;
  const wgsl = `${memory.declarations}
${library.declarations}${needsMemory(tree) ? `var<workgroup> sums: array<f32, ${threads}>;\n` : ""}
@compute @workgroup_size(${threads})
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) local: u32) {
let lane = local / ${along}u; let row = local % ${along}u;
let unit = ${workgroupNumber(workgroups)} * ${lanes}u + lane;
let point = min(unit, ${points - 1}u);
${registers}
var sum = ${F}(0.0);
${first}
var t = ${total("sum")};
${sumOverThreads}
let mean = t / ${literal(count, "f32")};
var squares = ${F}(0.0);
${second}
t = ${total("squares")};
${needsMemory(tree) ? "workgroupBarrier();\n" : ""}${sumOverThreads}
let rstd = inverseSqrt(t / ${literal(count, "f32")} + ${literal(kernel.eps, "f32")});
if (row == 0u && unit < ${points}u) {
${mean.store("point", "mean")}
${rstd.store("point", "rstd")}
}
}
`;
  return [{ label, wgsl, bindings: memory.bindings, params: memory.params, workgroups }];
}
