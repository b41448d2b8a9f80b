/** `imm convert`. @module */

import { extname } from "jsr:@std/path@1.0.8";
import { averageBeside } from "../lib/convert/averages.ts";
import {
  type ConvertOptions,
  findModelIn,
  modelBytes,
  writeConverted,
  writeStateDict,
} from "../lib/convert/convert.ts";
import { filesOf, findForeign, openForeign } from "../lib/convert/foreign_file.ts";
import { parseLatentNote } from "../lib/data/latents/note.ts";
import { UsageError } from "../lib/base/errors.ts";
import { claimOutputs } from "../lib/files/outputs.ts";
import type { ImmConfig } from "../lib/imm/config.ts";
import {
  fromOfficial,
  isOfficialMethod,
  isOfficialNetwork,
  methodFromOfficial,
  toOfficial,
} from "../lib/models/official.ts";
import { PUBLIC_MODELS, publicModel } from "../lib/models/public_models.ts";
import { TRAIN_SETTINGS } from "../lib/train/config/config.ts";
import { applySettings } from "../lib/train/config/settings.ts";
import { formatBytes } from "../lib/base/units.ts";
import { choice, type Parsed, settings, text } from "./base/options.ts";
import { outputOptions } from "./base/output_options.ts";
import { defineVerb } from "./base/verb.ts";

const options = {
  out: text({ help: "file to write", value: "FILE", required: true }),
  to: choice(["safetensors", "torch"], {
    help: "what to write: a model of this program, or a state dict for PyTorch (default: by the " +
      "name of the file; .pt and .pth are PyTorch's)",
  }),
  preset: choice(PUBLIC_MODELS, {
    help: "the file is this model of the public release: its configuration",
    value: "NAME",
  }),
  config: text({
    help: "configuration: JSON with the keys network and imm, or keyword arguments of IMMPrecond",
    value: "FILE",
  }),
  set: settings(TRAIN_SETTINGS.filter((key) => /^(?:network|imm)\./.test(key)), {
    help: "override a key, as imm.timeConditioning=stride or network.numHeads=16",
  }),
  weights: text({
    help: "which weights of a checkpoint: the beginning of their names, a dot for none (default: " +
      "the average)",
    value: "PREFIX",
  }),
  latents: text({
    help: "note how the latents that it was trained on were normalised, for decoders: imm, edm2, " +
      'or {"mean": […], "std": […], "finalStd": 0.5} (default: the preset\'s, or as the file says)',
    value: "STATISTICS",
  }),
  dtype: choice(["f32", "f16", "bf16"], { help: "type of the numbers", default: "f32" }),
  ...outputOptions,
};

/** The verb. */
export const verb = defineVerb({
  name: "convert",
  summary: "bring models from PyTorch and take them back",
  usage: "imm convert FILE|RUN --out FILE [options]",
  examples: [
    {
      command: "imm convert cifar10.pt --preset cifar10 --out cifar10.safetensors",
      does: "a checkpoint of the public release",
    },
    {
      command: "imm convert network-snapshot.pkl --out model.safetensors",
      does: "a pickled module of the EDM family, which says itself what it is",
    },
    {
      command: "imm convert runs/digits --to torch --out digits.pt",
      does: "a state dict that torch.load(..., weights_only=True) opens",
    },
  ],
  positionals: {
    value: "FILE|RUN",
    help: "PyTorch checkpoint, pickle, .safetensors or .npz, or the folder of a training run",
    min: 1,
    max: 1,
  },
  options,
  async run(args, terminal) {
    const path = await findForeign(args._[0]);
    const convertOptions = await readOptions(args);
    const out = { option: "--out", path: args.out, replace: args.overwrite };
    using _claim = await claimOutputs([out], [...await filesOf(path), args.config]);
    const to = args.to ?? (/^\.pth?$/i.test(extname(args.out)) ? "torch" : "safetensors");
    const part = /^(.*)-\d{5}-of-\d{5}(\.\w+)$/.exec(path);
    if (part !== null) {
      throw new UsageError(
        `${path} is one part of a model; give the list of all of them, ${part[1]}${part[2]}.index` +
          `.json, or their folder.`,
      );
    }
    using file = await openForeign(path);
    const model = findModelIn(file, convertOptions);
    for (const assumption of model.assumptions) terminal.say(`supposed: ${assumption}`);
    if (model.others.length > 0) {
      terminal.say(
        `took the weights under ${quoted(model.prefix)}; the file also has ` +
          `${model.others.map(quoted).join(", ")} (--weights)`,
      );
    }
    const beside = model.average ? null : await averageBeside(path);
    if (beside !== null) {
      terminal.warn(
        `${beside} lies beside ${path} and seems to be the average of its weights, which ` +
          "samples are usually made with",
      );
    }
    if (!model.network.sEmbed) {
      terminal.warn(
        `the network of ${path} is not told the second time, as IMM needs for more than one ` +
          "step: it may be a model of another method",
      );
    }
    const progress = terminal.progress("converting", model.tensors.length, "tensors");
    let done = 0;
    const onTensor = () => progress.update(++done);
    try {
      const write = to === "torch" ? writeStateDict : writeConverted;
      await write(args.out, model, { type: args.dtype, onTensor });
    } finally {
      progress.finish();
    }
    const { network, imm, objective, parameterCount } = model;
    const bytes = modelBytes(model, args.dtype);
    const result = {
      path: args.out,
      to,
      from: file.format,
      weights: model.prefix.replace(/\.$/, ""),
      tensorCount: model.tensors.length,
      parameters: parameterCount,
      bytes,
      network,
      imm,
      ...(objective ? { objective } : {}),
      official: imm && isOfficialNetwork(network) ? toOfficial(network, imm) : null,
    };
    terminal.result(
      result,
      () =>
        `${args.out}: ${network.type}, ${parameterCount.toLocaleString("en")} parameters, ` +
        `${formatBytes(bytes)} of ${args.dtype}`,
    );
  },
});

/** What the options say about the model. @throws {UsageError} when they are wrong */
async function readOptions(args: Parsed<typeof options>): Promise<ConvertOptions> {
  if (args.preset !== undefined && args.config !== undefined) {
    throw new UsageError("--preset and --config both name a configuration; give one of them.");
  }
  const given = applySettings({ network: {}, imm: {} }, args.set);
  const unknown = Object.keys(given).find((key) => key !== "network" && key !== "imm");
  if (unknown !== undefined) {
    throw new UsageError(`--set expects keys of network or imm, but got "${unknown}".`);
  }
  return {
    weights: args.weights,
    model: args.preset === undefined ? undefined : publicModel(args.preset),
    config: args.config === undefined ? undefined : await readConfig(args.config),
    settings: given,
    latents: args.latents === undefined ? undefined : parseLatentNote(args.latents, "--latents"),
  };
}

/** A configuration file: ours, with `network` and `imm`, or keyword arguments of `IMMPrecond`. */
async function readConfig(path: string): Promise<NonNullable<ConvertOptions["config"]>> {
  const text = await Deno.readTextFile(path).catch((error) => {
    throw new UsageError(`--config: ${path} cannot be read: ${(error as Error).message}`);
  });
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    throw new UsageError(`--config: ${path} is not JSON: ${(error as Error).message}`);
  }
  const keys = typeof value === "object" && value !== null ? value as Record<string, unknown> : {};
  if (typeof keys.model_type === "string") {
    const imm: ImmConfig | undefined = isOfficialMethod(keys)
      ? methodFromOfficial(keys)
      : undefined;
    return { network: fromOfficial(keys), imm };
  }
  const { network, imm, objective } = keys;
  if ([network, imm, objective].every((section) => typeof section !== "object")) {
    throw new UsageError(
      `--config: ${path} has neither network nor imm, as the config.json of a run has, nor ` +
        `model_type, as the keyword arguments of the public code's IMMPrecond.`,
    );
  }
  return {
    network: (network as object | undefined) ?? undefined,
    imm: (imm as object | undefined) ?? undefined,
    objective: (objective as object | undefined) ?? undefined,
  };
}

function quoted(prefix: string): string {
  return `"${prefix.replace(/\.$/, "")}"`;
}
