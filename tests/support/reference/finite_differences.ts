/** Gradient rules against central differences in float64, through the reference interpreter. */

import { deriveKey, hostUniform } from "../../../lib/random/threefry.ts";
import { grad, input, mul, type Shape, sum, type Tensor } from "../../../lib/tensor/mod.ts";
import { assertClose } from "../close.ts";
import { evaluateGraph } from "./graph.ts";

/** Where the inputs are drawn from, and integer inputs that are not differentiated. */
export interface DifferenceOptions {
  readonly low?: number;
  readonly high?: number;
  readonly fixed?: Readonly<Record<string, ArrayLike<number>>>;
}

/** Numbers in [low, high), the same for the same name. */
export function sampleValues(name: string, size: number, low = -1, high = 1): Float64Array {
  const uniform = hostUniform(deriveKey(1, name), [1, size], 0);
  return Float64Array.from(uniform, (u) => low + (high - low) * u);
}

/**
 * Compares the gradients of sum(P * build(...inputs)) for a random P with
 * (f(x + h) - f(x - h)) / 2h, for every element of every input of the given shapes.
 */
export function assertGradients(
  name: string,
  shapes: readonly Shape[],
  build: (...inputs: Tensor[]) => Tensor,
  { low = -1, high = 1, fixed = {} }: DifferenceOptions = {},
): void {
  const inputs = shapes.map((shape, i) => input(`x${i}`, shape));
  const values: Record<string, Float64Array> = {};
  inputs.forEach((x, i) => values[`x${i}`] = sampleValues(`${name} x${i}`, x.size, low, high));
  const y = build(...inputs);
  const probe = input("probe", y.shape);
  values.probe = sampleValues(`${name} probe`, y.size);
  const loss = sum(mul(y, probe));
  const all = { ...values, ...fixed };

  const found = evaluateGraph(grad(loss, inputs), { inputs: all });
  inputs.forEach((x, i) => {
    const point = values[`x${i}`];
    const step = 1e-5;
    const at = (index: number, value: number) => {
      const moved = point.with(index, value);
      return evaluateGraph([loss], { inputs: { ...all, [`x${i}`]: moved } })[0][0];
    };
    const expected = point.map((value, j) =>
      (at(j, value + step) - at(j, value - step)) / (2 * step)
    );
    assertClose(found[i], expected, { rel: 1e-7, abs: 1e-8 }, `${name}, input ${i} [${x.shape}]`);
  });
}
