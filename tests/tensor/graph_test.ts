import assert from "node:assert/strict";
import { ImmError } from "../../lib/base/errors.ts";
import {
  add,
  Arena,
  ARENA_ALIGNMENT,
  attention,
  chunk,
  clamp,
  concat,
  constant,
  constantValue,
  conv2d,
  div,
  embedding,
  equal,
  exp,
  expand,
  full,
  grad,
  greater,
  groupNorm,
  input,
  layerNorm,
  less,
  linear,
  matmul,
  max,
  maximum,
  minimum,
  mul,
  neg,
  pad,
  permute,
  resampleDown,
  reshape,
  slice,
  softmax,
  split,
  sqrt,
  square,
  squeeze,
  stopGradient,
  sub,
  sum,
  type Tensor,
  toF32,
  toI32,
  transpose,
  unsqueeze,
  where,
  zeros,
} from "../../lib/tensor/mod.ts";
import { broadcastShapes } from "../../lib/tensor/shape.ts";
import { evaluateGraph, nodesBehind } from "../support/reference/graph.ts";

const x = input("x", [2, 3]);
const y = input("y", [2, 3]);
const DATA = { inputs: { x: [-2, -1, 0, 1, 2, 3], y: [3, -1, 0, 1, -5, 0.5] } };

/** Values as lists that compare with literals: adding 0 turns -0 into 0. */
const values = (...tensors: Tensor[]) =>
  evaluateGraph(tensors, DATA).map((data) => Array.from(data, (value) => value + 0));
const kinds = (...tensors: Tensor[]) => nodesBehind(tensors).map((node) => node.op.kind);

Deno.test("operations that change nothing return their input", () => {
  assert.equal(add(x, 0), x);
  assert.equal(add(zeros([3]), x), x);
  assert.equal(sub(x, 0), x);
  assert.equal(mul(1, x), x);
  assert.equal(div(x, 1), x);
  assert.equal(reshape(x, [2, -1]), x);
  assert.equal(permute(x, [0, -1]), x);
  assert.equal(expand(x, [2, 3]), x);
  assert.equal(slice(x, [0, 0], [2, 3]), x);
  assert.equal(pad(x, [0, 0], [2, 3]), x);
  assert.equal(concat([x], 0), x);
  assert.equal(split(x, 0, [2])[0], x);
  assert.equal(toF32(x), x);
  assert.equal(sum(x, []), x);
});

Deno.test("adding zeros of a larger shape still broadcasts", () => {
  assert.deepEqual(add(x, zeros([4, 2, 3])).shape, [4, 2, 3]);
});

Deno.test("arithmetic between constants is done while the graph is built", () => {
  assert.equal(constantValue(div(add(constant(2), 3), 2)), 2.5);
  assert.equal(constantValue(neg(mul(full([2, 2], 3), full([2], 2)))), -6);
  assert.equal(constantValue(x), null);
  assert.deepEqual(kinds(mul(full([2, 3], 2), x)), ["input", "constant", "map"]);
});

Deno.test("a filled tensor has its value everywhere", () => {
  assert.deepEqual(values(full([2, 2], 1.5), full([], 3), full([1, 1], 2)), [
    [1.5, 1.5, 1.5, 1.5],
    [3],
    [2],
  ]);
});

Deno.test("state is read from its place in the arena", () => {
  const arena = new Arena("weights");
  arena.add("a", [3]);
  arena.add("b", [2]);
  const content = Float32Array.from({ length: arena.length }, (_, i) => i);
  const outputs = [arena.tensor("b"), sum(arena.whole())];
  const [b, total] = evaluateGraph(outputs, { state: new Map([[arena, content]]) });
  assert.deepEqual([...b], [ARENA_ALIGNMENT, ARENA_ALIGNMENT + 1]);
  assert.deepEqual([...total], [arena.length * (arena.length - 1) / 2]);
});

Deno.test("comparisons give 1 and 0", () => {
  assert.deepEqual(values(less(x, y), greater(x, 0), equal(x, y)), [
    [1, 0, 0, 0, 0, 0],
    [0, 0, 0, 1, 1, 1],
    [0, 1, 1, 1, 0, 0],
  ]);
});

Deno.test("integers round towards zero and do not mix with floats", () => {
  const truncated = toI32(mul(x, 0.75));
  assert.equal(truncated.dtype, "i32");
  assert.deepEqual(values(add(truncated, 1)), [[0, 1, 1, 1, 2, 3]]);
  assert.throws(() => add(truncated, x), /operands of one type/);
});

Deno.test("at ties minimum and maximum give the gradient to the second operand", () => {
  const ties = [0, 1, 1, 1, 0, 0];
  const [maxX, maxY] = values(...grad(sum(maximum(x, y)), [x, y]));
  assert.deepEqual(maxX, [0, 0, 0, 0, 1, 1]);
  assert.deepEqual(maxY.filter((_, i) => ties[i]), [1, 1, 1]);
  const [minX, minY] = values(...grad(sum(minimum(x, y)), [x, y]));
  assert.deepEqual(minX, [1, 0, 0, 0, 0, 0]);
  assert.deepEqual(minY.filter((_, i) => ties[i]), [1, 1, 1]);
});

Deno.test("clamp passes the gradient inside and at its bounds", () => {
  const limited = clamp(x, -1, 2);
  assert.deepEqual(values(limited, ...grad(sum(limited), [x])), [
    [-1, -1, 0, 1, 2, 2],
    [0, 1, 1, 1, 1, 0],
  ]);
});

Deno.test("equal maxima share the gradient of max", () => {
  assert.deepEqual(values(...grad(sum(max(less(x, 1), 1)), [x])), [[0, 0, 0, 0, 0, 0]]);
  const capped = minimum(x, 1.5);
  assert.deepEqual(values(...grad(sum(max(capped, 1)), [capped])), [[0, 0, 1, 0, 0.5, 0.5]]);
});

Deno.test("where keeps an infinite slope out of the gradient when it guards the input", () => {
  const safe = sqrt(where(less(0, x), x, 1));
  const guarded = where(less(0, x), safe, 0);
  const [slopes] = values(...grad(sum(guarded), [x]));
  assert.deepEqual(slopes.slice(0, 4), [0, 0, 0, 0.5]);
  assert(slopes.every(Number.isFinite));
});

Deno.test("gradients reach intermediate tensors", () => {
  const hidden = neg(reshape(x, [6]));
  const [viaHidden, viaInput] = values(...grad(sum(neg(square(hidden))), [hidden, x]));
  assert.deepEqual(viaHidden, [-4, -2, 0, 2, 4, 6]);
  assert.deepEqual(viaInput, [4, 2, 0, -2, -4, -6]);
});

Deno.test("what the loss does not depend on has a gradient of zeros", () => {
  const [gx, gy] = grad(sum(exp(x)), [x, y]);
  assert.deepEqual(gy.shape, y.shape);
  assert.equal(constantValue(gy), 0);
  assert.equal(constantValue(gx), null);
  const [stopped] = grad(sum(mul(x, stopGradient(exp(x)))), [x]);
  assert.deepEqual(values(stopped), values(exp(x)));
});

Deno.test("branches that do not lead to the wanted tensors are not differentiated", () => {
  const image = input("image", [1, 4, 4, 2]);
  const weight = input("weight", [3, 3, 2, 2]);
  const bias = input("bias", [2]);
  const loss = sum(conv2d(exp(image), weight, bias));
  const onlyBias = kinds(...grad(loss, [bias]));
  assert(!onlyBias.some((kind) => kind.startsWith("conv2d") || kind === "map"), `${onlyBias}`);
  const withWeight = kinds(...grad(loss, [weight]));
  assert(!withWeight.includes("conv2dGradInput"));
});

Deno.test("gradients of a 1x1 convolution and of a linear layer on tokens are one product each", () => {
  const tokens = input("tokens", [2, 5, 3]);
  const image = input("image", [2, 5, 4, 3]);
  const weight = input("weight", [4, 3]);
  const kernel = input("kernel", [1, 1, 3, 4]);
  for (const loss of [sum(exp(linear(tokens, weight))), sum(exp(conv2d(image, kernel)))]) {
    const wrt = [tokens, weight, image, kernel].filter((t) => nodesBehind([loss]).includes(t.node));
    const products = nodesBehind(grad(loss, wrt)).filter((node) => node.op.kind === "matmul");
    assert.equal(products.length, 3);
    assert(products.every((node) => node.outputs[0].shape.length === 2));
  }
});

Deno.test("a seed starts the backward pass in place of 1", () => {
  const [slope] = grad(exp(x), [x], { seed: y });
  assert.deepEqual(values(slope), values(mul(y, exp(x))));
});

Deno.test("the backward pass says what it cannot differentiate", () => {
  assert.throws(() => grad(exp(x), [x]), /a scalar loss or a seed, but was given \[2, 3\]/);
  assert.throws(() => grad(exp(x), [x], { seed: sum(y) }), /a seed of shape \[2, 3\]/);
  assert.throws(() => grad(sum(x), [full([3], 1)]), /was given a constant/);
});

Deno.test("broadcasting aligns shapes at the last axis", () => {
  assert.deepEqual(broadcastShapes("test", [3, 1], [2, 1, 4], []), [2, 3, 4]);
  assert.throws(() => add(x, input("z", [2])), /shapes that broadcast, but was given/);
});

Deno.test("axes count from the end when negative", () => {
  assert.deepEqual(unsqueeze(x, -1).shape, [2, 3, 1]);
  assert.deepEqual(squeeze(unsqueeze(x, 1), -2).shape, [2, 3]);
  assert.deepEqual(sum(x, -1, true).shape, [2, 1]);
  assert.deepEqual(transpose(x).shape, [3, 2]);
});

Deno.test("mistakes in shapes are reported as what was expected and what was found", () => {
  const image = input("image", [1, 4, 4, 6]);
  const mistakes: [() => unknown, RegExp][] = [
    [() => reshape(x, [4, -1]), /a shape of 6 elements for \[2, 3\], but was given \[4, -1\]/],
    [() => reshape(x, [-1, -1]), /reshape expects/],
    [() => permute(x, [0, 0]), /each of 2 axes once/],
    [() => slice(x, [0, 2], [2, 2]), /a box inside \[2, 3\]/],
    [() => pad(x, [1, 0], [2, 3]), /a shape that holds \[2, 3\] at \[1, 0\]/],
    [() => expand(x, [2, 4]), /shapes that broadcast/],
    [() => expand(x, [3]), /a shape that \[2, 3\] broadcasts to/],
    [() => split(x, 1, [1, 1]), /add up to axis 1/],
    [() => chunk(x, 1, 2), /axis 1 divisible by 2/],
    [() => concat([x, input("z", [2, 4])], 0), /differ only in axis 0/],
    [() => squeeze(x, 0), /axis 0 of size 1/],
    [() => sum(x, 2), /an axis of a tensor of rank 2, but was given axis 2/],
    [() => sum(x, [0, -2]), /each axis once/],
    [() => matmul(x, y), /\[2, 3\] and \[2, 3\]/],
    [() => linear(x, input("w", [4, 2])), /x \[\.\.\., in\] for weight \[4, 2\]/],
    [() => conv2d(image, input("w", [3, 3, 5, 2])), /the 5 channels of w/],
    [() => conv2d(image, input("w", [1, 3, 6, 2])), /an explicit padding/],
    [() => conv2d(image, input("w", [6, 6, 6, 2])), /an image that holds the 6x6 kernel/],
    [() => resampleDown(image, [1, 2, 1]), /a filter of even length/],
    [() => groupNorm(image, 4, zeros([6]), zeros([6]), 1e-6), /C divisible by 4/],
    [() => layerNorm(x, 1e-6, zeros([2])), /weight of shape \[3\]/],
    [() => softmax(x, 2), /an axis of a tensor of rank 2/],
    [() => attention(image, x, x), /k \[B, S, H, D\] of rank 4/],
    [() => embedding(x, input("i", [4])), /index \[N\]|index of type i32/],
  ];
  for (const [mistake, message] of mistakes) {
    assert.throws(mistake, (error) => error instanceof ImmError && message.test(error.message));
  }
});
