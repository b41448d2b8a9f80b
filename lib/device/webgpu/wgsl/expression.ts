/**
 * Fused expressions in WGSL: the body of every kernel and the epilogue of the contractions.
 *
 * @module
 */

import { InternalError } from "../../../base/errors.ts";
import {
  type Access,
  type Expression,
  type Instr,
  scalarType,
  type Store,
} from "../../../compile/kernels/kernel.ts";
import type { Shape } from "../../../tensor/tensor.ts";
import { applyMap, Helpers, literal, splat, type Value } from "./functions.ts";
import { type Memory, plus, type View } from "./memory.ts";
import { normalFunction, threefryFunction, UNIFORM_FUNCTION } from "./random.ts";

/** A run of consecutive axes whose row-major position is held by one WGSL variable. */
export interface IndexPart {
  readonly variable: string;
  readonly first: number;
  readonly count: number;
}

/** Declarations that the expressions of a shader need, each once. */
export class Library {
  readonly helpers: Helpers = new Helpers();
  readonly #random = new Map<string, string>();

  /** Name of the function that turns two random words into a number. */
  random(distribution: "uniform" | "normal"): string {
    this.#random.set("threefry", threefryFunction());
    if (distribution === "uniform") {
      this.#random.set("uniform", UNIFORM_FUNCTION);
      return "randomUniform";
    }
    const log = this.helpers.use("imm_log", 1);
    const quadrant = this.helpers.use("imm_quadrant", 1);
    this.#random.set("normal", normalFunction(log, quadrant));
    return "randomNormal";
  }

  get declarations(): string {
    return this.helpers.declarations + [...this.#random.values()].join("");
  }
}

/** An expression whose operands and stores are registered with a shader's memory. */
export class BoundExpression {
  readonly #loads: readonly View[];
  readonly #stores: readonly View[];
  readonly #streams = new Map<number, string>();

  /**
   * `vectorAxis`: the axis along which every value has four lanes, or null for scalars. The
   * position along it must be a multiple of four.
   */
  constructor(
    memory: Memory,
    readonly body: Expression,
    readonly stores: readonly Store[],
    readonly vectorAxis: number | null,
    readonly library: Library,
  ) {
    const key = new Set(body.instrs.flatMap((i) => i.op === "random" ? [i.key] : []));
    this.#loads = body.operands.map((access, i) => {
      const length = key.has(i) ? 3 : extent(body.shape, access);
      return memory.view(access, length, { vector: this.#isVector(access) });
    });
    this.#stores = stores.map(({ target }) =>
      memory.view(target, extent(body.shape, target), {
        vector: this.#isVector(target),
        write: true,
      })
    );
    body.instrs.forEach((instr, i) => {
      if (instr.op === "random") {
        this.#streams.set(i, memory.param(Math.imul(instr.stream, 0x9e3779b9)));
      }
    });
  }

  get width(): 1 | 4 {
    return this.vectorAxis === null ? 1 : 4;
  }

  /**
   * Statements that compute the instructions that `wanted` needs (all stores by default), and the
   * name of each wanted value. `results` are names for `result` instructions; `prefix` keeps the
   * names of several expressions apart.
   */
  compute(
    parts: readonly IndexPart[],
    results: readonly string[],
    prefix: string,
    wanted: readonly number[] = this.stores.map((s) => s.value),
  ): { code: string; values: string[] } {
    const index = new IndexWriter(this.body.shape, parts, prefix);
    const needed = reachable(this.body.instrs, wanted);
    const lines: string[] = [];
    const values: Value[] = [];
    this.body.instrs.forEach((instr, i) => {
      if (!needed.has(i)) {
        values.push({ text: "unused", dtype: "f32" });
        return;
      }
      const value = this.#instruction(instr, i, values, results, index);
      lines.push(...index.take(), `let ${prefix}${i} = ${value.text};`);
      values.push({ text: `${prefix}${i}`, dtype: value.dtype });
    });
    return { code: lines.join("\n"), values: wanted.map((n) => values[n].text) };
  }

  /** Everything: computes the stored values and stores them. */
  computeAndStore(
    parts: readonly IndexPart[],
    results: readonly string[],
    prefix: string,
  ): string {
    const { code, values } = this.compute(parts, results, prefix);
    const index = new IndexWriter(this.body.shape, parts, `${prefix}s`);
    const lines = this.stores.map(({ target }, i) => {
      const at = index.address(target.strides);
      const view = this.#stores[i];
      if (this.vectorAxis === null) return view.store(at, values[i]);
      const stride = target.strides[this.vectorAxis];
      if (stride === 1) return view.store4(at, values[i]);
      return ["x", "y", "z", "w"].map((lane, j) =>
        view.store(plus(at, stride * j), `${values[i]}.${lane}`)
      ).join(" ");
    });
    return [code, ...index.take(), ...lines].join("\n");
  }

  #isVector(access: Access): boolean {
    const axis = this.vectorAxis;
    return axis !== null && isVectorAccess(access, axis);
  }

  #instruction(
    instr: Instr,
    number: number,
    values: readonly Value[],
    results: readonly string[],
    index: IndexWriter,
  ): Value {
    const width = this.width;
    switch (instr.op) {
      case "load":
        return this.#load(instr.operand, index);
      case "const":
        return {
          text: splat(literal(instr.value, instr.dtype), instr.dtype, width),
          dtype: instr.dtype,
        };
      case "result":
        return { text: results[instr.index], dtype: "f32" };
      case "map":
        return applyMap(instr.fn, instr.args.map((n) => values[n]), width, this.library.helpers);
      case "random": {
        const key = this.#loads[instr.key];
        const word = (at: number) => `bitcast<u32>(${key.load(`${at}u`)})`;
        const make = this.library.random(instr.distribution);
        const within = index.address(instr.within);
        const sample = index.address(instr.sample);
        const lane = (j: number) => {
          const w = this.vectorAxis === null ? 0 : instr.within[this.vectorAxis] * j;
          const s = this.vectorAxis === null ? 0 : instr.sample[this.vectorAxis] * j;
          return `${make}(threefry(${word(0)}, ${word(1)} ^ ${this.#streams.get(number)}, ` +
            `vec2<u32>(${plus(within, w)}, ${plus(sample, s)} + ${word(2)})))`;
        };
        const text = width === 1 ? lane(0) : `vec4<f32>(${[0, 1, 2, 3].map(lane).join(", ")})`;
        return { text, dtype: "f32" };
      }
      default:
        throw new InternalError(
          `an expression has the unknown instruction ${instr satisfies never}`,
        );
    }
  }

  #load(operand: number, index: IndexWriter): Value {
    const access = this.body.operands[operand];
    const view = this.#loads[operand];
    const dtype = scalarType(access.dtype);
    const at = index.address(access.strides);
    if (this.vectorAxis === null) return { text: view.load(at), dtype };
    const stride = access.strides[this.vectorAxis];
    if (stride === 0) return { text: splat(view.load(at), dtype, 4), dtype };
    if (stride === 1) return { text: view.load4(at), dtype };
    const lanes = [0, 1, 2, 3].map((j) => view.load(plus(at, stride * j)));
    return { text: `vec4<${dtype}>(${lanes.join(", ")})`, dtype };
  }
}

/** Elements from the offset of an access to behind its last one. */
export function extent(shape: Shape, access: Access): number {
  if (access.strides.length !== shape.length) {
    throw new InternalError(`an access over [${shape}] has the strides [${access.strides}]`);
  }
  let last = 0;
  shape.forEach((n, axis) => {
    const stride = access.strides[axis];
    if (stride < 0) throw new InternalError(`an access has the negative stride ${stride}`);
    last += (n - 1) * stride;
  });
  return last + 1;
}

/** Whether an access reads or writes aligned groups of four along `axis`. */
export function isVectorAccess(access: Access, axis: number): boolean {
  return access.strides[axis] === 1 && access.offset % 4 === 0 &&
    access.strides.every((stride, i) => i === axis || stride % 4 === 0);
}

/**
 * Whether an expression is better computed four elements at a time along `axis`: its size allows
 * it and most accesses are aligned.
 */
export function prefersVectors(body: Expression, stores: readonly Store[], axis: number): boolean {
  if (axis < 0 || body.shape[axis] % 4 !== 0) return false;
  const accesses = [...body.operands, ...stores.map((s) => s.target)];
  const moving = accesses.filter((a) => a.strides[axis] !== 0);
  const aligned = moving.filter((a) => isVectorAccess(a, axis));
  return aligned.length * 2 >= moving.length;
}

/** Writes addresses as WGSL; coordinates are computed when an address first needs them. */
class IndexWriter {
  readonly #coordinates = new Map<number, string>();
  #pending: string[] = [];

  constructor(
    readonly shape: Shape,
    readonly parts: readonly IndexPart[],
    readonly prefix: string,
  ) {}

  /** The statements written since the last call. */
  take(): string[] {
    const lines = this.#pending;
    this.#pending = [];
    return lines;
  }

  /** Sum of coordinates times strides. */
  address(strides: readonly number[]): string {
    const terms = this.parts.flatMap((part) => this.#partAddress(part, strides));
    return terms.length === 0 ? "0u" : terms.join(" + ");
  }

  #partAddress(part: IndexPart, strides: readonly number[]): string[] {
    const axes: number[] = [];
    for (let axis = part.first; axis < part.first + part.count; axis++) {
      if (this.shape[axis] > 1) axes.push(axis);
    }
    if (axes.every((axis) => strides[axis] === 0)) return [];
    const inner = strides[axes[axes.length - 1]];
    let expected = inner;
    let merged = inner !== 0;
    for (const axis of axes.toReversed()) {
      merged &&= strides[axis] === expected;
      expected *= this.shape[axis];
    }
    if (merged) return [times(part.variable, inner)];
    return axes.filter((axis) => strides[axis] !== 0)
      .map((axis) => times(this.#coordinate(part, axis), strides[axis]));
  }

  #coordinate(part: IndexPart, axis: number): string {
    const known = this.#coordinates.get(axis);
    if (known) return known;
    let inner = 1;
    for (let i = axis + 1; i < part.first + part.count; i++) inner *= this.shape[i];
    let outer = 1;
    for (let i = part.first; i < axis; i++) outer *= this.shape[i];
    const quotient = inner === 1 ? part.variable : `${part.variable} / ${inner}u`;
    const text = outer === 1 ? quotient : `(${quotient}) % ${this.shape[axis]}u`;
    const name = `${this.prefix}i${axis}`;
    this.#pending.push(`let ${name} = ${text};`);
    this.#coordinates.set(axis, name);
    return name;
  }
}

/** `text * factor` without a needless factor. */
export function times(text: string, factor: number): string {
  return factor === 1 ? text : `${text} * ${factor}u`;
}

function reachable(instrs: readonly Instr[], wanted: readonly number[]): Set<number> {
  const found = new Set<number>();
  const visit = (n: number): void => {
    if (found.has(n)) return;
    found.add(n);
    const instr = instrs[n];
    if (instr.op === "map") instr.args.forEach(visit);
  };
  wanted.forEach(visit);
  return found;
}
