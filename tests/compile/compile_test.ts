import assert from "node:assert/strict";
import { blocksOf } from "../../lib/compile/blocks.ts";
import { compile } from "../../lib/compile/compile.ts";
import { summarize } from "../../lib/compile/print.ts";
import type { Program } from "../../lib/compile/program.ts";
import * as t from "../../lib/tensor/mod.ts";
import { assertClose } from "../support/close.ts";
import { opCases } from "../support/golden/operator_cases.ts";
import { interpretPlan } from "../support/reference/plan.ts";
import { evaluateGraph } from "../support/reference/graph.ts";
import { hashedValues } from "../support/golden/hash.ts";

type Data = Record<string, ArrayLike<number>>;

/** Compiles with and without fusion, runs both, and compares with the graph itself. */
function check(program: Omit<Program, "label">, data: Data, state = new Map<t.Arena, number[]>()) {
  const outputs = Object.entries(program.outputs);
  const expected = evaluateGraph(
    [...outputs.map(([, tensor]) => tensor), ...program.updates.map((update) => update.value)],
    { inputs: data, state },
  );
  const kernels = [true, false].map((fuse) => {
    const plan = compile({ label: "test", ...program }, { fuse });
    const arenas = new Map([...state].map(([arena, data]) => [arena, Float64Array.from(data)]));
    const actual = interpretPlan(plan, data, arenas);
    outputs.forEach(([name], i) => {
      assertClose(actual[name], expected[i], { rel: 1e-12 }, `${name}, fuse ${fuse}`);
    });
    program.updates.forEach(({ target }, i) => {
      const { op } = target.node;
      assert(op.kind === "state");
      const after = arenas.get(op.arena)!.slice(op.offset, op.offset + target.size);
      assertClose(after, expected[outputs.length + i], { rel: 1e-12 }, `${op.name}, fuse ${fuse}`);
    });
    return summarize(plan);
  });
  return { fused: kernels[0], plain: kernels[1] };
}

const values = (name: string, ...shape: number[]) =>
  hashedValues(name, t.sizeOf(shape), 1, 0) as Float32Array;

for (const opCase of opCases) {
  Deno.test(`compiled operator ${opCase.name} computes what its graph says`, () => {
    const built = opCase.build();
    const data: Data = {};
    for (const { tensor, data: array } of built.inputs) {
      const { op } = tensor.node;
      if (op.kind === "input") data[op.name] = array;
    }
    const inputs = built.inputs.map(({ tensor }) => tensor);
    check({ inputs, outputs: built.outputs, updates: [] }, data);
  });
}

Deno.test("an element-wise chain with a bias, a residual and an activation joins its matmul", () => {
  const [x, w] = [t.input("x", [6, 5]), t.input("w", [4, 5])];
  const [b, r] = [t.input("b", [4]), t.input("r", [6, 4])];
  const y = t.add(t.silu(t.linear(x, w, b)), r);
  const { fused } = check({ inputs: [x, w, b, r], outputs: { y }, updates: [] }, {
    x: values("x", 6, 5),
    w: values("w", 4, 5),
    b: values("b", 4),
    r: values("r", 6, 4),
  });
  assert.equal(fused.kernels, 1);
});

Deno.test("a value that two kernels need is stored once, cheap ones are recomputed", () => {
  const x = t.input("x", [4, 3]);
  const w = t.input("w", [3, 2]);
  const expensive = t.exp(t.sin(t.exp(t.cos(x))));
  const { fused } = check({
    inputs: [x, w],
    outputs: { a: t.matmul(expensive, w), b: t.sum(expensive, 0), c: t.sum(t.add(x, 1), 1) },
    updates: [],
  }, { x: values("x", 4, 3), w: values("w", 3, 2) });
  assert.deepEqual(fused.kernelsByKind, { elementwise: 1, matmul: 1, reduce: 2 });
});

Deno.test("parts of a concatenation are written in place", () => {
  const [x, w] = [t.input("x", [4, 3]), t.input("w", [3, 2])];
  const y = t.concat([t.matmul(x, w), t.exp(x), x], 1);
  const { fused } = check({ inputs: [x, w], outputs: { y: t.neg(y) }, updates: [] }, {
    x: values("x", 4, 3),
    w: values("w", 3, 2),
  });
  assert.deepEqual(fused.kernelsByKind, { matmul: 1, elementwise: 3 });
});

Deno.test("views of views are followed without copies, and copied where strides cannot say it", () => {
  const x = t.input("x", [4, 6, 2]);
  const free = t.permute(t.reshape(t.slice(x, [1, 0, 0], [2, 6, 2]), [2, 3, 2, 2]), [1, 0, 3, 2]);
  const data = { x: values("x", 4, 6, 2) };
  const one = check({ inputs: [x], outputs: { y: t.exp(free) }, updates: [] }, data);
  assert.equal(one.fused.kernels, 1);
  const hard = t.reshape(t.permute(t.slice(x, [0, 1, 0], [4, 3, 2]), [2, 1, 0]), [4, 6]);
  const two = check({ inputs: [x], outputs: { y: t.exp(hard) }, updates: [] }, data);
  assert.equal(two.fused.kernels, 2);
  const w = t.input("w", [6, 2]);
  check({ inputs: [x, w], outputs: { y: t.matmul(hard, w) }, updates: [] }, {
    ...data,
    w: values("w", 6, 2),
  });
});

Deno.test("pads are zeros around the input", () => {
  const x = t.input("x", [2, 3, 2]);
  const y = t.pad(t.mul(x, 2), [1, 0, 2], [4, 5, 5]);
  check({ inputs: [x], outputs: { y: t.add(y, 1) }, updates: [] }, { x: values("x", 2, 3, 2) });
});

Deno.test("an optimiser step with an average is one kernel, in place", () => {
  const parameters = new t.Arena("parameters");
  parameters.add("a", [3, 5]);
  parameters.add("b", [70]);
  const [moment, average, gradient] = ["m", "ema", "g"].map((name) => parameters.like(name));
  const rate = t.input("rate", [2]);
  const [p, m, e, g] = [parameters, moment, average, gradient].map((arena) => arena.whole());
  const newM = t.add(t.mul(m, 0.9), t.mul(g, 0.1));
  const newP = t.sub(p, t.mul(t.reshape(t.narrow(rate, 0, 0, 1), []), newM));
  const newE = t.add(t.mul(e, 0.99), t.mul(newP, 0.01));
  const state = new Map(
    [parameters, moment, average, gradient].map((
      arena,
    ) => [arena, [...values(arena.name, arena.length)]]),
  );
  const { fused } = check(
    {
      inputs: [rate],
      outputs: {},
      updates: [
        { target: p, value: newP },
        { target: m, value: newM },
        { target: e, value: newE },
      ],
    },
    { rate: [0.5, 7] },
    state,
  );
  assert.equal(fused.kernels, 1);
  assert.equal(fused.slotBytes, 0);
});

Deno.test("every read of state sees the value from before the run", () => {
  const arena = new t.Arena("state");
  arena.add("a", [4]);
  arena.add("b", [4]);
  const [a, b] = [arena.tensor("a"), arena.tensor("b")];
  const state = new Map([[arena, [...values("s", arena.length)]]]);
  // a and b are swapped, and the sum reads both old values.
  check(
    {
      inputs: [],
      outputs: { sum: t.sum(t.add(a, b)), old: a },
      updates: [{ target: a, value: b }, { target: b, value: a }],
    },
    {},
    state,
  );
  // The new a depends on all of the old a: it cannot be written in place.
  const mixed = t.reshape(t.matmul(t.reshape(a, [2, 2]), t.reshape(a, [2, 2])), [4]);
  check({ inputs: [], outputs: {}, updates: [{ target: a, value: mixed }] }, {}, state);
});

Deno.test("arenas of one name are still two, such as those of a network and of its average", () => {
  const arenas = [1, 2].map(() => new t.Arena("parameters"));
  for (const arena of arenas) arena.add("w", [4]);
  const [a, b] = arenas.map((arena) => t.square(arena.tensor("w")));
  const state = new Map(arenas.map((arena, i) => [arena, [...values(`w${i}`, arena.length)]]));
  check({ inputs: [], outputs: { difference: t.sub(a, b) }, updates: [] }, {}, state);
});

Deno.test("gradients accumulate in place in the kernel that makes them", () => {
  const arena = new t.Arena("gradients");
  arena.add("w", [3, 2]);
  const [x, dy] = [t.input("x", [5, 3]), t.input("dy", [5, 2])];
  const old = arena.tensor("w");
  const value = t.add(old, t.matmul(x, dy, { transA: true }));
  const { fused } = check(
    { inputs: [x, dy], outputs: {}, updates: [{ target: old, value }] },
    { x: values("x", 5, 3), dy: values("dy", 5, 2) },
    new Map([[arena, [...values("g", arena.length)]]]),
  );
  assert.equal(fused.kernels, 1);
});

Deno.test("both sums of a group norm's backward pass are one reduction", () => {
  const x = t.input("x", [2, 3, 3, 8]);
  const [w, b, g] = [t.input("w", [8]), t.input("b", [8]), t.input("g", [2, 3, 3, 8])];
  const loss = t.sum(t.mul(t.silu(t.groupNorm(x, 4, w, b, 1e-5)), g));
  const [dx, dw, db] = t.grad(loss, [x, w, b]);
  const { fused, plain } = check({
    inputs: [x, w, b, g],
    outputs: { loss, dx, dw, db },
    updates: [],
  }, {
    x: values("x", 2, 3, 3, 8),
    w: values("w", 8),
    b: values("b", 8),
    g: values("g", 2, 3, 3, 8),
  });
  assert(fused.kernels <= 10, `${fused.kernels} kernels`);
  assert(plain.kernels > 2 * fused.kernels);
});

Deno.test("random numbers are the same wherever they are fused", () => {
  const [x, key] = [t.input("x", [4, 3, 2]), t.input("key", [3], "i32")];
  const y = t.dropout(x, 0.5, key, 7);
  const [dx] = t.grad(t.sum(t.square(y)), [x]);
  check({
    inputs: [x, key],
    outputs: { y, dx, z: t.permute(t.randomNormal(key, [3, 2], 1), [1, 0]) },
    updates: [],
  }, { x: values("x", 4, 3, 2), key: [123, -7, 5] });
});

Deno.test("an undeclared input is an error that names it", () => {
  const x = t.input("pixels", [2]);
  assert.throws(
    () => compile({ label: "p", inputs: [], outputs: { y: t.exp(x) }, updates: [] }),
    /p: the input pixels is used but not declared/,
  );
});

Deno.test("slots are reused: a long chain of kernels needs two", () => {
  const x = t.input("x", [8, 8]);
  const w = t.input("w", [8, 8]);
  let y = x;
  for (let i = 0; i < 10; i++) y = t.matmul(y, w);
  const { fused } = check(
    { inputs: [x, w], outputs: { y }, updates: [] },
    { x: values("x", 8, 8), w: values("w", 8, 8) },
  );
  assert.equal(fused.slotBytes, 2 * 64 * 4);
});

Deno.test("a sum of many products is added up in their kernels, within the limit of buffers", () => {
  const inputs: t.Tensor[] = [];
  const data: Data = {};
  const declare = (name: string, ...shape: number[]) => {
    data[name] = values(name, ...shape);
    inputs.push(t.input(name, shape));
    return inputs.at(-1)!;
  };
  let y = t.matmul(declare("a", 4, 3), declare("b", 3, 5));
  let z = declare("z", 4, 5);
  for (let i = 0; i < 20; i++) {
    y = t.add(y, t.matmul(declare(`a${i}`, 4, 3), declare(`b${i}`, 3, 5)));
    z = t.mul(t.add(z, declare(`z${i}`, 4, 5)), 2);
  }
  const program = { inputs, outputs: { y, z }, updates: [] };
  const { fused } = check(program, data);
  assert.equal(fused.kernelsByKind.matmul, 21);
  assert(fused.kernelsByKind.elementwise <= 5);
  for (const kernel of compile({ label: "test", ...program }).kernels) {
    const buffers = new Set(Object.values(blocksOf(kernel)).flat().map((block) => block.buffer));
    assert(buffers.size <= 8, `${kernel.label} needs ${buffers.size} buffers`);
  }
});

Deno.test("a job that reads a whole concatenation is not joined with one that writes a part", () => {
  const x = t.input("x", [4, 3]);
  const y = t.concat([t.exp(x), t.neg(t.mul(x, 3))], 0);
  // As large as a part, and reading both parts.
  const z = t.add(t.slice(y, [0, 0], [4, 3]), t.slice(y, [4, 0], [4, 3]));
  check({ inputs: [x], outputs: { z, y }, updates: [] }, { x: values("x", 4, 3) });
});
