/** Flow matching: its velocity, its settings, its samplers against PyTorch's states, a run of it. */

import assert from "node:assert/strict";
import { join } from "jsr:@std/path@1.0.8";
import type { Device } from "../../lib/device/device.ts";
import { interpolant } from "../../lib/imm/interpolant.ts";
import { cOut, cSkip } from "../../lib/imm/parameterization.ts";
import { scheduleTimes } from "../../lib/imm/schedule.ts";
import { loadModel } from "../../lib/models/model_file.ts";
import { fromOfficial } from "../../lib/models/official.ts";
import { createNetwork } from "../../lib/models/registry.ts";
import { type FlowConfig, flowTimes, velocityFactors } from "../../lib/objectives/flow.ts";
import { createObjective, objectiveOf, parseObjective } from "../../lib/objectives/registry.ts";
import { Generator } from "../../lib/sample/generator.ts";
import { assertClose } from "../support/close.ts";
import { deviceTest } from "../support/devices/devices.ts";
import { withTempFolder } from "../support/files.ts";
import {
  bothFiles,
  goldenJson,
  goldenTensor,
  goldenTensors,
  withGolden,
} from "../support/golden/fixtures.ts";
import { toDeviceLayout } from "../support/golden/layout.ts";
import {
  classesOf,
  goldenWeights,
  type InitialWeights,
} from "../support/golden/network_fixture.ts";
import { imm, logOf, startArguments } from "../support/examples/runs.ts";

const flow = (settings: object = {}, shared: object = {}) =>
  parseObjective({ objective: { type: "flow", ...settings }, imm: shared }) as FlowConfig;

Deno.test("the velocity of a model is the derivative of f_{s,t} by s, at s = t", () => {
  for (
    const [path, parameterization] of [
      ["fm", "euler_fm"],
      ["fm", "simple_edm"],
      ["fm", "identity"],
      ["vp_cosine", "simple_edm"],
      ["vp_cosine", "identity"],
    ] as const
  ) {
    const config = flow({ interpolant: path, parameterization, eps: 0.01 });
    for (const t of [0.05, 0.3, 0.77, 0.99]) {
      const h = 1e-6;
      const slope = (f: typeof cSkip) => (f(config, t, t) - f(config, t - h, t)) / h;
      const { x, F } = velocityFactors(config, t);
      assertClose([x, F], [slope(cSkip), slope(cOut)], { abs: 2e-4, rel: 1e-4 }, parameterization);
    }
  }
});

Deno.test("the derivatives of a path are its slopes", () => {
  for (const name of ["fm", "vp_cosine"] as const) {
    const path = interpolant(name);
    for (const t of [0, 0.2, 0.9]) {
      const h = 1e-6;
      const found = [path.dAlpha(t), path.dSigma(t)];
      const slopes = [path.alpha, path.sigma].map((f) =>
        (f.call(path, t + h) - f.call(path, t - h)) / (2 * h)
      );
      assertClose(found, slopes, { abs: 1e-8 }, name);
    }
  }
});

Deno.test("times are uniform, or logit-normal with the given mean and width", () => {
  const count = 20_000;
  const mean = (values: Float64Array) => values.reduce((sum, x) => sum + x) / values.length;
  const uniform = flowTimes(flow({ T: 0.9, eps: 0.1 }), [1, 2], count);
  assertClose([mean(uniform)], [0.5], { abs: 0.01 });
  assert(uniform.every((t) => t > 0.1 && t < 0.9));
  const normal = flowTimes(
    flow({ times: "logit_normal", timeMean: -0.4, timeStd: 2 }),
    [1, 2],
    count,
  );
  const logits = normal.map((t) => Math.log(t / (1 - t)));
  const center = mean(logits);
  const width = Math.sqrt(mean(logits.map((z) => (z - center) ** 2)));
  assertClose([center, width], [-0.4, 2], { abs: 0.05 });
});

Deno.test("what IMM and flow matching share is taken from imm, and wrong settings are named", () => {
  const config = flow({ labelDropout: 0.2 }, { sigmaData: 0.7, labelDropout: 0.1, k: 3, T: 0.5 });
  assert.deepEqual([config.sigmaData, config.labelDropout, config.T], [0.7, 0.2, 1]);
  assert.equal("k" in config, false);
  for (
    const [settings, message] of [
      [{ timeMeen: 1 }, /objective\.timeMeen is not a setting; did you mean "objective\.timeMean"/],
      [{ interpolant: "vp_cosine", parameterization: "euler_fm" }, /objective\.parameterization/],
      [{ parameterization: "identity" }, /objective\.eps must be above 0/],
      [{ T: 0.2, eps: 0.3 }, /objective\.eps must be below T = 0\.2/],
    ] as const
  ) assert.throws(() => flow(settings), message);
  assert.throws(() => parseObjective({ objective: { type: "flo" } }), /did you mean "flow"/);
  assert.throws(
    () => parseObjective({ objective: { k: 3 } }),
    /objective\.k is no setting of the objective imm/,
  );
});

interface SampleCase {
  readonly method: "euler" | "heun" | "midpoint";
  readonly steps: number;
  readonly path: "fm" | "vp_cosine";
  readonly coefficients: "euler" | "trig";
  readonly temb_type: "identity" | "stride";
  readonly T: number;
  readonly eps: number;
  readonly times: readonly number[];
  readonly calls: readonly number[];
}

interface SampleFixture {
  readonly tolerances: { readonly relative_to_max: number };
  readonly init: InitialWeights;
  readonly config: Readonly<Record<string, unknown>>;
  readonly cases: Readonly<Record<string, SampleCase>>;
}

withGolden(bothFiles("flow_samples"), () => {
  const fixture = goldenJson<SampleFixture>("flow_samples");
  withGolden([fixture.init.file], () => {
    for (const [name, each] of Object.entries(fixture.cases)) {
      deviceTest(
        `samples follow PyTorch's, step by step: flow_samples ${name}`,
        (device) => follow(device, fixture, name, each),
      );
    }
  });
});

async function follow(device: Device, fixture: SampleFixture, name: string, each: SampleCase) {
  const config = flow({
    interpolant: each.path,
    parameterization: each.coefficients === "euler" ? "euler_fm" : "simple_edm",
    timeConditioning: each.temb_type,
    sigmaData: fixture.config.sigma_data,
    timeScale: fixture.config.time_scale,
    T: each.T,
    eps: each.eps,
  });
  const objective = createObjective(config);
  const times = scheduleTimes(config, { kind: "uniform", steps: each.steps });
  assertClose(times, each.times, { abs: 1e-12 }, "times");
  const steps = objective.samplers[each.method](times);
  assertClose(steps.map(({ cNoiseT }) => cNoiseT / config.timeScale), each.calls, { abs: 1e-9 });
  const tensors = goldenTensors("flow_samples");
  const image = (key: string) => toDeviceLayout(goldenTensor(tensors, key), "nchw").data;
  const { shape: [count] } = goldenTensor(tensors, "latents");
  const labels = tensors.get("labels");
  const network = createNetwork(fromOfficial(fixture.config));
  const generator = await Generator.create(
    device,
    { network: network.config, objective: config, weights: goldenWeights(network, fixture.init) },
    { batch: count },
  );
  const states: Float64Array[] = [];
  await generator.generate({
    seeds: Array.from({ length: count }, (_, i) => i),
    ...(labels ? { labels: classesOf(labels) } : {}),
    latents: image("latents") as Float32Array,
    steps,
    onStep: (_step, x) => states.push(x.slice()),
  });
  generator.free();
  assert.equal(states.length, each.steps);
  for (const [i, state] of states.entries()) {
    const rel = fixture.tolerances.relative_to_max;
    assertClose(state, image(`${name}.step${i}`), { rel }, `step ${i}`);
  }
}

Deno.test("a run of flow matching trains, resumes to the same log, and says what it is", async () => {
  await withTempFolder(async (folder) => {
    const settings = ["objective.type=flow", "objective.times=logit_normal"];
    const [whole, half] = [join(folder, "whole"), join(folder, "half")];
    const done = await imm(...startArguments(whole, settings));
    assert.equal(done.code, 0, done.stderr);
    const begun = await imm(...startArguments(half, [...settings, "train.images=160"]));
    assert.equal(begun.code, 0, begun.stderr);
    const again = await imm("train", "--resume", half, "--set", "train.images=320");
    assert.equal(again.code, 0, again.stderr);
    const losses = async (run: string) =>
      ((await logOf(run)) as { images: number; loss: number }[])
        .map(({ images, loss }) => [images, loss]);
    assert.deepEqual((await losses(half)).at(-1), (await losses(whole)).at(-1));

    const model = await loadModel(join(whole, "model.safetensors"));
    assert.deepEqual([model.imm, model.objective?.type], [undefined, "flow"]);
    assert.deepEqual(Object.keys(objectiveOf(model).samplers), ["heun", "midpoint", "euler"]);
    const info = await imm("info", whole);
    assert.match(info.stdout, /method +flow matching/);

    const out = join(folder, "samples.npz");
    const sample = ["sample", "--checkpoint", whole, "--device", "wasm", "--seeds", "0-3"];
    const wrong = await imm(...sample, "--sampler", "restart", "--out", out);
    assert.equal(wrong.code, 2);
    assert.match(
      wrong.stderr,
      /--sampler restart .* flow matching; choose one of heun, midpoint, euler/,
    );
    const euler = await imm(
      ...sample,
      "--sampler",
      "euler",
      "--steps",
      "5",
      "--out",
      out,
      "--json",
    );
    assert.equal(euler.code, 0, euler.stderr);
    const { sampler, steps } = JSON.parse(euler.stdout);
    assert.deepEqual([sampler, steps], ["euler", 5]);
  });
});
