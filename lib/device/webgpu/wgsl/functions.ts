/**
 * The element-wise functions in WGSL, for scalars and for vectors of four.
 *
 * WGSL promises little about the accuracy of its built-in functions (sin and cos may be off by
 * 2^-11, log loses relative accuracy near 1) and nothing about overflow inside them, so the ones
 * that matter are written out here.
 *
 * @module
 */

import { InternalError } from "../../../base/errors.ts";
import type { DType, MapFn } from "../../../tensor/tensor.ts";
import { typeName } from "./memory.ts";

/** A WGSL expression with its type. */
export interface Value {
  readonly text: string;
  readonly dtype: DType;
}

/** Helper functions that a shader needs; collected while its expressions are written. */
export class Helpers {
  readonly #texts = new Map<string, string>();

  /** Makes sure that a helper is declared and returns its name. */
  use(name: keyof typeof HELPERS, width: 1 | 4): string {
    const full = `${name}${width}`;
    if (!this.#texts.has(full)) {
      const helper = HELPERS[name];
      for (const needed of helper.needs) this.use(needed as keyof typeof HELPERS, width);
      const T = typeName("f32", width);
      const text = helper.text
        .replaceAll(/\bT\b/g, T)
        .replaceAll(/\bB\b/g, width === 1 ? "bool" : "vec4<bool>")
        .replaceAll(/\bI\b/g, typeName("i32", width))
        .replaceAll(/\bU\b/g, typeName("u32", width))
        .replaceAll(/\b(imm_[a-z0-9_]+)\(/g, (_, f) => `${f}${width}(`);
      this.#texts.set(full, text);
    }
    return full;
  }

  /** The declarations, each after those it needs. */
  get declarations(): string {
    return [...this.#texts.values()].join("");
  }
}

/** Templates over T (f32 or vec4<f32>), I, U and B (the same of i32, u32, bool). */
const HELPERS = {
  // Taylor to x^9 below 0.5, where exp(x) - 1 cancels.
  imm_expm1: {
    needs: [],
    text: `fn imm_expm1(x: T) -> T {
  let p = x * (1.0 + x * (0.5 + x * (0.16666667 + x * (0.041666668 + x * (0.008333334
    + x * (0.0013888889 + x * (0.0001984127 + x * (2.4801588e-5 + x * 2.7557319e-6))))))));
  return select(exp(x) - 1.0, p, abs(x) < T(0.5));
}
`,
  },
  // exp(-2|x|) cannot overflow, and expm1 keeps small x accurate.
  imm_tanh: {
    needs: ["imm_expm1"],
    text: `fn imm_tanh(x: T) -> T {
  let e = imm_expm1(-2.0 * abs(x));
  return sign(x) * (-e / (2.0 + e));
}
`,
  },
  imm_sigmoid: {
    needs: [],
    text: `fn imm_sigmoid(x: T) -> T {
  return 1.0 / (1.0 + exp(min(-x, T(88.0))));
}
`,
  },
  // log(2^e m) with sqrt(1/2) <= m < sqrt(2): e ln 2 + 2 artanh((m - 1) / (m + 1)).
  // Zero, denormals, negative numbers, infinities and NaN go to the built-in.
  imm_log: {
    needs: [],
    text: `fn imm_log(x: T) -> T {
  let bits = bitcast<U>(x) - U(0x3f3504f3u);
  let e = T(bitcast<I>(bits) >> U(23u));
  let f = bitcast<T>((bits & U(0x7fffffu)) + U(0x3f3504f3u)) - 1.0;
  let s = f / (2.0 + f);
  let z = s * s;
  let p = s * (2.0 + z * (0.6666667 + z * (0.4 + z * (0.2857143 + z * 0.2222222))));
  let y = e * 0.69314575 + (e * 1.4286068e-6 + p);
  return select(log(x), y, (x >= T(1.1754944e-38)) & (x <= T(3.4028234e38)));
}
`,
  },
  // sin and cos of pi/2 * (quadrant + r), |r| <= 1/2, by their Taylor series in pi/2 * r.
  imm_quadrant: {
    needs: [],
    text: `fn imm_quadrant(a: T, quadrant: I) -> T {
  let z = a * a;
  let s = a * (1.0 + z * (-0.16666667 + z * (0.008333334 + z * (-0.0001984127
    + z * 2.7557319e-6))));
  let c = 1.0 + z * (-0.5 + z * (0.041666668 + z * (-0.0013888889 + z * (2.4801588e-5
    - z * 2.7557319e-7))));
  let y = select(c, s, (quadrant & I(1)) != I(0));
  return select(y, -y, (((quadrant + I(1)) & I(2))) != I(0));
}
`,
  },
  // Cody and Waite: pi/2 in three parts whose products with the quadrant are exact.
  imm_cos: {
    needs: ["imm_quadrant"],
    text: `fn imm_cos(x: T) -> T {
  let k = round(x * 0.63661975);
  let a = ((x - k * 1.5703125) - k * 0.0004837513) - k * 7.5497901e-8;
  return imm_quadrant(a, I(k));
}
`,
  },
  imm_sin: {
    needs: ["imm_quadrant"],
    text: `fn imm_sin(x: T) -> T {
  let k = round(x * 0.63661975);
  let a = ((x - k * 1.5703125) - k * 0.0004837513) - k * 7.5497901e-8;
  return imm_quadrant(a, I(k) - I(1));
}
`,
  },
} as const satisfies Record<string, { needs: readonly string[]; text: string }>;

/** WGSL literal of a number. */
export function literal(value: number, dtype: DType): string {
  if (dtype === "i32") {
    if (value === -2147483648) return "bitcast<i32>(0x80000000u)";
    return value < 0 ? `(${Math.trunc(value)})` : `${Math.trunc(value)}`;
  }
  const rounded = Math.fround(value);
  if (!Number.isFinite(rounded)) {
    const bits = new Uint32Array(new Float32Array([rounded]).buffer)[0];
    return `bitcast<f32>(0x${bits.toString(16)}u)`;
  }
  const text = `${rounded}`;
  const decimal = /[.e]/.test(text) ? text : `${text}.0`;
  return rounded < 0 || Object.is(rounded, -0) ? `(-${decimal.replace("-", "")})` : decimal;
}

/** `literal` spread over a vector of four where the width asks for it. */
export function splat(text: string, dtype: DType, width: 1 | 4): string {
  return width === 1 ? text : `${typeName(dtype, 4)}(${text})`;
}

/** An element-wise function applied to names of values. */
export function applyMap(
  fn: MapFn,
  args: readonly Value[],
  width: 1 | 4,
  helpers: Helpers,
): Value {
  const [a, b, c] = args.map((v) => v.text);
  const dtype = args[0].dtype;
  const same = (text: string): Value => ({ text, dtype });
  const real = (text: string): Value => ({ text, dtype: "f32" });
  const F = typeName("f32", width);
  const compare = (operator: string) => real(`select(${F}(0.0), ${F}(1.0), ${a} ${operator} ${b})`);
  switch (fn) {
    case "add":
      return same(`${a} + ${b}`);
    case "sub":
      return same(`${a} - ${b}`);
    case "mul":
      return same(`${a} * ${b}`);
    case "div":
      return same(`${a} / ${b}`);
    case "min":
      return same(`min(${a}, ${b})`);
    case "max":
      return same(`max(${a}, ${b})`);
    case "lt":
      return compare("<");
    case "le":
      return compare("<=");
    case "eq":
      return compare("==");
    case "where": {
      const zero = splat(literal(0, dtype), dtype, width);
      return { text: `select(${c}, ${b}, ${a} != ${zero})`, dtype: args[1].dtype };
    }
    case "neg":
      return same(`-${a}`);
    case "abs":
      return same(`abs(${a})`);
    case "exp":
      return real(`exp(${a})`);
    case "sqrt":
      return real(`sqrt(${a})`);
    case "rsqrt":
      return real(`inverseSqrt(${a})`);
    case "floor":
      return real(`floor(${a})`);
    case "expm1":
    case "log":
    case "sin":
    case "cos":
    case "tanh":
    case "sigmoid":
      return real(`${helpers.use(`imm_${fn}`, width)}(${a})`);
    case "toF32":
      return real(`${F}(${a})`);
    case "toI32":
      return { text: `${typeName("i32", width)}(${a})`, dtype: "i32" };
    default:
      throw new InternalError(`there is no WGSL for the function ${fn satisfies never}`);
  }
}

/** Identity element of a reduction. */
export function reductionIdentity(fn: "sum" | "max"): string {
  return fn === "sum" ? "0.0" : literal(-Infinity, "f32");
}

/** One step of a reduction. */
export function combine(fn: "sum" | "max", a: string, b: string): string {
  return fn === "sum" ? `${a} + ${b}` : `max(${a}, ${b})`;
}
