/**
 * From jobs to kernels: builds each job's expressions and operand accesses. Where a view cannot be
 * expressed as strides, the tensor behind it is put into memory by a kernel of its own.
 *
 * @module
 */

import { InternalError } from "../base/errors.ts";
import type { Shape, Tensor } from "../tensor/tensor.ts";
import { type Affine, NeedsStorage, reshapeCoordinates } from "./affine.ts";
import {
  buildExpression,
  type ExpressionBuilder,
  type ExpressionContext,
  isContiguous,
  stridedAccess,
} from "./expression.ts";
import type { Graph } from "./graph.ts";
import { elementwiseJob, type Job } from "./jobs.ts";
import type { Access, Block, Epilogue, LoneDescription } from "./kernels/kernel.ts";
import { type Kernel, KERNELS } from "./kernels/mod.ts";
import type { Locations } from "./locations.ts";
import { formOf, isLone, type LoneOperation } from "./operations.ts";
import type { ConvKernel } from "./kernels/conv.ts";
import type { ElementwiseKernel } from "./kernels/elementwise.ts";
import type { MatmulKernel } from "./kernels/matmul.ts";
import type { MomentsKernel, ReduceKernel } from "./kernels/reduce.ts";
import { blockOf } from "./values.ts";

/** Thrown inside a job whose parts cannot be one kernel after all. */
class Unfusable {}

/** Lowers jobs one by one. */
export class Lowering {
  readonly kernels: Kernel[] = [];
  readonly #context: ExpressionContext;

  constructor(private readonly graph: Graph, private readonly locations: Locations) {
    this.#context = { graph, locate: (tensor) => locations.locate(tensor) };
  }

  /** Appends the kernels of a job. */
  lower(job: Job): void {
    try {
      this.kernels.push(this.#kernel(job));
    } catch (problem) {
      if (problem instanceof Unfusable) return this.#separately(job);
      if (!(problem instanceof NeedsStorage)) throw problem;
      if (this.#isMadeBy(job, problem.tensor)) return this.#separately(job);
      this.locations.store(problem.tensor);
      this.lower(elementwiseJob(problem.tensor, job.position));
      this.lower(job);
    }
  }

  /** Whether the tensor that ought to be in memory is one that this very job makes. */
  #isMadeBy(job: Job, tensor: Tensor): boolean {
    const made = [...job.results, ...job.finals, ...job.writes.map((write) => write.source)];
    for (let base = tensor;;) {
      if (made.includes(base)) return true;
      if (this.locations.isStored(base) || base.node.inputs.length !== 1) return false;
      base = this.graph.resolve(base.node.inputs[0]);
    }
  }

  /** The job in its smallest parts: bare results, then each element-wise value by itself. */
  #separately(job: Job): void {
    const single = job.writes.length + job.results.length === 1 &&
      job.finals.every((final) => job.results.includes(final));
    if (single) throw new InternalError(`a ${job.kind} job cannot be lowered`);
    for (const result of job.results) {
      if (!this.locations.isStored(result)) this.locations.store(result);
      this.lower({ ...job, writes: [], results: [result], finals: [result] });
    }
    for (const final of job.finals) {
      if (!job.results.includes(final)) this.lower(elementwiseJob(final, job.position));
    }
    for (const write of job.writes) this.lower({ ...job, writes: [write] });
  }

  #kernel(job: Job): Kernel {
    switch (job.kind) {
      case "elementwise":
        return this.#elementwise(job);
      case "reduce":
        return this.#reduce(job);
      case "contraction":
        return job.results[0].node.op.kind === "matmul" ? this.#matmul(job) : this.#conv(job);
      case "other":
        return formOf(job.results[0].node) === "moments"
          ? this.#moments(job.results)
          : this.#lone(job.results);
    }
  }

  #elementwise(job: Job): ElementwiseKernel {
    const { builder } = buildExpression(this.#context, job.space, [], (b, coordinates) => {
      for (const { source, location } of job.writes) {
        if (!source) b.store(b.constant(0), location!, coordinates);
        else if (location) b.store(b.value(source, coordinates), location, coordinates);
        else {
          const target = this.locations.locate(source)!;
          b.store(b.compute(source, coordinates), target, coordinates);
        }
      }
    });
    const { body, stores } = builder.finish()!;
    const label = job.writes.map(({ source }) => source ? describe(source) : "zeros").join("+");
    return { kind: "elementwise", body, stores, label };
  }

  #reduce(job: Job): ReduceKernel {
    const ops = job.results.map((result) => {
      const { op } = result.node;
      if (op.kind !== "reduce") throw new InternalError("a reduce job without a reduction");
      return op;
    });
    const space = reductionSpace(job.space, ops[0].axes);
    const { builder, result: values, parts } = buildExpression(
      this.#context,
      space.axes,
      [],
      (b, coordinates) =>
        job.results.map((result) => b.value(result.node.inputs[0], space.toInput(coordinates))),
    );
    const { body, boundary } = builder.finish(leading(parts, space.kept))!;
    return {
      kind: "reduce",
      body,
      keptRank: boundary,
      reductions: values.map((value, i) => ({ fn: ops[i].fn, value })),
      epilogue: this.#epilogue(job, job.results[0].shape, null),
      label: describeFused(job),
    };
  }

  #matmul(job: Job): MatmulKernel {
    const [result] = job.results;
    const { op } = result.node;
    if (op.kind !== "matmul") throw new InternalError("a matmul job without a matmul");
    const [a, b] = this.graph.inputs(result.node);
    const batchShape = result.shape.slice(0, -2);
    const batch = batchShape.reduce((product, n) => product * n, 1);
    const [m, n] = result.shape.slice(-2);
    const k = a.shape.at(op.transA ? -2 : -1)!;
    const epilogue = this.#epilogue(job, result.shape, result.shape.length - 1);
    return {
      kind: "matmul",
      batch,
      m,
      n,
      k,
      a: this.#matrix(a, op.transA, batchShape),
      b: this.#matrix(b, op.transB, batchShape),
      epilogue,
      label: describeFused(job),
    };
  }

  /** A matrix operand with its batch axes as one. */
  #matrix(tensor: Tensor, transposed: boolean, batchShape: Shape): Access {
    const access = stridedAccess(this.#context, tensor);
    const strides = access.strides.slice(-2);
    if (transposed) strides.reverse();
    const lead = access.strides.slice(0, -2);
    let batch = 0;
    if (lead.length > 0) {
      const merged = lead.every((stride, i) =>
        i + 1 === lead.length || stride === lead[i + 1] * batchShape[i + 1]
      );
      if (!merged) throw new NeedsStorage(tensor);
      batch = lead.at(-1)!;
    }
    return { ...access, strides: [batch, ...strides] };
  }

  #conv(job: Job): ConvKernel {
    const [result] = job.results;
    const { op } = result.node;
    if (!("geometry" in op)) throw new InternalError(`${op.kind} is not a convolution`);
    const [first, second] = this.graph.inputs(result.node);
    const [image, output] = {
      conv2d: [first, result],
      conv2dGradInput: [result, first],
      conv2dGradWeight: [first, second],
    }[op.kind];
    return {
      kind: op.kind,
      geometry: op.geometry,
      inputShape: image.shape,
      outputShape: output.shape,
      operands: [this.#contiguous(first), this.#contiguous(second)],
      epilogue: this.#epilogue(job, result.shape, result.shape.length - 1),
      label: describeFused(job),
    };
  }

  #moments(outputs: readonly Tensor[]): MomentsKernel {
    const { node } = outputs[0];
    if (node.op.kind !== "moments") throw new InternalError("not a moments node");
    const [input] = this.graph.inputs(node);
    const space = reductionSpace(input.shape, node.op.axes);
    const { builder, result: value, parts } = buildExpression(
      this.#context,
      space.axes,
      [],
      (b, coordinates) => b.value(input, space.toInput(coordinates)),
    );
    const { body, boundary } = builder.finish(leading(parts, space.kept))!;
    const [mean, rstd] = outputs.map((output) => blockOf(this.locations.locate(output)!));
    const label = `moments [${input.shape}]`;
    return {
      kind: "moments",
      body,
      keptRank: boundary,
      value,
      eps: node.op.eps,
      mean,
      rstd,
      label,
    };
  }

  #lone(outputs: readonly Tensor[]): Kernel {
    const { node } = outputs[0];
    if (!isLone(node.op)) throw new InternalError(`no kernel for ${node.op.kind}`);
    const row: LoneDescription<LoneOperation, Kernel> = KERNELS[node.op.kind];
    return row.lower({
      op: node.op,
      inputs: this.graph.inputs(node),
      outputs,
      targets: outputs.map((output) => blockOf(this.locations.locate(output)!)),
      label: describe(outputs[0]),
      strided: (input) => stridedAccess(this.#context, input),
      contiguous: (input) => this.#contiguous(input),
      scratch: (length, label) => ({
        buffer: this.locations.values.add(length, "f32", label),
        offset: 0,
        dtype: "f32",
      }),
      isUsed: (output) => this.graph.consumers(output).length > 0,
    });
  }

  #contiguous(tensor: Tensor): Block {
    const { buffer, offset, strides, dtype } = stridedAccess(this.#context, tensor);
    if (!isContiguous({ value: buffer, offset, strides, dtype }, tensor.shape)) {
      throw new NeedsStorage(tensor);
    }
    return { buffer, offset, dtype };
  }

  /**
   * What the kernel does with its results before writing them. `columnsFrom` is the axis from
   * which on the result's axes must stay one column axis; null for no such wish.
   */
  #epilogue(job: Job, shape: Shape, columnsFrom: number | null): Epilogue {
    const { builder, parts } = buildExpression(
      this.#context,
      shape,
      job.results,
      (b, coordinates) => {
        job.finals.forEach((final) => this.#finish(b, job, final, shape, coordinates));
      },
    );
    const finished = columnsFrom === null
      ? builder.finish()
      : builder.finish(leading(parts, columnsFrom), true);
    if (!finished) throw new Unfusable();
    return { body: finished.body, stores: finished.stores };
  }

  #finish(
    builder: ExpressionBuilder,
    job: Job,
    final: Tensor,
    shape: Shape,
    coordinates: readonly Affine[],
  ): void {
    const own = final.shape.length === shape.length && final.shape.every((n, i) => n === shape[i])
      ? coordinates
      : reshapeCoordinates(final, shape, coordinates, builder.axes);
    const value = job.results.includes(final)
      ? builder.value(final, own)
      : builder.compute(final, own);
    builder.store(value, this.locations.locate(final)!, own);
  }
}

/** The index space of a reduction over `axes`: kept axes first. */
function reductionSpace(shape: Shape, axes: readonly number[]): {
  axes: number[];
  kept: number;
  toInput(coordinates: readonly Affine[]): Affine[];
} {
  const all = shape.map((_, axis) => axis);
  const order = [
    ...all.filter((axis) => !axes.includes(axis)),
    ...all.filter((axis) => axes.includes(axis)),
  ];
  return {
    axes: order.map((axis) => shape[axis]),
    kept: shape.length - axes.length,
    toInput: (coordinates) => all.map((axis) => coordinates[order.indexOf(axis)]),
  };
}

/** Number of kernel axes that the first `count` original axes were split into. */
function leading(parts: readonly number[], count: number): number {
  return parts.slice(0, count).reduce((sum, n) => sum + n, 0);
}

function describe(tensor: Tensor): string {
  const { op } = tensor.node;
  const name = op.kind === "map" ? op.fn : op.kind;
  return `${name} [${tensor.shape}]`;
}

function describeFused(job: Job): string {
  const results = job.results.map(describe).join("+");
  const followed = job.finals.filter((final) => !job.results.includes(final));
  return [results, ...followed.map(describe)].join("…");
}
