/**
 * Building the fused expression of a kernel: starting from the values that the kernel must produce,
 * walk up through views and element-wise operations until everything is in memory.
 *
 * @module
 */

import { contiguousStrides, type Shape } from "../base/arrays.ts";
import { InternalError } from "../base/errors.ts";
import type { Tensor } from "../tensor/tensor.ts";
import {
  type Affine,
  broadcastCoordinates,
  combine,
  NeedsStorage,
  reshapeCoordinates,
  SplitAxis,
  viewCoordinates,
  zero,
} from "./affine.ts";
import type { Graph } from "./graph.ts";
import { isElementwise, isView } from "./operations.ts";
import type { Access, Expression, Instr, Store } from "./kernels/kernel.ts";
import type { Location } from "./values.ts";

/** What the builder must know about the program. */
export interface ExpressionContext {
  readonly graph: Graph;
  /** Where the (canonical) tensor lies, or null when it must be computed in place. */
  locate(tensor: Tensor): Location | null;
}

/** A store before the axes are merged. */
interface PendingStore {
  readonly value: number;
  readonly location: Location;
  readonly coordinates: readonly Affine[];
}

/** Collects the instructions of one kernel over a fixed index space. */
export class ExpressionBuilder {
  readonly rank: number;
  readonly #operands: Access[] = [];
  readonly #instrs: Instr[] = [];
  readonly #stores: PendingStore[] = [];
  readonly #memo = new Map<string, number>();
  readonly #results = new Map<Tensor, number>();
  readonly #roots = new Set<Tensor>();

  constructor(
    private readonly context: ExpressionContext,
    /** Sizes of the kernel's axes. */
    readonly axes: Shape,
    /** Results of the kernel's contraction or reduction, read by `result` instructions. */
    results: readonly Tensor[] = [],
  ) {
    this.rank = axes.length;
    results.forEach((tensor, index) => this.#results.set(tensor, index));
  }

  /** The instruction that computes `tensor` itself, even where it has a location. */
  compute(tensor: Tensor, coordinates: readonly Affine[]): number {
    this.#roots.add(tensor);
    return this.value(tensor, coordinates);
  }

  /** The instruction that gives the tensor's element at the coordinates. */
  value(unresolved: Tensor, coordinates: readonly Affine[]): number {
    const tensor = this.context.graph.resolve(unresolved);
    const key = `${tensor.node.id}.${tensor.index}:${JSON.stringify(coordinates)}`;
    const known = this.#memo.get(key);
    if (known !== undefined) return known;
    const instr = this.#evaluate(tensor, coordinates);
    this.#memo.set(key, instr);
    return instr;
  }

  /** The instruction that gives a number. */
  constant(value: number): number {
    return this.#emit({ op: "const", value, dtype: "f32" });
  }

  /** Writes instruction `value` to a location. */
  store(value: number, location: Location, coordinates: readonly Affine[]): void {
    this.#stores.push({ value, location, coordinates });
  }

  /**
   * The finished expression. Neighbouring axes are merged where every access allows it, but not
   * across `boundary` (the number of leading axes to keep apart); with `fixedColumns` the axes
   * from the boundary on must become exactly one.
   *
   * @returns the expression, its stores and the number of axes before the boundary; null when
   * `fixedColumns` cannot be met
   */
  finish(
    boundary?: number,
    fixedColumns = false,
  ): { body: Expression; stores: Store[]; boundary: number } | null {
    const stores = this.#stores.map(({ value, location, coordinates }): Store => ({
      value,
      target: this.#access(location, coordinates),
    }));
    const lists: (readonly number[])[] = [
      ...this.#operands.map((operand) => operand.strides),
      ...stores.map((store) => store.target.strides),
      ...this.#instrs.flatMap((instr) => instr.op === "random" ? [instr.within, instr.sample] : []),
    ];
    const groups = mergeAxes(this.axes, lists, boundary ?? this.rank, fixedColumns);
    if (!groups) return null;
    const pick = (strides: readonly number[]) =>
      groups.kept.map((group) => group.innermost === null ? 0 : strides[group.innermost]);
    const access = (a: Access): Access => ({ ...a, strides: pick(a.strides) });
    return {
      body: {
        shape: groups.kept.map((group) => group.size),
        operands: this.#operands.map(access),
        instrs: this.#instrs.map((instr) =>
          instr.op === "random"
            ? { ...instr, within: pick(instr.within), sample: pick(instr.sample) }
            : instr
        ),
      },
      stores: stores.map((store) => ({ value: store.value, target: access(store.target) })),
      boundary: groups.boundary,
    };
  }

  #evaluate(tensor: Tensor, coordinates: readonly Affine[]): number {
    const result = this.#results.get(tensor);
    if (result !== undefined) {
      this.#expectIdentity(tensor, coordinates);
      return this.#emit({ op: "result", index: result });
    }
    const location = this.#roots.has(tensor) ? null : this.context.locate(tensor);
    if (location) return this.#load(location, coordinates);
    if (isView(tensor)) return this.#view(tensor, coordinates);
    if (!isElementwise(tensor)) {
      throw new InternalError(`${tensor.node.op.kind} ${tensor} has no place in memory`);
    }
    return this.#elementwise(tensor, coordinates);
  }

  #view(tensor: Tensor, coordinates: readonly Affine[]): number {
    const { node } = tensor;
    const input = reshaped(this.context, tensor);
    if (node.op.kind !== "reshape") {
      const inner = viewCoordinates(node, tensor.index, coordinates, this.rank);
      return this.value(input, inner);
    }
    // What this kernel itself makes cannot be loaded, even where it has a place in memory.
    const own = this.#roots.has(input) || this.#results.has(input);
    const location = own ? null : this.context.locate(input);
    if (location && isContiguous(location, input.shape)) {
      // The position in memory is all that matters; it need not be taken apart.
      const strides = contiguousStrides(tensor.shape);
      return this.#load({ ...location, strides }, coordinates);
    }
    return this.value(input, reshapeCoordinates(input, tensor.shape, coordinates, this.axes));
  }

  #elementwise(tensor: Tensor, coordinates: readonly Affine[]): number {
    const { op, inputs } = tensor.node;
    switch (op.kind) {
      case "constant":
        return this.#emit({ op: "const", value: op.value, dtype: tensor.dtype });
      case "map": {
        const args = inputs.map((input) =>
          this.value(input, broadcastCoordinates(coordinates, input.shape, this.rank))
        );
        return this.#emit({ op: "map", fn: op.fn, args });
      }
      case "random": {
        const [first, ...others] = coordinates;
        const factors = contiguousStrides(tensor.shape.slice(1));
        const within = combine(others, factors, this.rank);
        if (within.offset !== 0 || first.offset !== 0) throw new NeedsStorage(tensor);
        const key = this.context.graph.resolve(inputs[0]);
        const location = this.context.locate(key);
        if (!location) throw new NeedsStorage(key);
        return this.#emit({
          op: "random",
          distribution: op.distribution,
          stream: op.stream,
          key: this.#operand(this.#access(location, [zero(this.rank)])),
          within: within.strides,
          sample: first.strides,
        });
      }
      default:
        throw new InternalError(`${op.kind} is not element-wise`);
    }
  }

  #load(location: Location, coordinates: readonly Affine[]): number {
    const operand = this.#operand(this.#access(location, coordinates));
    return this.#emit({ op: "load", operand });
  }

  #access(location: Location, coordinates: readonly Affine[]): Access {
    const { offset, strides } = combine(coordinates, location.strides, this.rank);
    return {
      buffer: location.value,
      offset: location.offset + offset,
      strides,
      dtype: location.dtype,
    };
  }

  #operand(access: Access): number {
    const same = JSON.stringify(access);
    const known = this.#operands.findIndex((operand) => JSON.stringify(operand) === same);
    return known >= 0 ? known : this.#operands.push(access) - 1;
  }

  #emit(instr: Instr): number {
    const same = JSON.stringify(instr);
    const known = this.#memo.get(same);
    if (known !== undefined) return known;
    const number = this.#instrs.push(instr) - 1;
    this.#memo.set(same, number);
    return number;
  }

  /** Results are read at the current point only: in row-major order of the kernel's axes. */
  #expectIdentity(tensor: Tensor, coordinates: readonly Affine[]): void {
    const position = combine(coordinates, contiguousStrides(tensor.shape), this.rank);
    const expected = contiguousStrides(this.axes);
    const same = position.offset === 0 &&
      position.strides.every((stride, k) => this.axes[k] === 1 || stride === expected[k]);
    if (!same) throw new NeedsStorage(tensor);
  }
}

/**
 * Runs `fill` with a builder over the given axes, splitting axes where a view asks for it.
 * `fill` gets the coordinates that belong to the original axes.
 */
export function buildExpression<T>(
  context: ExpressionContext,
  axes: Shape,
  results: readonly Tensor[],
  fill: (builder: ExpressionBuilder, coordinates: Affine[]) => T,
): { builder: ExpressionBuilder; result: T; parts: readonly number[] } {
  const split: number[][] = axes.map((size) => [size]);
  while (true) {
    const builder = new ExpressionBuilder(context, split.flat(), results);
    let first = 0;
    const coordinates = split.map((sizes): Affine => {
      const strides = new Array<number>(builder.rank).fill(0);
      contiguousStrides(sizes).forEach((stride, i) => strides[first + i] = stride);
      first += sizes.length;
      return { offset: 0, strides };
    });
    try {
      const result = fill(builder, coordinates);
      return { builder, result, parts: split.map((sizes) => sizes.length) };
    } catch (request) {
      if (!(request instanceof SplitAxis)) throw request;
      let axis = request.axis;
      const owner = split.find((sizes) => {
        if (axis < sizes.length) return true;
        axis -= sizes.length;
        return false;
      })!;
      owner.splice(axis, 1, owner[axis] / request.inner, request.inner);
    }
  }
}

/** What a view looks at: reshapes of reshapes count as one. */
function reshaped(context: ExpressionContext, view: Tensor): Tensor {
  let input = context.graph.resolve(view.node.inputs[0]);
  if (view.node.op.kind !== "reshape") return input;
  while (input.node.op.kind === "reshape" && !context.locate(input)) {
    input = context.graph.resolve(input.node.inputs[0]);
  }
  return input;
}

/** Whether the location is the tensor's row-major layout. */
export function isContiguous(location: Location, shape: Shape): boolean {
  const expected = contiguousStrides(shape);
  return location.strides.every((stride, i) => shape[i] === 1 || stride === expected[i]);
}

interface MergedAxis {
  readonly size: number;
  /** The original axis whose stride the merged axis has; null for an axis of size 1. */
  readonly innermost: number | null;
}

/** Merges neighbouring axes on each side of the boundary. */
function mergeAxes(
  axes: Shape,
  lists: readonly (readonly number[])[],
  boundary: number,
  fixedColumns: boolean,
): { kept: MergedAxis[]; boundary: number } | null {
  const side = (from: number, to: number): MergedAxis[] => {
    const merged: MergedAxis[] = [];
    for (let axis = from; axis < to; axis++) {
      if (axes[axis] === 1) continue;
      const last = merged.at(-1);
      const mergeable = last &&
        lists.every((strides) => strides[last.innermost!] === strides[axis] * axes[axis]);
      const size = mergeable ? last.size * axes[axis] : axes[axis];
      if (mergeable) merged.pop();
      merged.push({ size, innermost: axis });
    }
    return merged;
  };
  const rows = side(0, boundary);
  const columns = side(boundary, axes.length);
  const unit: MergedAxis = { size: 1, innermost: null };
  if (fixedColumns) {
    if (columns.length > 1) return null;
    if (columns.length === 0) columns.push(unit);
  }
  if (rows.length + columns.length === 0) rows.push(unit);
  return { kept: [...rows, ...columns], boundary: rows.length };
}

/**
 * How an operand that a kernel reads directly lies in memory, seen through its views.
 *
 * @throws {NeedsStorage} when no single stride per axis describes it
 */
export function stridedAccess(context: ExpressionContext, operand: Tensor): Access {
  const rank = operand.shape.length;
  let tensor = context.graph.resolve(operand);
  let coordinates = operand.shape.map((_, axis): Affine => ({
    offset: 0,
    strides: operand.shape.map((_, k) => k === axis ? 1 : 0),
  }));
  const finish = (location: Location, strides: readonly number[]): Access => {
    const position = combine(coordinates, strides, rank);
    return {
      buffer: location.value,
      offset: location.offset + position.offset,
      strides: position.strides,
      dtype: location.dtype,
    };
  };
  while (true) {
    const location = context.locate(tensor);
    if (location) return finish(location, location.strides);
    if (!isView(tensor)) throw new NeedsStorage(tensor);
    const { node } = tensor;
    const input = reshaped(context, tensor);
    if (node.op.kind === "reshape") {
      const inner = context.locate(input);
      if (inner && isContiguous(inner, input.shape)) {
        return finish(inner, contiguousStrides(tensor.shape));
      }
      try {
        coordinates = reshapeCoordinates(input, tensor.shape, coordinates, operand.shape);
      } catch (request) {
        if (request instanceof SplitAxis) throw new NeedsStorage(operand);
        throw request;
      }
    } else coordinates = viewCoordinates(node, tensor.index, coordinates, rank);
    tensor = input;
  }
}
