/**
 * From a fused expression to a tape: instructions on registers that hold a block each.
 *
 * @module
 */

import { type Expression, scalarType, type Store } from "../../compile/kernels/kernel.ts";
import { InternalError } from "../../base/errors.ts";
import type { DType } from "../../tensor/tensor.ts";
import { STREAM_FACTOR } from "../../random/threefry.ts";
import { accessFields, type Blocks, isContiguousBlock, MAX_RANK } from "./blocks.ts";
import { CONVERT, opcode, OPERAND, RANDOM, resultType } from "./opcodes.ts";
import type { Encoder } from "./encoder.ts";
import { fuse, type TapeInstr } from "./fuse.ts";
import { type Field, floatBits, padded, type Pointer } from "./words.ts";

/** Limits of tape.rs. */
const MAX_REGISTERS = 224;
const MAX_OPERANDS = 128;

/** Where `result` instructions read. */
export type Result =
  /** The tile that the kernel has just computed. */
  | { readonly kind: "tile" }
  /** Partial results in the workspace, [count][points], to be combined in order. */
  | {
    readonly kind: "partials";
    readonly fn: "sum" | "max";
    readonly start: Pointer;
    readonly count: number;
    readonly stride: number;
  };

/** A tape in memory. */
export interface Tape {
  readonly pointer: Pointer;
  /** Registers of the instructions that were to be kept. */
  readonly kept: readonly number[];
  /** Registers that the kernel may use for itself. */
  readonly extra: readonly number[];
}

/** What else a tape needs. */
export interface TapeOptions {
  readonly stores?: readonly Store[];
  readonly results?: readonly Result[];
  /** Instructions whose values the kernel reads after each block. */
  readonly keep?: readonly number[];
  /** How many further registers to set aside. */
  readonly extra?: number;
}

/** Writes a tape. The expression's shape is that of `blocks`. */
export function encodeTape(
  encoder: Encoder,
  blocks: Blocks,
  body: Expression,
  options: TapeOptions = {},
): Tape {
  return new TapeBuilder(encoder, blocks, body, options).encode();
}

class TapeBuilder {
  readonly #body: readonly TapeInstr[];
  /** Fields of operands and instructions, with registers still by their own numbers. */
  readonly #operands: Field[][] = [];
  readonly #instrs: Field[][] = [];
  /** The register of each instruction. */
  readonly #registers: number[] = [];
  readonly #types: DType[] = [];
  readonly #lastUse: number[];
  readonly #free: number[] = [];
  /** Registers with memory of their own, and those that are memory elsewhere. */
  #owned = 0;
  #aliases = 0;

  constructor(
    private readonly encoder: Encoder,
    private readonly blocks: Blocks,
    private readonly body: Expression,
    private readonly options: TapeOptions,
  ) {
    const { stores = [], keep = [] } = options;
    this.#body = fuse(body, [...stores.map((store) => store.value), ...keep]);
    this.#lastUse = this.#lastUses();
  }

  encode(): Tape {
    this.#body.forEach((_, i) => {
      this.#registers.push(this.#instruction(i));
      this.#release(i);
    });
    const { stores = [], keep = [], extra = 0 } = this.options;
    const spare = Array.from({ length: extra }, () => this.#owned++);
    if (this.#owned + this.#aliases > MAX_REGISTERS || this.#operands.length > MAX_OPERANDS) {
      throw new InternalError(
        `a fused expression needs ${this.#owned + this.#aliases} registers and ` +
          `${this.#operands.length} operands, but there are ${MAX_REGISTERS} and ${MAX_OPERANDS}`,
      );
    }
    const number = (register: number) => register < 0 ? this.#owned - 1 - register : register;
    const { words } = this.encoder;
    const operands = words.add(
      this.#operands.flatMap(([kind, register, ...rest]) => [
        kind,
        number(register as number),
        ...rest,
      ]),
    );
    const instrs = words.add(this.#instrs.flatMap(([fn, to, a, b, c, immediate]) => [
      fn,
      ...[to, a, b, c].map((register) => number(register as number)),
      immediate,
    ]));
    const targets = words.add(stores.flatMap(({ value, target }) => [
      number(this.#registers[value]),
      ...accessFields(this.blocks, this.encoder.address(target), target.strides),
    ]));
    const { axis, shape, inner, steps } = this.blocks;
    const pointer = words.add([
      axis + 1,
      ...padded(shape.slice(0, axis + 1), MAX_RANK),
      inner,
      steps,
      this.#owned,
      this.#operands.length,
      operands,
      this.#instrs.length,
      instrs,
      stores.length,
      targets,
    ]);
    return { pointer, kept: keep.map((i) => number(this.#registers[i])), extra: spare };
  }

  /** The last instruction that needs each value; infinite for what is needed afterwards. */
  #lastUses(): number[] {
    const instrs = this.#body;
    const uses = instrs.map((_, i) => i);
    instrs.forEach((instr, i) => {
      if (instr?.op === "map") { for (const arg of instr.args) uses[arg] = i; }
    });
    const { stores = [], keep = [] } = this.options;
    for (const i of [...stores.map((store) => store.value), ...keep]) uses[i] = Infinity;
    // A value that only passes another one on keeps it alive.
    for (let i = instrs.length - 1; i >= 0; i--) {
      const instr = instrs[i];
      if (instr?.op !== "map") continue;
      if (instr.fn === "toF32" || instr.fn === "toI32") {
        uses[instr.args[0]] = Math.max(uses[instr.args[0]], uses[i]);
      }
    }
    return uses;
  }

  /** Emits what computes instruction `i` and returns its register, NaN where there is none. */
  #instruction(i: number): number {
    const instr = this.#body[i];
    if (instr === null) {
      this.#types.push("f32");
      return NaN;
    }
    switch (instr.op) {
      case "load": {
        const access = this.body.operands[instr.operand];
        this.#types.push(scalarType(access.dtype));
        return this.#load(this.encoder.address(access), access.strides, this.#isCopied(i));
      }
      case "const": {
        this.#types.push(instr.dtype);
        const bits = instr.dtype === "f32" ? floatBits(instr.value) : Math.trunc(instr.value);
        return this.#operand(OPERAND.constant, this.#owned++, bits);
      }
      case "result": {
        this.#types.push("f32");
        const result = this.options.results![instr.index];
        if (result.kind === "tile") return this.#operand(OPERAND.result, this.#alias(), 0);
        const kind = result.fn === "sum" ? OPERAND.partialSum : OPERAND.partialMax;
        const { start, count, stride } = result;
        return this.#operand(kind, this.#owned++, start, undefined, count, stride);
      }
      case "random": {
        this.#types.push("f32");
        const within = this.#operand(OPERAND.indices, this.#owned++, 0, instr.within);
        const sample = this.#operand(OPERAND.indices, this.#owned++, 0, instr.sample);
        const key = this.#operand(
          OPERAND.alias,
          this.#alias(),
          this.encoder.address(this.body.operands[instr.key]),
        );
        const mask = Math.imul(instr.stream, STREAM_FACTOR);
        return this.#emit(RANDOM[instr.distribution], [within, sample, key], mask);
      }
      case "map": {
        const types = instr.args.map((arg) => this.#types[arg]);
        this.#types.push(resultType(instr.fn, types));
        const args = instr.args.map((arg) => this.#registers[arg]);
        if (instr.fn === "where" && types[0] === "i32") args[0] = this.#emit(CONVERT, [args[0]]);
        const fn = opcode(instr.fn, types[0]);
        return fn === null ? args[0] : this.#emit(fn, args);
      }
    }
  }

  /**
   * Whether a load must be a copy: a value that is stored as it is may not be the memory itself
   * where another store could have overwritten it.
   */
  #isCopied(i: number): boolean {
    const { stores = [] } = this.options;
    return stores.length > 1 && this.#lastUse[i] === Infinity;
  }

  #load(address: number, strides: readonly number[], copied: boolean): number {
    return !copied && isContiguousBlock(this.blocks, strides)
      ? this.#operand(OPERAND.alias, this.#alias(), address, strides)
      : this.#operand(OPERAND.gather, this.#owned++, address, strides);
  }

  #operand(
    kind: number,
    register: number,
    base: Field,
    strides: readonly number[] = this.blocks.shape.map(() => 0),
    count = 0,
    stride = 0,
  ): number {
    const access = accessFields(this.blocks, base, strides);
    this.#operands.push([kind, register, ...access, count, stride]);
    return register;
  }

  /** A register that is memory elsewhere: numbered after those that are not, once these are known. */
  #alias(): number {
    return -1 - this.#aliases++;
  }

  #emit(fn: number, args: readonly number[], immediate = 0): number {
    const [a, b = a, c = a] = args;
    const to = this.#free.pop() ?? this.#owned++;
    this.#instrs.push([fn, to, a, b, c, immediate]);
    this.#temporary.add(to);
    return to;
  }

  /** Registers of intermediate values; the others hold their content from block to block. */
  readonly #temporary = new Set<number>();

  /** Gives the registers back that nobody needs after instruction `i`. */
  #release(i: number): void {
    const instr = this.#body[i];
    if (instr === null) return;
    const done = new Set<number>();
    if (instr.op === "map") {
      for (const arg of instr.args) {
        if (this.#lastUse[arg] === i) done.add(this.#registers[arg]);
      }
    }
    if (this.#lastUse[i] === i) done.add(this.#registers[i]);
    for (const register of done) {
      if (this.#temporary.has(register)) this.#free.push(register);
    }
  }
}
