/** The objective, evaluated in float64 by the reference interpreter. */

import { deepEqual, equal, ok, throws } from "node:assert/strict";
import { UsageError } from "../../lib/base/errors.ts";
import { type ImmConfig, immConfig } from "../../lib/imm/config.ts";
import { kernel, mmdSquared } from "../../lib/imm/kernel.ts";
import { objective, type Pass } from "../../lib/imm/objective.ts";
import { COEFFICIENTS, groupCoefficients, withTargets } from "../../lib/imm/times.ts";
import {
  add,
  grad,
  input,
  mul,
  pairwiseSquaredDistance,
  sum,
  tanh,
  type Tensor,
} from "../../lib/tensor/mod.ts";
import { assertClose } from "../support/close.ts";
import { immCases } from "../support/golden/objective_cases.ts";
import { evaluateGraph } from "../support/reference/graph.ts";

for (const { name, build } of immCases) {
  Deno.test(`objective in float64: ${name}`, () => {
    const { inputs, outputs, check } = build();
    const names = Object.keys(outputs);
    const data = Object.fromEntries(inputs.map(({ name, data }) => [name, data]));
    const values = evaluateGraph(Object.values(outputs), { inputs: data });
    check(Object.fromEntries(names.map((name, i) => [name, values[i]])), "float64");
  });
}

/** Numbers between -1 and 1 without a pattern. */
function numbers(count: number, salt: number): Float64Array {
  return Float64Array.from(
    { length: count },
    (_, i) => Math.sin(12.9898 * (i + 1) + 78.233 * salt),
  );
}

const KERNELS: ImmConfig["kernel"][] = ["laplace", "rbf", "energy", "pseudo_huber"];

/** Loss and its gradients for networks F = p_0 tanh(x_in + p_1) with parameters of their own. */
function toyObjective(config: ImmConfig, parameters: Record<Pass, ArrayLike<number>>) {
  const [G, D] = [2, 3];
  const shape = [G * config.M, D];
  const [x, noise] = [input("x", shape), input("noise", shape)];
  const coefficients = input("coefficients", [COEFFICIENTS.length, G]);
  const p: Record<Pass, [Tensor, Tensor]> = {
    student: [input("student0", []), input("student1", [])],
    target: [input("target0", []), input("target1", [])],
  };
  const { loss } = objective(config, {
    x,
    noise,
    coefficients,
    network: (xIn, pass) => mul(tanh(add(xIn, p[pass][1])), p[pass][0]),
  });
  const values = groupCoefficients(config, withTargets(config, [0.1, 0.3], [0.6, 0.9]));
  const outputs = [loss, ...grad(loss, [...p.student, ...p.target])];
  return evaluateGraph(outputs, {
    inputs: {
      x: numbers(x.size, 1),
      noise: numbers(x.size, 2),
      coefficients: COEFFICIENTS.flatMap((name) => [...values[name]]),
      student0: [parameters.student[0]],
      student1: [parameters.student[1]],
      target0: [parameters.target[0]],
      target1: [parameters.target[1]],
    },
  }).map(([value]) => value);
}

Deno.test("gradients through the network are the finite differences with the target frozen", () => {
  for (const kernel of KERNELS) {
    const config = immConfig({ kernel, M: 3, k: 3, eps: 0.006, parameterization: "simple_edm" });
    const p = [0.7, 0.2];
    const [, ...gradients] = toyObjective(config, { student: p, target: p });
    for (const i of [0, 1]) {
      const h = 1e-5;
      const loss = (delta: number) => {
        const student = p.map((value, j) => j === i ? value + delta : value);
        return toyObjective(config, { student, target: p })[0];
      };
      const difference = (loss(h) - loss(-h)) / (2 * h);
      assertClose([gradients[i]], [difference], { rel: 1e-6 }, `${kernel}, parameter ${i}`);
      ok(Math.abs(difference) > 1e-6, "the test must see a gradient");
    }
    deepEqual(gradients.slice(2), [0, 0], "the target has no gradient");
  }
});

Deno.test("where r = s the target is x_s in every bit, whatever the network says", () => {
  for (const interpolant of ["fm", "vp_cosine"] as const) {
    for (const parameterization of ["identity", "simple_edm"] as const) {
      const config = immConfig({ interpolant, parameterization, M: 1, k: 1, eps: 0.006 });
      const times = withTargets(config, [0.4], [0.401]);
      equal(times.r[0], 0.4);
      const [x, noise] = [input("x", [1, 4]), input("noise", [1, 4])];
      const coefficients = input("coefficients", [COEFFICIENTS.length, 1]);
      const { xR, yR } = objective(config, {
        x,
        noise,
        coefficients,
        network: (xIn) => mul(xIn, 1e6),
      });
      const values = groupCoefficients(config, times);
      const [xs, ys] = evaluateGraph([xR, yR], {
        inputs: {
          x: numbers(4, 3),
          noise: numbers(4, 4),
          coefficients: COEFFICIENTS.flatMap((name) => [...values[name]]),
        },
      });
      deepEqual(ys, xs);
    }
  }
});

Deno.test("equal particles give no gradient and no NaN, on the diagonal and off it", () => {
  for (const kernelName of KERNELS) {
    const config = immConfig({ kernel: kernelName });
    const [yT, yR] = [input("yT", [1, 2, 3]), input("yR", [1, 2, 3])];
    const kernelWeight = input("kernelWeight", [1]);
    const loss = sum(mmdSquared(config, yT, yR, kernelWeight));
    const same = Float64Array.of(0.1, 0.2, 0.3, 0.1, 0.2, 0.3);
    const [value, gradient] = evaluateGraph([loss, grad(loss, [yT])[0]], {
      inputs: { yT: same, yR: same, kernelWeight: [1e6] },
    });
    equal(value[0], 0, kernelName);
    ok(gradient.every((g) => g === 0), kernelName);
  }
});

Deno.test("below kernelEps the Laplace kernel is flat, above it its slope has constant size", () => {
  const config = immConfig({ kernel: "laplace", kernelEps: 1e-4 });
  const D = 2;
  const [a, b] = [input("a", [1, 1, D]), input("b", [1, 1, D])];
  const weight = input("w", [1, 1, 1]);
  const k = kernel(config, pairwiseSquaredDistance(a, b), weight, D);
  const slope = (distance: number) => {
    const [gradient] = evaluateGraph(grad(sum(k), [a]), {
      inputs: { a: [distance, 0], b: [0, 0], w: [3] },
    });
    return gradient[0];
  };
  equal(slope(0.99e-4), 0);
  for (const distance of [1.01e-4, 1e-3]) {
    const expected = -3 / D * Math.exp(-3 * distance / D);
    assertClose([slope(distance)], [expected], { rel: 1e-12 }, `distance ${distance}`);
  }
});

Deno.test("the loss keeps its digits where the kernels differ in the twelfth", () => {
  const config = immConfig({ kernel: "laplace" });
  const [yT, yR] = [input("yT", [1, 1, 1]), input("yR", [1, 1, 1])];
  const [value] = evaluateGraph([mmdSquared(config, yT, yR, input("w", [1]))], {
    inputs: { yT: [0.5], yR: [0.5 + 2e-4], w: [1e-9] },
  });
  // k(y_t, y_t) is at the clamp: 2 (exp(-1e-13) - exp(-2e-13)) = 2e-13, far below float64's 1 - eps.
  assertClose(value, [2e-13], { rel: 1e-9 }, "mmd");
});

Deno.test("losses of shards add up to the batch's, and a batch must be whole groups", () => {
  const config = immConfig({ M: 2 });
  const build = (B: number, batchGroups?: number) => {
    const inputs = ["x", "noise"].map((name) => input(name, [B, 2]));
    const coefficients = input("coefficients", [COEFFICIENTS.length, Math.ceil(B / 2)]);
    return objective(config, {
      x: inputs[0],
      noise: inputs[1],
      coefficients,
      network: (xIn) => tanh(xIn),
      batchGroups,
    }).loss;
  };
  const s = [0.2, 0.3];
  const t = [0.8, 0.4];
  const data = numbers(8, 5);
  const evaluate = (loss: Tensor, from: number, to: number) => {
    const times = withTargets(config, s.slice(from, to), t.slice(from, to));
    const values = groupCoefficients(config, times);
    const rows = data.slice(from * 4, to * 4);
    return evaluateGraph([loss], {
      inputs: {
        x: rows,
        noise: rows.map((v) => v * v),
        coefficients: COEFFICIENTS.flatMap((name) => [...values[name]]),
      },
    })[0][0];
  };
  const whole = evaluate(build(4), 0, 2);
  const parts = evaluate(build(2, 2), 0, 1) + evaluate(build(2, 2), 1, 2);
  assertClose([parts], [whole], { rel: 1e-12 }, "sum of shards");
  throws(() => build(3), UsageError);
});
