/** Random programs on tensors: what no one would think of combining. */

import type { Program } from "../../../lib/compile/program.ts";
import * as t from "../../../lib/tensor/mod.ts";

/** A small generator of 32-bit numbers (Marsaglia's xorshift), so that a failure repeats. */
class Dice {
  #state: number;

  constructor(seed: number) {
    this.#state = Math.imul(seed, 0x9E3779B9) | 1;
  }

  /** An integer from 0 to limit - 1. */
  below(limit: number): number {
    this.#state ^= this.#state << 13;
    this.#state ^= this.#state >>> 17;
    this.#state ^= this.#state << 5;
    return (this.#state >>> 0) % limit;
  }

  pick<T>(list: readonly T[]): T {
    return list[this.below(list.length)];
  }
}

/** Sizes around those of vectors, panels and blocks. */
const SIZES = [1, 2, 3, 4, 5, 7, 8, 12, 13, 16, 17, 24, 33];
/** Values with more elements are not made larger: the interpreter is slow. */
const MOST_ELEMENTS = 6000;
const STEPS = 12;

type Step = (dice: Dice, x: t.Tensor, values: readonly t.Tensor[]) => t.Tensor | null;

const STEP_KINDS: readonly Step[] = [
  // Functions whose results stay of the order of one.
  (dice, x) => dice.pick([t.tanh, t.sigmoid, t.sin, t.cos, t.neg, t.silu])(x),
  (_, x) => t.add(t.square(t.tanh(x)), 0.5),
  (_, x) => t.rsqrt(t.add(t.abs(x), 1)),
  (_, x) => t.log(t.add(t.abs(x), 1.5)),
  (dice, x) => t.mul(x, t.exp(t.minimum(t.neg(t.abs(x)), -dice.below(3)))),
  // Two values, broadcast where shapes allow it.
  (dice, x, values) => {
    const fitting = values.filter((y) =>
      y.shape.length <= x.shape.length &&
      y.shape.every((n, i) => n === 1 || n === x.shape[x.shape.length - y.shape.length + i])
    );
    return dice.pick([t.add, t.sub, t.mul, t.minimum, t.maximum])(x, dice.pick(fitting));
  },
  // Views.
  (dice, x) => {
    const axes = x.shape.map((_, axis) => axis);
    for (let i = axes.length - 1; i > 0; i--) {
      const j = dice.below(i + 1);
      [axes[i], axes[j]] = [axes[j], axes[i]];
    }
    return t.permute(x, axes);
  },
  (dice, x) => {
    const axis = dice.below(x.shape.length);
    if (x.shape[axis] < 3) return null;
    return t.narrow(x, axis, dice.below(2), x.shape[axis] - 1 - dice.below(2));
  },
  (dice, x) => {
    const axis = dice.below(x.shape.length);
    const size = x.shape[axis];
    const factor = [2, 3, 4].find((f) => size % f === 0 && size > f);
    if (!factor || x.shape.length > 4) return null;
    return t.reshape(x, x.shape.toSpliced(axis, 1, factor, size / factor));
  },
  (_, x) => {
    if (x.shape.length < 2) return null;
    return t.reshape(x, [x.shape[0] * x.shape[1], ...x.shape.slice(2)]);
  },
  (dice, x) => {
    const axis = dice.below(x.shape.length);
    return x.size * 2 > MOST_ELEMENTS ? null : t.concat([x, t.mul(x, 0.5)], axis);
  },
  (dice, x) => {
    const shape = x.shape.map((n) => n + dice.below(3));
    if (t.sizeOf(shape) > MOST_ELEMENTS) return null;
    return t.pad(x, x.shape.map((n, i) => dice.below(shape[i] - n + 1)), shape);
  },
  // Reductions.
  (dice, x) => {
    const axis = dice.below(x.shape.length);
    return dice.pick([t.mean, t.max])(x, axis, dice.below(2) === 0);
  },
  (dice, x) => {
    if (x.shape.length < 2) return null;
    const first = dice.below(x.shape.length - 1);
    return t.mean(x, [first, first + 1], true);
  },
  (_, x) => x.shape.at(-1)! < 2 ? null : t.layerNorm(x, 1e-2),
  (_, x) => t.softmax(x),
  // Products, scaled to the order of one.
  (dice, x) => {
    const k = x.shape.at(-1)!;
    const w = t.mul(t.input(`w${dice.below(1e9)}`, [dice.pick(SIZES), k]), 1 / Math.sqrt(k));
    return x.size / k * w.shape[0] > MOST_ELEMENTS ? null : t.linear(x, w);
  },
  (_, x) => {
    if (x.shape.length < 2 || x.shape.length > 3) return null;
    const [m, k] = x.shape.slice(-2);
    if (x.size / k * m > MOST_ELEMENTS) return null;
    return t.mul(t.matmul(x, x, { transB: true }), 1 / k);
  },
  (dice, x) => {
    if (x.shape.length !== 4) return null;
    const [, h, w, c] = x.shape;
    const size = dice.pick([1, 3]);
    const outs = dice.pick(SIZES);
    if (x.size / c * outs > MOST_ELEMENTS || h < 2 || w < 2) return null;
    const weight = t.input(`w${dice.below(1e9)}`, [size, size, c, outs]);
    const y = t.conv2d(x, weight, undefined, { padding: (size - 1) / 2 });
    return t.mul(y, 1 / Math.sqrt(size * size * c));
  },
];

/**
 * Program number `seed`: some values of random shapes and operations, with the gradient of their
 * sum with respect to the first input.
 */
export function randomProgram(seed: number): Program {
  const dice = new Dice(seed);
  const rank = 1 + dice.below(4);
  const shape: number[] = [];
  while (shape.length < rank) {
    const size = dice.pick(SIZES);
    shape.push(t.sizeOf(shape) * size > MOST_ELEMENTS / 4 ? 2 : size);
  }
  const x = t.input("x", shape);
  const values: t.Tensor[] = [x];
  for (let i = 0; i < STEPS; i++) {
    const from = dice.below(3) === 0 ? dice.pick(values) : values.at(-1)!;
    if (from.shape.length === 0) continue;
    const made = dice.pick(STEP_KINDS)(dice, from, values);
    if (made) values.push(made);
  }
  const last = values.at(-1)!;
  const other = dice.pick(values);
  const loss = t.add(t.mean(t.tanh(last)), t.mean(t.sin(other)));
  const [gradient] = t.grad(loss, [x]);
  const outputs = { last, other: t.mul(other, 1), loss, gradient };
  return { label: `random program ${seed}`, inputs: inputsOf(outputs), outputs, updates: [] };
}

function inputsOf(outputs: Readonly<Record<string, t.Tensor>>): t.Tensor[] {
  const inputs = new Map<string, t.Tensor>();
  const seen = new Set<unknown>();
  const open = Object.values(outputs).map((tensor) => tensor.node);
  for (let node = open.pop(); node; node = open.pop()) {
    if (seen.has(node)) continue;
    seen.add(node);
    if (node.op.kind === "input") inputs.set(node.op.name, node.outputs[0]);
    open.push(...node.inputs.map((tensor) => tensor.node));
  }
  return [...inputs.values()];
}
