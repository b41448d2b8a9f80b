import {
  abs,
  add,
  attention,
  clamp,
  concat,
  conv2d,
  cos,
  div,
  embedding,
  exp,
  expand,
  expm1,
  geluTanh,
  grad,
  groupNorm,
  input,
  layerNorm,
  linear,
  log,
  logSumExp,
  matmul,
  max,
  maximum,
  mean,
  minimum,
  moments,
  mul,
  narrow,
  neg,
  pad,
  pairwiseSquaredDistance,
  permute,
  resampleDown,
  resampleUp,
  reshape,
  rmsNorm,
  rsqrt,
  scatterAdd,
  type Shape,
  sigmoid,
  silu,
  sin,
  softmax,
  split,
  sqrt,
  square,
  sub,
  sum,
  tanh,
  type Tensor,
  transpose,
  unstack,
  where,
} from "../../lib/tensor/mod.ts";
import {
  assertGradients,
  type DifferenceOptions,
} from "../support/reference/finite_differences.ts";

type Case = [
  name: string,
  shapes: Shape[],
  build: (...x: Tensor[]) => Tensor,
  options?: DifferenceOptions,
];

const positive: DifferenceOptions = { low: 0.3, high: 2 };
const index = (name: string, n: number) => input(name, [n], "i32");

const CASES: Case[] = [
  ["add", [[2, 3], [2, 3]], add],
  ["add of a row and a column", [[4], [3, 1]], add],
  ["sub of a batch and a matrix", [[2, 1, 3], [4, 1]], sub],
  ["sub from a number", [[2, 3]], (x) => sub(3, x)],
  ["mul of a tensor and a scalar", [[2, 3], []], mul],
  ["mul over a middle axis", [[2, 3, 2], [3, 1]], mul],
  ["div", [[2, 3], [3]], div, positive],
  ["div of a number", [[5]], (x) => div(2, x), positive],
  ["minimum", [[3, 4], [4]], minimum],
  ["maximum", [[3, 4], [3, 1]], maximum],
  ["where", [[3, 4], [4], [3, 1]], (c, a, b) => where(sub(1, max(c, 0)), a, b)],
  ["neg", [[4]], neg],
  ["abs", [[3, 3]], abs],
  ["exp", [[6]], exp],
  ["expm1", [[6]], expm1],
  ["log", [[6]], log, positive],
  ["sqrt", [[6]], sqrt, positive],
  ["rsqrt", [[6]], rsqrt, positive],
  ["square", [[6]], square],
  ["sin", [[6]], sin],
  ["cos", [[6]], cos],
  ["tanh", [[6]], tanh],
  ["sigmoid", [[6]], sigmoid, { low: -4, high: 4 }],
  ["silu", [[9]], silu, { low: -5, high: 5 }],
  ["geluTanh", [[9]], geluTanh, { low: -4, high: 4 }],
  ["clamp", [[12]], (x) => clamp(x, -0.5, 0.25)],
  ["a value used twice", [[4]], (x) => mul(exp(x), add(x, 1))],

  ["reshape", [[2, 6]], (x) => reshape(x, [3, -1])],
  ["permute", [[2, 3, 4]], (x) => permute(x, [2, 0, 1])],
  ["transpose", [[2, 3, 2]], transpose],
  ["narrow", [[2, 5]], (x) => narrow(x, -1, 1, 3)],
  ["pad", [[2, 3]], (x) => pad(x, [1, 0], [4, 5])],
  ["expand", [[3, 1]], (x) => expand(x, [2, 3, 4])],
  ["concat", [[2, 3], [1, 3], [2, 3]], (...xs) => concat(xs, 0)],
  ["split with an unused part", [[2, 6]], (x) => {
    const [a, , c] = split(x, 1, [1, 3, 2]);
    return mul(a, c);
  }],
  ["unstack", [[2, 3, 2]], (x) => {
    const [a, b, c] = unstack(x, 1);
    return add(mul(a, b), c);
  }],

  ["sum over the middle", [[2, 3, 4]], (x) => square(sum(x, 1))],
  ["sum of everything", [[2, 3]], (x) => square(sum(x))],
  ["mean with kept axes", [[2, 3, 4]], (x) => square(mean(x, [0, -1], true))],
  ["max", [[3, 4]], (x) => max(x, 1)],
  ["moments", [[2, 3, 4]], (x) => {
    const { mean: center, rstd } = moments(x, [0, 2], 1e-3);
    return add(center, mul(rstd, rstd));
  }],
  ["1/std alone", [[2, 5]], (x) => moments(x, 1, 1e-3).rstd],

  ["matmul", [[2, 3], [3, 4]], (a, b) => matmul(a, b)],
  ["matmul, a transposed", [[3, 2], [3, 4]], (a, b) => matmul(a, b, { transA: true })],
  ["matmul, b transposed", [[2, 3], [4, 3]], (a, b) => matmul(a, b, { transB: true })],
  ["matmul, both transposed", [[2, 3, 2], [2, 4, 3]], (a, b) => {
    return matmul(a, b, { transA: true, transB: true });
  }],
  ["matmul of a batch and a matrix", [[2, 2, 3], [4, 3]], (a, b) => matmul(a, b, { transB: true })],
  ["matmul of a transposed batch and a matrix", [[2, 2, 3, 2], [3, 2]], (a, b) => {
    return matmul(a, b, { transA: true });
  }],
  ["matmul of a matrix and a batch", [[3, 2], [2, 3, 2]], (a, b) => matmul(a, b, { transA: true })],
  ["linear", [[2, 2, 3], [4, 3], [4]], linear],
  ["conv2d 3x3", [[1, 4, 3, 2], [3, 3, 2, 2], [2]], (x, w, b) => conv2d(x, w, b)],
  ["conv2d with stride 2", [[2, 5, 4, 1], [3, 3, 1, 2]], (x, w) => {
    return conv2d(x, w, undefined, { stride: 2 });
  }],
  ["conv2d of patches", [[1, 4, 4, 2], [2, 2, 2, 3]], (x, w) => {
    return conv2d(x, w, undefined, { stride: 2 });
  }],
  ["conv2d 1x1", [[2, 2, 2, 3], [1, 1, 3, 2], [2]], (x, w, b) => conv2d(x, w, b)],
  ["conv2d 1x3", [[1, 3, 4, 1], [1, 3, 1, 2]], (x, w) => conv2d(x, w, undefined, { padding: 1 })],
  ["resampleUp", [[1, 3, 2, 2]], (x) => resampleUp(x, [1, 3, 3, 1])],
  ["resampleUp, full border", [[1, 3, 2, 1]], (x) => {
    return resampleUp(x, [1, 2, 4, 4, 2, 1], { border: "full" });
  }],
  ["resampleDown of an odd size", [[1, 7, 5, 1]], (x) => resampleDown(x, [1, 3, 3, 1])],
  ["resampleDown, full border", [[1, 8, 7, 1]], (x) => {
    return resampleDown(x, [1, 3, 3, 2], { border: "full" });
  }],

  ["groupNorm", [[2, 3, 2, 6], [6], [6]], (x, w, b) => groupNorm(x, 3, w, b, 1e-3)],
  ["groupNorm without pixels", [[3, 4], [4], [4]], (x, w, b) => groupNorm(x, 2, w, b, 1e-2)],
  ["layerNorm", [[2, 2, 5], [5], [5]], (x, w, b) => layerNorm(x, 1e-3, w, b)],
  ["layerNorm with a weight only", [[3, 4], [4]], (x, w) => layerNorm(x, 1e-3, w)],
  ["layerNorm without parameters", [[2, 5]], (x) => layerNorm(x, 1e-3)],
  ["rmsNorm", [[2, 2, 4], [4]], (x, w) => rmsNorm(x, 1e-3, w)],
  ["rmsNorm without a weight", [[3, 4]], (x) => rmsNorm(x, 1e-3)],
  ["softmax", [[3, 4]], (x) => softmax(x)],
  ["softmax over the first axis", [[3, 2]], (x) => softmax(x, 0)],
  ["logSumExp", [[2, 3, 2]], (x) => logSumExp(x, 1)],
  ["logSumExp with a kept axis", [[2, 3]], (x) => logSumExp(x, -1, true)],
  ["attention", [[2, 3, 2, 2], [2, 4, 2, 2], [2, 4, 2, 2]], (q, k, v) => attention(q, k, v)],
  ["attention with a scale", [[1, 2, 1, 3], [1, 2, 1, 3], [1, 2, 1, 3]], (q, k, v) => {
    return attention(q, k, v, { scale: 2 });
  }],
  ["embedding", [[4, 2]], (table) => embedding(table, index("n", 5)), {
    fixed: { n: [1, 3, 1, 7, 0] },
  }],
  ["scatterAdd", [[5, 2]], (rows) => scatterAdd(index("n", 5), rows, 4), {
    fixed: { n: [1, 3, 1, -1, 0] },
  }],
  ["pairwiseSquaredDistance", [[2, 2, 3], [2, 4, 3]], pairwiseSquaredDistance],
];

for (const [name, shapes, build, options] of CASES) {
  Deno.test(`the gradient of ${name} is that of finite differences`, () => {
    assertGradients(name, shapes, build, options);
  });
}

const SECOND_ORDER: Case[] = [
  ["silu and a product", [[2, 3], [3]], (x, w) => mul(exp(mul(x, w)), sin(w))],
  ["matmul", [[2, 3], [4, 3]], (a, b) => square(matmul(a, b, { transB: true }))],
  [
    "conv2d",
    [[1, 4, 4, 1], [3, 3, 1, 2]],
    (x, w) => square(conv2d(x, w, undefined, { stride: 2 })),
  ],
  ["resampleDown of an odd size", [[1, 5, 4, 1]], (x) => square(resampleDown(x, [1, 3, 3, 1]))],
  ["groupNorm", [[1, 3, 4], [4], [4]], (x, w, b) => square(groupNorm(x, 2, w, b, 1e-2))],
  ["softmax", [[2, 3]], (x) => softmax(x)],
  ["embedding", [[3, 2]], (table) => square(embedding(table, index("n", 3))), {
    fixed: { n: [0, 2, 0] },
  }],
];

for (const [name, shapes, build, options] of SECOND_ORDER) {
  Deno.test(`the gradient of the gradient of ${name} is that of finite differences`, () => {
    const gradients = (...inputs: Tensor[]) => {
      const flat = grad(sum(build(...inputs)), inputs).map((g) => reshape(g, [-1]));
      return concat(flat, 0);
    };
    assertGradients(name, shapes, gradients, options);
  });
}
