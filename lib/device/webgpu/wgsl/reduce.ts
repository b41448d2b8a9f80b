/**
 * Reductions. A workgroup is `kept` x `along` threads: `along` threads share the work for each of
 * `kept` results, each adds up its share in order, and a fixed tree combines them. Long reductions
 * of few results are cut into `splits` parts that go through scratch memory and a second reduction.
 * Every order is fixed, so the same device gives the same bits.
 *
 * @module
 */

import type { Access, Expression } from "../../../compile/kernels/kernel.ts";
import type { ReduceKernel } from "../../../compile/kernels/reduce.ts";
import { sizeOf } from "../../../tensor/tensor.ts";
import {
  type Dispatch,
  ELEMENT_BYTES,
  foldWorkgroups,
  SCRATCH,
  subgroupSizeFor,
  type Target,
  workgroupNumber,
} from "../dispatch.ts";
import { BoundExpression, extent, isVectorAccess, Library, prefersVectors } from "./expression.ts";
import { combine, reductionIdentity } from "./functions.ts";
import { Memory, typeName } from "./memory.ts";
import { halve, pieceOfExpression } from "./pieces.ts";
import { combineThreads, needsMemory, type Tree } from "./tree.ts";

/** The most parts that a reduction is cut into: they are combined by few threads. */
const MOST_SPLITS = 128;

/** How a reduction is laid out on threads. */
export interface ReducePlan {
  /** Whether neighbouring threads take neighbouring results (else neighbouring elements). */
  readonly column: boolean;
  /** Axis along which a thread takes four elements at once, or null. */
  readonly vectorAxis: number | null;
  /** Results and threads per result of a workgroup. */
  readonly kept: number;
  readonly along: number;
  /** Parts of the reduced axes, each a workgroup of its own. */
  readonly splits: number;
  /** Steps (of one element or of four) of the reduced axes, and results per vector, in all. */
  readonly steps: number;
  readonly keptUnits: number;
}

/** Which of all parts of a reduction a pass makes: `all` of them lie in scratch memory. */
interface Partials {
  readonly first: number;
  readonly all: number;
}

/** Code for a reduction: one dispatch, or several with partial results in between. */
export function generateReduce(kernel: ReduceKernel, target: Target): Dispatch[] {
  const { body, keptRank, reductions, epilogue, label } = kernel;
  const keptPoints = sizeOf(body.shape.slice(0, keptRank));
  if (keptPoints === 0) return [];
  const pieces = piecesThatFit(kernel, target);
  const plans = pieces.map((piece) => planReduction(piece, target));
  const all = plans.reduce((sum, plan) => sum + plan.splits, 0);
  if (all === 1) return [reducePass(kernel, plans[0], target, null)];
  let first = 0;
  const passes = pieces.map((piece, i) => {
    const pass = reducePass(piece, plans[i], target, { first, all });
    first += plans[i].splits;
    return pass;
  });
  const functions = reductions.map((r) => r.fn);
  return [...passes, ...combinePartials(functions, keptPoints, all, epilogue, label, target)];
}

/** The kernel, cut along the reduced axes where it reads more than a binding holds. */
function piecesThatFit(kernel: ReduceKernel, target: Target): ReduceKernel[] {
  const { body, keptRank } = kernel;
  const most = target.maxBindingBytes / ELEMENT_BYTES;
  const fits = body.operands.every((access) => extent(body.shape, access) <= most);
  const halves = fits ? null : halve(body, keptRank);
  if (!halves) return [kernel];
  return halves.flatMap((piece) =>
    piecesThatFit({ ...kernel, body: pieceOfExpression(body, piece) }, target)
  );
}

/**
 * The second half of a split computation: result i at point p is the combination, in order, of the
 * scratch elements (i * splits + s) * points + p over s.
 */
export function combinePartials(
  functions: readonly ("sum" | "max")[],
  points: number,
  splits: number,
  epilogue: ReduceKernel["epilogue"],
  label: string,
  target: Target,
): Dispatch[] {
  const body: Expression = {
    shape: [points, splits],
    operands: functions.map((_, i): Access => ({
      buffer: SCRATCH,
      offset: i * splits * points,
      strides: [1, points],
      dtype: "f32",
    })),
    instrs: functions.map((_, i) => ({ op: "load", operand: i })),
  };
  const reductions = functions.map((fn, value) => ({ fn, value }));
  const kernel: ReduceKernel = {
    kind: "reduce",
    body,
    keptRank: 1,
    reductions,
    epilogue,
    label: `${label} (combine)`,
  };
  return [reducePass(kernel, { ...planReduction(kernel, target), splits: 1 }, target, null)];
}

function planReduction(kernel: ReduceKernel, target: Target): ReducePlan {
  const { body, keptRank, epilogue } = kernel;
  const rank = body.shape.length;
  const keptPoints = sizeOf(body.shape.slice(0, keptRank));
  const reduced = sizeOf(body.shape.slice(keptRank));
  const keptAxis = innermost(body.shape, 0, keptRank);
  const reducedAxis = innermost(body.shape, keptRank, rank);
  const contiguous = (axis: number) =>
    axis < 0 ? 0 : body.operands.filter((a) => a.strides[axis] === 1).length;
  const column = keptPoints > 1 && contiguous(keptAxis) > contiguous(reducedAxis);

  let vectorAxis: number | null = null;
  if (column) {
    const last = epilogue.body.shape.length - 1;
    const epilogueAllows = last >= 0 && epilogue.body.shape[last] % 4 === 0;
    if (keptAxis === keptRank - 1 && epilogueAllows && prefersVectors(body, [], keptAxis)) {
      vectorAxis = keptAxis;
    }
  } else if (
    reducedAxis === rank - 1 && prefersVectors(body, [], reducedAxis) &&
    body.operands.some((a) => isVectorAccess(a, reducedAxis))
  ) {
    vectorAxis = reducedAxis;
  }
  const steps = vectorAxis !== null && !column ? reduced / 4 : reduced;
  const keptUnits = vectorAxis !== null && column ? keptPoints / 4 : keptPoints;

  let kept: number;
  let along: number;
  if (column) {
    kept = target.batchInvariant ? 32 : Math.min(32, powerOfTwoFrom(keptUnits));
    along = Math.min(256 / kept, powerOfTwoUpTo(Math.max(1, steps / 4)));
    kept = Math.max(kept, Math.min(64 / along, powerOfTwoFrom(keptUnits)));
  } else {
    along = Math.min(256, powerOfTwoUpTo(Math.max(1, steps / 2)));
    kept = Math.max(1, 64 / along);
  }
  // The number of results in a workgroup decides no bits, unlike that of the threads per result.
  const usualKept = kept;
  const threads = target.variant?.threads;
  if (threads) kept = Math.max(1, threads / along);
  const groups = Math.ceil(keptUnits / usualKept);
  const splits = target.batchInvariant ? 1 : Math.max(
    1,
    Math.min(
      MOST_SPLITS,
      Math.floor(target.wantedWorkgroups / groups),
      Math.floor(steps / (along * 8)),
    ),
  );
  return { column, vectorAxis, kept, along, splits, steps, keptUnits };
}

/** One dispatch; with `partials` its results go to scratch memory. */
function reducePass(
  kernel: ReduceKernel,
  plan: ReducePlan,
  target: Target,
  partials: Partials | null,
): Dispatch {
  const { body, keptRank, reductions, epilogue, label } = kernel;
  const { column, vectorAxis, kept, along, splits, steps, keptUnits } = plan;
  const memory = new Memory(target, label);
  const library = new Library();
  const bound = new BoundExpression(memory, body, [], vectorAxis, library);
  // Values of a column keep their four lanes to the end; those of a row are added up.
  const resultWidth = column ? bound.width : 1;
  const points = keptUnits * resultWidth;
  const finish = partials ? null : new BoundExpression(
    memory,
    epilogue.body,
    epilogue.stores,
    resultWidth === 4 ? epilogue.body.shape.length - 1 : null,
    library,
  );
  const scratch = partials && reductions.map((_, i) =>
    memory.view(
      { buffer: SCRATCH, offset: (i * partials.all + partials.first) * points, dtype: "f32" },
      splits * points,
      { write: true, vector: resultWidth === 4 },
    )
  );
  memory.seal();

  const T = typeName("f32", resultWidth);
  const V = typeName("f32", bound.width);
  const threads = kept * along;
  const groups = Math.ceil(keptUnits / kept);
  const workgroups = foldWorkgroups(groups * splits, target);
  const chunk = Math.ceil(steps / splits);
  const { code, values } = bound.compute(
    [
      { variable: "point", first: 0, count: keptRank },
      { variable: "element", first: keptRank, count: body.shape.length - keptRank },
    ],
    [],
    "e",
    reductions.map((r) => r.value),
  );
  const identity = (fn: "sum" | "max") => `${V}(${reductionIdentity(fn)})`;
  const lines = [
    `let number = ${workgroupNumber(workgroups)};`,
    `let part = number / ${groups}u;`,
    column
      ? `let lane = local % ${kept}u; let row = local / ${kept}u;`
      : `let lane = local / ${along}u; let row = local % ${along}u;`,
    `let unit = (number % ${groups}u) * ${kept}u + lane;`,
    `let point = min(unit, ${keptUnits - 1}u)${resultWidth === 4 ? " * 4u" : ""};`,
    ...reductions.map((r, i) => `var a${i} = ${identity(r.fn)};`),
    `let end = min((part + 1u) * ${chunk}u, ${steps}u);`,
    `for (var step = part * ${chunk}u + row; step < end; step += ${along}u) {`,
    `let element = step${!column && bound.width === 4 ? " * 4u" : ""};`,
    code,
    ...reductions.map((r, i) => `a${i} = ${combine(r.fn, `a${i}`, values[i])};`),
    "}",
    ...reductions.map((r, i) =>
      `var r${i} = ${resultWidth === bound.width ? `a${i}` : acrossLanes(r.fn, `a${i}`)};`
    ),
  ];
  const tree: Tree = { along, stride: column ? kept : 1, subgroup: subgroupSizeFor(target) };
  lines.push(...combineThreads(
    reductions.map((r) => r.fn),
    reductions.map((_, i) => `r${i}`),
    reductions.map((_, i) => `s${i}`),
    tree,
  ));
  const last = finish
    ? finish.computeAndStore(
      [{ variable: "point", first: 0, count: epilogue.body.shape.length }],
      reductions.map((_, i) => `r${i}`),
      "f",
    )
    : scratch!.map((view, i) => {
      const at = `part * ${points}u + point`;
      return resultWidth === 4 ? view.store4(at, `r${i}`) : view.store(at, `r${i}`);
    }).join("\n");
  lines.push(
    `if (row == 0u && unit < ${keptUnits}u && part < ${splits}u) {`,
    last,
    "}",
  );
  const shared = needsMemory(tree)
    ? reductions.map((_, i) => `var<workgroup> s${i}: array<${T}, ${threads}>;`).join("\n")
    : "";
  const wgsl = `${memory.declarations}
${library.declarations}${shared}
@compute @workgroup_size(${threads})
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) local: u32) {
${lines.join("\n")}
}
`;
  return { label, wgsl, bindings: memory.bindings, params: memory.params, workgroups };
}

/** The four lanes of a vector combined. */
export function acrossLanes(fn: "sum" | "max", vector: string): string {
  const [x, y, z, w] = ["x", "y", "z", "w"].map((lane) => `${vector}.${lane}`);
  return combine(fn, `(${combine(fn, x, y)})`, `(${combine(fn, z, w)})`);
}

function innermost(shape: readonly number[], first: number, end: number): number {
  for (let axis = end - 1; axis >= first; axis--) if (shape[axis] > 1) return axis;
  return -1;
}

/** Smallest power of two that is at least `n`. */
export function powerOfTwoFrom(n: number): number {
  let power = 1;
  while (power < n) power *= 2;
  return power;
}

/** Largest power of two that is at most `n`. */
export function powerOfTwoUpTo(n: number): number {
  let power = 1;
  while (power * 2 <= n) power *= 2;
  return power;
}
