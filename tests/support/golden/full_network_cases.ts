/** Networks of the published sizes against their fixtures, with weights from the hash. */

import { assertClose } from "../close.ts";
import { bothFiles, goldenJson, goldenTensor, withGolden } from "./fixtures.ts";
import { hashedValues } from "./hash.ts";
import type { NetCase } from "./network_cases.ts";
import {
  assertDigest,
  assertLike,
  type GradientDigest,
  LoadedNetwork,
  type NetFixture,
  officialImage,
} from "./network_fixture.ts";

interface FullFixture extends NetFixture {
  readonly config: Readonly<Record<string, unknown>> & {
    readonly noise_schedule: string;
    readonly f_type: string;
    readonly temb_type: string;
  };
  readonly salt: string;
  readonly grad_digest: Readonly<Record<string, GradientDigest>>;
  readonly act_digest: Readonly<
    Record<string, { readonly std: number; readonly probe_dot: number }>
  >;
}

const caseOf = (name: string): NetCase => ({
  name: `${name}: outputs, blocks and gradients agree with the official network`,
  run: async (evaluate) => {
    const fixture = goldenJson<FullFixture>(name);
    const loaded = new LoadedNetwork(name, fixture);
    const { golden } = loaded;
    const { noise_schedule: schedule, temb_type: temb, f_type } = fixture.config;
    const pass = { schedule, temb };
    const { raw, gradX, gradients, modules } = await loaded.backward(evaluate, pass);

    const tolerance = { rel: 1e-4, abs: 1e-5 };
    assertLike(raw, goldenTensor(golden, "F"), tolerance, "F");
    const out = loaded.precondition(raw, pass, f_type);
    assertLike(out, goldenTensor(golden, "out"), tolerance, "out");
    const expected = goldenTensor(golden, "grad.x").data;
    assertClose(officialImage(gradX, loaded.x), expected, { rel: 5e-4 }, "grad.x");
    for (const [parameter, actual] of gradients) {
      assertDigest(fixture.salt, parameter, actual, fixture.grad_digest[parameter], { rel: 2e-3 });
    }
    for (const [module, { tensor, data }] of modules) {
      const [batch, ...shape] = tensor.shape;
      const first = Float64Array.from(
        Array.prototype.slice.call(data, 0, tensor.size / batch) as number[],
      );
      const [mean, std] = statistics(first);
      const digest = fixture.act_digest[module];
      assertClose([std], [digest.std], { rel: 1e-4 }, `deviation of ${module}`);
      const official = shape.length === 3 ? officialImage(first, { shape: [1, ...shape] }) : first;
      const probe = hashedValues(`probe.act.${module}`, first.length, 1, 0);
      const dot = official.reduce((sum, value, i) => sum + value * probe[i], 0);
      const norm = Math.hypot(mean, std) * Math.sqrt(first.length);
      assertClose([dot], [digest.probe_dot], { abs: 1e-4 * norm }, `probe of ${module}`);
    }
  },
});

/** All comparisons of full-size networks: about 0.2 TFLOP each. */
export const FULL_CASES: readonly NetCase[] = ["full_cifar10", "full_dit_s2"].flatMap((name) =>
  withGolden(bothFiles(name), () => [caseOf(name)]) ?? []
);

/** Mean and standard deviation. */
function statistics(data: Float64Array): [number, number] {
  const mean = data.reduce((sum, value) => sum + value, 0) / data.length;
  return [mean, Math.sqrt(data.reduce((sum, v) => sum + (v - mean) ** 2, 0) / data.length)];
}
