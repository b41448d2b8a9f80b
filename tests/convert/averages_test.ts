/** Averages in the layouts that trainers leave; the names are those that their libraries wrote. */

import assert from "node:assert/strict";
import { join } from "jsr:@std/path@1.0.8";
import { bytesOf } from "../../lib/base/arrays.ts";
import { averageBeside } from "../../lib/convert/averages.ts";
import { findModelIn } from "../../lib/convert/convert.ts";
import type { ForeignFile, ForeignTensor } from "../../lib/convert/formats/format.ts";
import { FormatError, UsageError } from "../../lib/base/errors.ts";
import { IMM_DEFAULTS } from "../../lib/imm/config.ts";
import type { Model } from "../../lib/models/model_file.ts";
import { createNetwork } from "../../lib/models/registry.ts";
import { withTempFolder } from "../support/files.ts";
import { exampleModel } from "../support/examples/models.ts";

const model = exampleModel("ncsnpp");
const { specs } = createNetwork(model.network).parameters;
const isTrained = (name: string) => specs.get(name)?.trainable === true;

type Tensors = [string, ForeignTensor][];

/** The tensors of the model, those that are trained plus `add`. */
function tensors(
  rename: (name: string) => string | null,
  { add = 0, only = () => true }: { add?: number; only?: (name: string) => boolean } = {},
): Tensors {
  return [...model.weights].filter(([name]) => only(name)).flatMap(
    ([name, { shape, data }]): Tensors => {
      const renamed = rename(name);
      const bytes = bytesOf(isTrained(name) ? data.map((value) => value + add) : data);
      return renamed === null
        ? []
        : [[renamed, { type: "f32", shape, read: () => Promise.resolve(bytes) }]];
    },
  );
}

const current = (prefix: string) => tensors((name) => prefix + name);
const averaged = (prefix: string, only?: (name: string) => boolean) =>
  tensors((name) => prefix + name, { add: 1, only });
const count = (name: string): Tensors => [[name, {
  type: "i64",
  shape: [],
  read: () => Promise.resolve(new Uint8Array(8)),
}]];
/** A list without names, as `shadow_params`. */
function list(prefix: string, only: (name: string) => boolean): Tensors {
  return averaged("", (name) => specs.has(name) && only(name)).map((
    [, tensor],
    i,
  ) => [`${prefix}.${i}`, tensor]);
}
/** LitEma's names have no dots. */
const dotless = (prefix: string, lead = "") =>
  tensors((name) => prefix + (lead + name.replace("model.", "")).replaceAll(".", ""), {
    add: 1,
    only: isTrained,
  });

function file(tensors: Tensors): ForeignFile {
  return {
    name: "a.pt",
    format: "PyTorch archive",
    bytes: 0,
    tensors: new Map(tensors),
    metadata: {},
    value: null,
    unknown: [],
    [Symbol.dispose]: () => {},
  };
}

const find = (tensors: Tensors, options: { weights?: string; guess?: boolean } = {}) =>
  findModelIn(file(tensors), { settings: { network: {}, imm: IMM_DEFAULTS }, ...options });

/** Checks that what is found is the model, its trained parameters plus `add`. */
async function holds(found: ReturnType<typeof findModelIn>, add: number): Promise<void> {
  assert.deepEqual(found.network, { ...model.network, dropout: 0 } as Model["network"]);
  for (const { name, read } of found.tensors) {
    const { data } = model.weights.get(name)!;
    assert.deepEqual(
      await read(),
      isTrained(name) ? data.map((value) => value + add) : data,
      name,
    );
  }
}

const LAYOUTS: Record<string, [prefix: string, tensors: Tensors]> = {
  "DiT, EDM: ema": ["ema.model.", [...current("model."), ...averaged("ema.")]],
  "k-diffusion: model_ema": [
    "model_ema.inner_model.model.",
    [...current("model.inner_model."), ...averaged("model_ema.inner_model.")],
  ],
  "torchcfm: ema_model": [
    "ema_model.model.",
    [...current("net_model."), ...averaged("ema_model.")],
  ],
  "timm: state_dict_ema": [
    "state_dict_ema.model.",
    [...current("state_dict."), ...averaged("state_dict_ema.")],
  ],
  "BasicSR: params_ema": ["params_ema.model.", [...current("params."), ...averaged("params_ema.")]],
  "torch AveragedModel under any name": [
    "smoothed.module.model.",
    [...current("model."), ...count("smoothed.n_averaged"), ...averaged("smoothed.module.")],
  ],
  "ema_pytorch, with the weights that it averages": [
    "ema.ema_model.model.",
    [
      ...current("model."),
      ...count("ema.initted"),
      ...current("ema.online_model."),
      ...averaged("ema.ema_model."),
    ],
  ],
  "Lightning's WeightAveraging": [
    "state_dict.model.",
    [...averaged("state_dict."), ...current("current_model_state.")],
  ],
  "a dictionary of the trained parameters: shadow": [
    "ema.shadow.model.",
    [...current("model."), ...averaged("ema.shadow.", isTrained)],
  ],
  "OpenAI's file of the average alone": [
    "",
    averaged("").map(([name, tensor]) => [
      name.replace("model.", ""),
      tensor,
    ]),
  ],
  "Lightning with LitEma: names without dots": [
    "state_dict.model_ema.diffusion_model",
    [
      ...tensors((name) => `state_dict.model.diffusion_model.${name.replace("model.", "")}`),
      ...count("state_dict.model_ema.decay"),
      ...count("state_dict.model_ema.num_updates"),
      ...dotless("state_dict.model_ema.", "diffusion_model."),
    ],
  ],
  "LitEma of the network itself": [
    "state_dict.model_ema.",
    [...current("state_dict."), ...dotless("state_dict.model_ema.")],
  ],
  "diffusers EMAModel: all parameters, no names": [
    "ema.shadow_params.",
    [...current("model."), ...list("ema.shadow_params", () => true)],
  ],
  "torch_ema, score_sde: the trained ones, no names": [
    "ema.shadow_params.",
    [...current("model."), ...list("ema.shadow_params", isTrained)],
  ],
};

for (const [layout, [prefix, tensors]] of Object.entries(LAYOUTS)) {
  Deno.test(`the average is found: ${layout}`, async () => {
    const found = find(tensors);
    assert.equal(found.prefix, prefix);
    await holds(found, 1);
  });
}

Deno.test("the current weights are taken where they are asked for, in every layout", async () => {
  for (const [layout, [, tensors]] of Object.entries(LAYOUTS)) {
    const { others } = find(tensors);
    for (const other of others) {
      const found = find(tensors, { weights: other.replace(/\.$/, "") });
      assert.equal(found.prefix, other, layout);
      await holds(found, 0);
    }
  }
});

Deno.test("an average that is seen but not understood stops, and is not taken for no average", async () => {
  const strange: Record<string, [group: RegExp, tensors: Tensors]> = {
    mmcv: [
      /"state_dict\.ema"/,
      [
        ...current("state_dict."),
        ...tensors((name) => `state_dict.ema_${name.replaceAll(".", "_")}`, { add: 1 }),
      ],
    ],
    NeMo: [
      /"optimizer_states\.0\.ema"/,
      [
        ...current("state_dict."),
        ...list("optimizer_states.0.ema", () => true),
      ],
    ],
    "names that have other words in them": [
      /"weights_ema"/,
      [
        ...current("model."),
        ...averaged("").map(([, tensor], i): Tensors[0] => [
          `weights_ema.p${i}`,
          tensor,
        ]),
      ],
    ],
  };
  for (const [trainer, [group, tensors]] of Object.entries(strange)) {
    assert.throws(() => find(tensors), (error) => {
      assert(error instanceof UsageError, String(error));
      assert.match(error.message, group, trainer);
      assert.match(error.message, /not understood.*take the current weights with --weights/);
      return true;
    });
    const { assumptions } = find(tensors, { guess: true });
    const weights = /--weights (\S+)\.$/.exec(assumptions.at(-1)!);
    await holds(find(tensors, { weights: weights![1] }), 0);
  }
  // Without names, and not in the order of the network.
  const shuffled = list("ema.shadow_params", () => true).map((
    [name],
    i,
    all,
  ): Tensors[0] => [name, all[all.length - 1 - i][1]]);
  assert.throws(
    () => find([...current("model."), ...shuffled]),
    (error) => error instanceof FormatError && /without names.*other shapes/.test(error.message),
  );
});

Deno.test("several networks of which none is called an average are not chosen among", async () => {
  const ddim = [...current("0."), ...averaged("4.")];
  assert.throws(
    () => find(ddim),
    (error) =>
      error instanceof UsageError &&
      /several networks: "0\.model", "4\.model"; one may be the average/.test(error.message),
  );
  await holds(find(ddim, { weights: "4" }), 1);
  // The list has what is trained alone; without the rest it would be another network.
  const trained = [...current("0."), ...averaged("4.", isTrained)];
  const found = find(trained, { weights: "4" });
  await holds(found, 1);
  assert.match(
    found.assumptions.at(-1)!,
    /^7 tensors that are not under "4\.model" \(.*"0\.model"/,
  );
  assert.throws(
    () => find([...averaged("ema.0.9."), ...averaged("ema.0.99.")]),
    /several averages: "ema\.0\.9\.model", "ema\.0\.99\.model"/,
  );
  // The same numbers under two names are one network.
  const twice = [...current("net."), ...current("model.")].map(([name, tensor]): Tensors[0] => [
    name,
    { ...tensor, place: name.replace(/^.*?\./, "") },
  ]);
  await holds(find(twice), 0);
});

Deno.test("an average in a file of its own is noticed", async () => {
  await withTempFolder(async (folder) => {
    const names = [
      ..."model050000.pt model000001.pt ema_0.9999_050000.pt opt050000.pt".split(" "),
      ..."last.ckpt last-EMA.ckpt net.pth net_ema.pth net_ema.json other.pth".split(" "),
    ];
    for (const name of names) await Deno.writeTextFile(join(folder, name), "");
    const beside = (name: string) => averageBeside(join(folder, name));
    assert.equal(await beside("model050000.pt"), "ema_0.9999_050000.pt");
    assert.equal(await beside("last.ckpt"), "last-EMA.ckpt");
    assert.equal(await beside("net.pth"), "net_ema.pth");
    for (const name of ["model000001.pt", "ema_0.9999_050000.pt", "net_ema.pth", "other.pth"]) {
      assert.equal(await beside(name), null, name);
    }
  });
});

Deno.test("moments of an optimiser are no average", async () => {
  const adam = ["exp_avg", "exp_avg_sq", "max_exp_avg_sq", "ema_grad"].flatMap((moment) =>
    list("", () => true).map(([i, tensor]): Tensors[0] => [
      `optimizer.state${i}.${moment}`,
      tensor,
    ])
  );
  await holds(find([...current("model."), ...adam]), 0);
});
