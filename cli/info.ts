/** `imm info`. @module */

import { describeFile, type FileDescription, tensorBytes } from "../lib/convert/describe.ts";
import { formatBytes, formatDuration } from "../lib/base/units.ts";
import { flag } from "./base/options.ts";
import { defineVerb } from "./base/verb.ts";
import { objectiveTitle } from "../lib/objectives/registry.ts";

/** Classes that are listed by name. */
const SHOWN_CLASSES = 20;

/** The verb. */
export const verb = defineVerb({
  name: "info",
  summary: "show what a model, checkpoint or foreign file holds",
  usage: "imm info FILE|RUN [--tensors]",
  examples: [
    { command: "imm info runs/digits", does: "the model of a training run, and how far it is" },
    { command: "imm info cifar10.pt --tensors", does: "a checkpoint of PyTorch with all names" },
    { command: "imm info model.safetensors --json", does: "everything, for programs" },
  ],
  positionals: {
    value: "FILE|RUN",
    help: "model, checkpoint, PyTorch file, pickle, .npz, or the folder of a training run",
    min: 1,
    max: 1,
  },
  options: { tensors: flag({ help: "list all tensors: name, type, shape" }) },
  async run(args, terminal) {
    const file = await describeFile(args._[0]);
    const { tensors, ...rest } = file;
    const result = {
      ...rest,
      tensorCount: tensors.length,
      tensorBytes: tensorBytes(tensors),
      ...(args.tensors ? { tensors } : {}),
    };
    terminal.result(result, () => [
      ...fileLines(file),
      ...modelLines(file),
      ...trainingLines(file),
      ...(args.tensors ? tensorLines(file) : []),
    ]);
  },
});

function fileLines({ path, format, bytes, tensors, passedOver }: FileDescription): string[] {
  return [
    row("file", path),
    row("format", `${format}, ${formatBytes(bytes)}`),
    row("tensors", `${tensors.length}, ${formatBytes(tensorBytes(tensors))}`),
    ...(passedOver.length > 0 ? [row("passed over", `objects of ${shortened(passedOver)}`)] : []),
  ];
}

function shortened(names: readonly string[]): string {
  return names.slice(0, 8).join(", ") + (names.length > 8 ? ` and ${names.length - 8} more` : "");
}

function modelLines({ model, problem }: FileDescription): string[] {
  if (model === null) return [row("model", `none found: ${problem}`)];
  const { type, ...network } = model.network;
  return [
    row("network", type),
    ...settingLines(network),
    ...(model.classNames ? [row("classes", listedClasses(model.classNames))] : []),
    row("parameters", model.parameters.toLocaleString("en")),
    row("weights", model.weights || "(no prefix)"),
    ...(model.otherWeights.length > 0 ? [row("also there", model.otherWeights.join(", "))] : []),
    ...model.assumptions.map((assumption) => row("supposed", assumption)),
    ...objectiveLines(model),
    ...Object.entries(model.notes).map(([key, value]) => row(key, value)),
  ];
}

function objectiveLines({ imm, objective }: NonNullable<FileDescription["model"]>): string[] {
  const config = imm ? { type: "imm" as const, ...imm } : objective;
  if (!config) {
    return [row("method", "not in the file; imm convert needs --preset, --config or --set")];
  }
  const { type: _, ...settings } = config;
  return [row("method", objectiveTitle(config)), ...settingLines(settings)];
}

function trainingLines({ training, lastReport }: FileDescription): string[] {
  const lines: string[] = [];
  const state = { ...asObject(training?.progress), ...lastReport };
  const config = asObject(training?.config);
  if (typeof state.images === "number") {
    const total = asObject(config.train).images;
    const part = typeof total === "number"
      ? ` of ${total.toLocaleString("en")} (${(100 * state.images / total).toFixed(1)} %)`
      : "";
    lines.push(row("trained", `${state.images.toLocaleString("en")}${part} images`));
  }
  if (typeof state.loss === "number") lines.push(row("loss", state.loss.toPrecision(4)));
  if (typeof state.seconds === "number") lines.push(row("time", formatDuration(state.seconds)));
  for (const part of ["data", "optimizer", "train"]) {
    if (config[part] === undefined) continue;
    lines.push(row(part, ""), ...settingLines(asObject(config[part])));
  }
  return lines;
}

function tensorLines({ tensors }: FileDescription): string[] {
  const width = Math.max(0, ...tensors.map(({ name }) => name.length));
  return [
    "",
    ...tensors.map(({ name, type, shape }) =>
      `${name.padEnd(width)}  ${type.padEnd(4)}  [${shape.join(", ")}]`
    ),
  ];
}

/** The first names with their numbers. */
function listedClasses(names: readonly string[]): string {
  const shown = names.slice(0, SHOWN_CLASSES).map((name, i) => `${i} ${name}`).join(", ");
  const more = names.length - SHOWN_CLASSES;
  return more > 0 ? `${shown} and ${more} more (--json lists them)` : shown;
}

function settingLines(settings: object): string[] {
  return Object.entries(settings).map(([key, value]) => row(`  ${key}`, JSON.stringify(value)));
}

function row(label: string, value: string): string {
  return `${label.padEnd(20)} ${value}`.trimEnd();
}

function asObject(value: unknown): Record<string, unknown> {
  return typeof value === "object" && value !== null ? value as Record<string, unknown> : {};
}
