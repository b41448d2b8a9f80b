/** Every ablation of the paper is an option, and changes what it should: in the numbers of a step. */

import assert from "node:assert/strict";
import { openDevice } from "../../lib/device/open.ts";
import {
  type CoefficientName,
  groupCoefficients,
  type ImmConfig,
  immConfig,
  noiseLabels,
  sampleTimes,
} from "../../lib/imm/mod.ts";
import type { NetworkConfig } from "../../lib/models/registry.ts";
import { createNetwork } from "../../lib/models/registry.ts";
import { hostNormal } from "../../lib/random/threefry.ts";
import { parseTrainConfig } from "../../lib/train/config/config.ts";
import { Learner } from "../../lib/train/step/learner.ts";
import { preset } from "../../lib/train/config/presets.ts";
import { applySettings } from "../../lib/train/config/settings.ts";
import { immObjective, immStep } from "../support/examples/steps.ts";
import { trainingKey } from "../../lib/random/keys.ts";

const BATCH = 16;
const BASE = ["imm.eps=0.006", "imm.T=0.99", "imm.parameterization=simple_edm"];

/** The method with some settings, as `--set` makes it. */
function method(...settings: string[]): ImmConfig {
  return parseTrainConfig(applySettings(preset("toy2d"), [...BASE, ...settings]), { dimensions: 2 })
    .imm!;
}

/** Names of the coefficients that a setting changes, for the same s and t. */
function changed(...settings: string[]): string[] {
  const [base, other] = [method(), method(...settings)];
  const values = (imm: ImmConfig) => {
    const times = sampleTimes(imm, trainingKey(0, "times", 0), 8);
    const { student, target } = noiseLabels({ ...imm, M: 1 }, times);
    return {
      ...groupCoefficients(imm, times),
      r: times.r,
      noiseT: student.first,
      noiseS: student.second,
      noiseSTarget: target.second,
    };
  };
  const [a, b] = [values(base), values(other)];
  return Object.keys(a).filter((name) => {
    const key = name as keyof typeof a;
    return a[key].some((value, i) => value !== b[key][i]);
  }).sort();
}

const both = (...names: string[]): string[] => names.sort();
/** What depends on the parameterization. */
const PRECOND: CoefficientName[] = ["cOutR", "cOutT", "cSkipR", "cSkipT", "kernelWeight"];
/** What depends on r. */
const TARGET = ["alphaR", "cInR", "cOutR", "cSkipR", "noiseSTarget", "r", "sigmaR"];

Deno.test("each setting changes the coefficients that it is about, and no others", () => {
  const cases: [string[], string[]][] = [
    [["imm.parameterization=identity"], both(...PRECOND)],
    [["imm.parameterization=euler_fm"], both(...PRECOND)],
    [["imm.k=6"], both(...TARGET.filter((name) => name !== "noiseSTarget"))],
    [["imm.minGap=0.05"], both(...TARGET.filter((name) => name !== "noiseSTarget"))],
    ...["t", "lambda", "inverse_eta"].map((mapping): [string[], string[]] => [
      [`imm.mapping=${mapping}`],
      both(...TARGET.filter((name) => name !== "noiseSTarget")),
    ]),
    [["imm.a=2"], ["weight"]],
    [["imm.b=1"], ["weight"]],
    [["imm.weighting=none"], ["weight"]],
    [["imm.timeConditioning=stride"], both("noiseS", "noiseSTarget")],
    [["imm.timeScale=100"], both("noiseS", "noiseSTarget", "noiseT")],
    // What is no number of a group is tested below, on the step itself.
    ...["imm.kernel=rbf", "imm.M=2", "imm.target=ema", "imm.bandwidth=2"].map(
      (setting): [string[], string[]] => [[setting], []],
    ),
  ];
  for (const [settings, expected] of cases) {
    assert.deepEqual(changed(...settings), expected, settings.join(" "));
  }
  const schedule = changed("imm.interpolant=vp_cosine");
  for (const name of ["alphaT", "sigmaT", "cOutT", "weight", "r"]) {
    assert(schedule.includes(name), name);
  }
  assert(!schedule.includes("noiseT") && !schedule.includes("noiseS"));
});

Deno.test("kernel, particles, weighting, embedding and target change gradients, each differently", async () => {
  const device = await openDevice({ device: "wasm", threads: 1 });
  try {
    /** Gradients of the third step: by then the average is not the weights. */
    const gradients = async (
      settings: Partial<ImmConfig>,
      network: Partial<NetworkConfig> = {},
    ) => {
      const imm = immConfig({ k: 4, M: 4, eps: 0.006, ...settings });
      const built = createNetwork(
        { type: "mlp", hidden: 8, depth: 1, ...network } as NetworkConfig,
      );
      const learner = await Learner.create(device, built, {
        objective: immObjective(imm),
        optimizer: { name: "adam", lr: 0.01, betas: [0.9, 0.999], eps: 1e-8, weightDecay: 0 },
        batch: BATCH,
        microBatch: BATCH,
        clip: false,
      });
      learner.initialize(built.parameters.initial(0));
      for (let step = 0; step < 3; step++) {
        learner.run(
          immStep(imm, {
            x: hostNormal([1, step], [BATCH, 2], 0),
            times: sampleTimes(imm, trainingKey(0, "times", step), BATCH / imm.M),
            noiseKey: trainingKey(0, "noise", step),
            dropoutKey: trainingKey(0, "dropout", step),
          }),
          { lr: 0.01, emaDecay: 0.9 },
        );
      }
      const found = (await learner.readGradients()).get("model.out.weight")!.data;
      learner.free();
      assert(found.every(Number.isFinite) && found.some((value) => value !== 0));
      return [...found].join(" ");
    };
    const variants: Partial<ImmConfig>[] = [
      {},
      { kernel: "rbf" },
      { kernel: "energy" },
      { kernel: "pseudo_huber" },
      { bandwidth: 0.01 },
      { kernelEps: 1 },
      { M: 1 },
      { M: 2 },
      { M: 8 },
      { weighting: "none" },
      { a: 2 },
      { b: 1 },
      { k: 10 },
      { mapping: "t" },
      { interpolant: "vp_cosine", parameterization: "simple_edm" },
      { parameterization: "simple_edm" },
      { parameterization: "identity" },
      { timeConditioning: "stride" },
      { target: "ema" },
    ];
    const found: string[] = [];
    for (const settings of variants) found.push(await gradients(settings));
    found.push(await gradients({}, { sEmbed: false }));
    const names = [...variants.map((settings) => JSON.stringify(settings)), "without s"];
    found.forEach((each, i) => {
      const first = found.indexOf(each);
      assert.equal(names[i], names[first], `${names[i]} is as ${names[first]}`);
    });
    assert.equal(await gradients({}), found[0]);
  } finally {
    device.close();
  }
});

Deno.test("networks have both embeddings of times, and told of s or not", () => {
  const inputs = (network: Record<string, unknown>) => {
    const built = createNetwork(
      {
        type: "dit",
        imgResolution: 8,
        imgChannels: 1,
        hiddenSize: 16,
        numHeads: 2,
        depth: 1,
        ...network,
      } as NetworkConfig,
    );
    built.parameters.adopt(built.parameters.initial(0));
    return built.timeInputs([100, 500], [50, 60]);
  };
  const [positional, fourier] = ["positional", "fourier"].map((embeddingType) =>
    inputs({ embeddingType })
  );
  assert.notDeepEqual(positional.timeT, fourier.timeT);
  assert.equal(inputs({ sEmbed: false }).timeS, null);
  assert.notEqual(positional.timeS, null);
});
