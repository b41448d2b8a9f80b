/**
 * Element-wise functions with numpy broadcasting, and their gradients. Numbers stand for tensors
 * filled with them.
 *
 * Only what is obviously the same value is simplified while the graph is built: x + 0, x - 0,
 * x * 1, x / 1, and arithmetic between constants. The compiler fuses the rest.
 *
 * @module
 */

import { expand, sumTo } from "./broadcast.ts";
import { constantValue, full } from "./fill.ts";
import { broadcastShapes, requireType, shapeError, show } from "./shape.ts";
import {
  constant,
  customGradient,
  type DType,
  make,
  type MapFn,
  sameShape,
  type Tensor,
} from "./tensor.ts";

/** What arithmetic takes: a tensor, or a number that stands for a tensor filled with it. */
export type Operand = Tensor | number;

/** a + b */
export function add(a: Operand, b: Operand): Tensor {
  const [x, y] = lift("add", a, b);
  return keepsOther(x, y, 0) ?? keepsOther(y, x, 0) ?? fold(x, y, (p, q) => p + q) ??
    map("add", [x, y], (g) => [sumTo(g, x.shape), sumTo(g, y.shape)], x.dtype);
}

/** a - b */
export function sub(a: Operand, b: Operand): Tensor {
  const [x, y] = lift("sub", a, b);
  return keepsOther(x, y, 0) ?? fold(x, y, (p, q) => p - q) ??
    map("sub", [x, y], (g) => [sumTo(g, x.shape), sumTo(neg(g), y.shape)], x.dtype);
}

/** a * b */
export function mul(a: Operand, b: Operand): Tensor {
  const [x, y] = lift("mul", a, b);
  return keepsOther(x, y, 1) ?? keepsOther(y, x, 1) ?? fold(x, y, (p, q) => p * q) ??
    map("mul", [x, y], (g) => [sumTo(mul(g, y), x.shape), sumTo(mul(g, x), y.shape)], x.dtype);
}

/** a / b */
export function div(a: Operand, b: Operand): Tensor {
  const [x, y] = lift("div", a, b);
  requireType("div", "operands", x, "f32");
  return keepsOther(x, y, 1) ?? fold(x, y, (p, q) => p / q) ??
    map("div", [x, y], (g) => {
      const gx = div(g, y);
      return [sumTo(gx, x.shape), sumTo(neg(mul(gx, div(x, y))), y.shape)];
    });
}

/** The smaller one. The gradient goes to a where a < b, and to b elsewhere, ties included. */
export function minimum(a: Operand, b: Operand): Tensor {
  const [x, y] = lift("minimum", a, b);
  return fold(x, y, Math.min) ??
    map("min", [x, y], (g) => choose(less(x, y), g, x, y), x.dtype);
}

/**
 * The larger one. The gradient goes to a where a > b, and to b elsewhere, ties included: so
 * maximum(x, 0) has gradient 0 at 0, as the usual rectifier.
 */
export function maximum(a: Operand, b: Operand): Tensor {
  const [x, y] = lift("maximum", a, b);
  return fold(x, y, Math.max) ??
    map("max", [x, y], (g) => choose(less(y, x), g, x, y), x.dtype);
}

/** 1 where a < b, else 0. */
export function less(a: Operand, b: Operand): Tensor {
  return map("lt", lift("less", a, b), null);
}

/** 1 where a <= b, else 0. */
export function lessEqual(a: Operand, b: Operand): Tensor {
  return map("le", lift("lessEqual", a, b), null);
}

/** 1 where a > b, else 0. */
export function greater(a: Operand, b: Operand): Tensor {
  return less(b, a);
}

/** 1 where a >= b, else 0. */
export function greaterEqual(a: Operand, b: Operand): Tensor {
  return lessEqual(b, a);
}

/** 1 where a = b, else 0. */
export function equal(a: Operand, b: Operand): Tensor {
  return map("eq", lift("equal", a, b), null);
}

/**
 * a where the condition is not 0, else b. The side that is not chosen gets gradient 0 for that
 * element, but that 0 then flows back through its history: where the history has an infinite slope
 * (sqrt at 0), make the input harmless before, not after: sqrt(where(c, x, 1)).
 */
export function where(condition: Tensor, a: Operand, b: Operand): Tensor {
  const [x, y] = lift("where", a, b);
  return map(
    "where",
    [condition, x, y],
    (g) => [null, ...choose(condition, g, x, y)],
    x.dtype,
  );
}

/** -x */
export function neg(x: Tensor): Tensor {
  const value = constantValue(x);
  return value !== null
    ? full(x.shape, -value, x.dtype)
    : map("neg", [x], (g) => [neg(g)], x.dtype);
}

/** |x|, with gradient 0 at 0. */
export function abs(x: Tensor): Tensor {
  return map(
    "abs",
    [x],
    (g) => [where(less(x, 0), neg(g), where(less(0, x), g, 0))],
    x.dtype,
  );
}

/** e^x */
export function exp(x: Tensor): Tensor {
  const y = unary("exp", x, (g) => mul(g, y));
  return y;
}

/** e^x - 1, accurate for small x. */
export function expm1(x: Tensor): Tensor {
  return unary("expm1", x, (g) => mul(g, exp(x)));
}

/** Natural logarithm. */
export function log(x: Tensor): Tensor {
  return unary("log", x, (g) => div(g, x));
}

/** Square root; its gradient is infinite at 0. */
export function sqrt(x: Tensor): Tensor {
  const y = unary("sqrt", x, (g) => div(mul(g, 0.5), y));
  return y;
}

/** 1 / sqrt(x) */
export function rsqrt(x: Tensor): Tensor {
  const y = unary("rsqrt", x, (g) => mul(mul(g, -0.5), mul(y, mul(y, y))));
  return y;
}

/** x * x */
export function square(x: Tensor): Tensor {
  return map("mul", [x, x], (g) => [mul(mul(g, 2), x), null], x.dtype);
}

/** Sine of x in radians. */
export function sin(x: Tensor): Tensor {
  return unary("sin", x, (g) => mul(g, cos(x)));
}

/** Cosine of x in radians. */
export function cos(x: Tensor): Tensor {
  return unary("cos", x, (g) => neg(mul(g, sin(x))));
}

/** Hyperbolic tangent. */
export function tanh(x: Tensor): Tensor {
  const y = unary("tanh", x, (g) => mul(g, sub(1, mul(y, y))));
  return y;
}

/** 1 / (1 + e^-x) */
export function sigmoid(x: Tensor): Tensor {
  const y = unary("sigmoid", x, (g) => mul(g, mul(y, sub(1, y))));
  return y;
}

/** x * sigmoid(x). The gradient recomputes the sigmoid: only x is kept for it. */
export function silu(x: Tensor): Tensor {
  return customGradient(mul(x, sigmoid(x)), [x], (g) => {
    const s = sigmoid(x);
    return [mul(g, mul(s, add(mul(x, sub(1, s)), 1)))];
  });
}

/**
 * The tanh form of GELU, x/2 (1 + tanh u) with u = sqrt(2/pi) (x + 0.044715 x^3), written as
 * x * sigmoid(2u), which is the same and does not cancel for negative x.
 */
export function geluTanh(x: Tensor): Tensor {
  const scale = 2 * Math.sqrt(2 / Math.PI);
  const cubic = 0.044715;
  const gate = () => sigmoid(mul(mul(x, scale), add(mul(mul(x, x), cubic), 1)));
  return customGradient(mul(x, gate()), [x], (g) => {
    const s = gate();
    const slope = mul(add(mul(mul(x, x), 3 * cubic), 1), scale);
    return [mul(g, mul(s, add(mul(mul(x, sub(1, s)), slope), 1)))];
  });
}

/** The largest integer that is not larger. No gradient. */
export function floor(x: Tensor): Tensor {
  return unary("floor", x, null);
}

/** x limited to lo..hi; the gradient passes inside and at the bounds, as in torch.clamp. */
export function clamp(x: Tensor, lo: number, hi: number): Tensor {
  const limited = minimum(maximum(x, lo), hi);
  const inside = () => mul(lessEqual(lo, x), lessEqual(x, hi));
  return customGradient(limited, [x], (g) => [where(inside(), g, 0)]);
}

/** The integer as a float; exact below 2^24. No gradient. */
export function toF32(x: Tensor): Tensor {
  return x.dtype === "f32" ? x : map("toF32", [x], null);
}

/** The float rounded towards zero. No gradient. */
export function toI32(x: Tensor): Tensor {
  return x.dtype === "i32" ? x : map("toI32", [x], null, "i32");
}

/** Makes the node of an element-wise function. */
function map(
  fn: MapFn,
  inputs: readonly Tensor[],
  vjp: ((gradient: Tensor) => readonly (Tensor | null)[]) | null,
  dtype: DType = "f32",
): Tensor {
  const shape = broadcastShapes(fn, ...inputs.map((x) => x.shape));
  // A constant of any shape is as good as a scalar one, as long as another operand has the shape.
  const slim = [...inputs];
  for (let i = 0; i < slim.length; i++) {
    const value = constantValue(slim[i]);
    const others = slim.filter((_, j) => j !== i).map((other) => other.shape);
    if (value !== null && sameShape(broadcastShapes(fn, ...others), shape)) {
      slim[i] = constant(value, slim[i].dtype);
    }
  }
  return make({ kind: "map", fn }, slim, shape, dtype === "f32" ? vjp : null, dtype);
}

function unary(fn: MapFn, x: Tensor, slope: ((gradient: Tensor) => Tensor) | null): Tensor {
  requireType(fn, "a tensor", x, "f32");
  return map(fn, [x], slope && ((g) => [slope(g)]));
}

/** The gradient of a choice between x and y: to x where the condition holds, else to y. */
function choose(condition: Tensor, g: Tensor, x: Tensor, y: Tensor): [Tensor, Tensor] {
  return [sumTo(where(condition, g, 0), x.shape), sumTo(where(condition, 0, g), y.shape)];
}

/** Two operands as tensors of one type; a number takes the type of the other side. */
function lift(operation: string, a: Operand, b: Operand): [Tensor, Tensor] {
  const dtype = typeof a !== "number" ? a.dtype : typeof b !== "number" ? b.dtype : "f32";
  const x = typeof a === "number" ? constant(a, dtype) : a;
  const y = typeof b === "number" ? constant(b, dtype) : b;
  if (x.dtype !== y.dtype) {
    throw shapeError(
      operation,
      "operands of one type (convert with toF32 or toI32)",
      `${x.dtype} ${show(x.shape)} and ${y.dtype} ${show(y.shape)}`,
    );
  }
  return [x, y];
}

/** x in the shape of the result, where y is filled with the operation's neutral element. */
function keepsOther(x: Tensor, y: Tensor, neutral: number): Tensor | null {
  if (constantValue(y) !== neutral) return null;
  return expand(x, broadcastShapes("arithmetic", x.shape, y.shape));
}

function fold(x: Tensor, y: Tensor, fn: (p: number, q: number) => number): Tensor | null {
  const p = constantValue(x);
  const q = constantValue(y);
  if (p === null || q === null) return null;
  return full(broadcastShapes("arithmetic", x.shape, y.shape), fn(p, q), x.dtype);
}
