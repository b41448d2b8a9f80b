/**
 * A small computation with a known result, forward and backward, to tell whether a device computes
 * correctly: a matrix product, a softmax, a weighted sum and its gradient.
 *
 * @module
 */

import { compile } from "../../lib/compile/compile.ts";
import type { Device } from "../../lib/device/device.ts";
import { grad, input, matmul, mul, softmax, sum } from "../../lib/tensor/mod.ts";

/** How a device did. */
export interface SelfTest {
  readonly passed: boolean;
  /** Largest difference from the values computed in float64, relative to the largest value. */
  readonly worstError: number;
  /** Compiling, running and reading back. */
  readonly milliseconds: number;
}

/** Float32 arithmetic with another order of summation stays well below this. */
const TOLERANCE = 1e-5;

// Odd sizes: every kernel has a ragged edge.
const ROWS = 37;
const INNER = 53;
const COLUMNS = 29;

/** Runs the test. Throws what the device throws. */
export async function selfTest(device: Device): Promise<SelfTest> {
  const started = performance.now();
  const a = input("a", [ROWS, INNER]);
  const b = input("b", [INNER, COLUMNS]);
  const w = input("w", [ROWS, COLUMNS]);
  const probabilities = softmax(matmul(a, b));
  const loss = sum(mul(probabilities, w));
  const [gradient] = grad(loss, [a]);
  const plan = compile({
    label: "self-test",
    inputs: [a, b, w],
    outputs: { probabilities, loss, gradient },
    updates: [],
  });
  const executable = await device.prepare(plan, new Map());
  try {
    const data = {
      a: wave(ROWS * INNER, 1),
      b: wave(INNER * COLUMNS, 2),
      w: wave(ROWS * COLUMNS, 3),
    };
    executable.run(data);
    const found = await executable.read(["probabilities", "loss", "gradient"]);
    const expected = reference(data);
    const worstError = Math.max(
      relativeError(found.probabilities, expected.probabilities),
      relativeError(found.loss, expected.loss),
      relativeError(found.gradient, expected.gradient),
    );
    const milliseconds = performance.now() - started;
    // Written so that NaN fails.
    return { passed: worstError <= TOLERANCE, worstError, milliseconds };
  } finally {
    executable.destroy();
  }
}

/** Smooth values of both signs that repeat nowhere. */
function wave(length: number, frequency: number): Float32Array {
  return Float32Array.from({ length }, (_, i) => Math.sin(frequency * (i + 1)) * 0.7);
}

/** The same in float64: p = softmax(a b), loss = sum(p w), d loss / d a = (p (w - sum p w)) b^T. */
function reference({ a, b, w }: Record<"a" | "b" | "w", Float32Array>) {
  const probabilities = new Float64Array(ROWS * COLUMNS);
  const gradient = new Float64Array(ROWS * INNER);
  let loss = 0;
  for (let i = 0; i < ROWS; i++) {
    const row = probabilities.subarray(i * COLUMNS, (i + 1) * COLUMNS);
    for (let j = 0; j < COLUMNS; j++) {
      for (let k = 0; k < INNER; k++) row[j] += a[i * INNER + k] * b[k * COLUMNS + j];
    }
    const largest = Math.max(...row);
    const total = row.reduce((sum, x) => sum + Math.exp(x - largest), 0);
    let weighted = 0;
    for (let j = 0; j < COLUMNS; j++) {
      row[j] = Math.exp(row[j] - largest) / total;
      weighted += row[j] * w[i * COLUMNS + j];
    }
    loss += weighted;
    for (let k = 0; k < INNER; k++) {
      for (let j = 0; j < COLUMNS; j++) {
        gradient[i * INNER + k] += row[j] * (w[i * COLUMNS + j] - weighted) * b[k * COLUMNS + j];
      }
    }
  }
  return { probabilities, gradient, loss: Float64Array.of(loss) };
}

function relativeError(found: ArrayLike<number>, expected: Float64Array): number {
  if (found.length !== expected.length) return NaN;
  let worst = 0;
  let largest = 0;
  for (let i = 0; i < expected.length; i++) {
    const error = Math.abs(found[i] - expected[i]);
    if (!(error <= worst)) worst = error;
    largest = Math.max(largest, Math.abs(expected[i]));
  }
  return worst / largest;
}
