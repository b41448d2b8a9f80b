/** `imm quickstart`: the main job from end to end on the embedded digits. @module */

import { join } from "jsr:@std/path@1.0.8";
import { openDevice } from "../lib/device/open.ts";
import type { Device } from "../lib/device/device.ts";
import { type DigitReport, type DigitScores, evaluateDigits } from "../lib/eval/reports/digits.ts";
import { writeFileAtomic } from "../lib/formats/atomic.ts";
import type { Image } from "../lib/formats/image/pixels.ts";
import { encodePng } from "../lib/formats/image/png.ts";
import { renderImage } from "../lib/formats/terminal.ts";
import { type Schedule, scheduleTimes } from "../lib/imm/schedule.ts";
import { loadModel } from "../lib/models/model_file.ts";
import { Generator } from "../lib/sample/generator.ts";
import { sampleGrid, toPictures } from "../lib/sample/output/picture.ts";
import { TRAIN_SETTINGS } from "../lib/train/config/config.ts";
import { TrainingRun } from "../lib/train/run/run.ts";
import { formatDuration } from "../lib/base/units.ts";
import { deviceOptions } from "./base/device_options.ts";
import { flag, settings, text } from "./base/options.ts";
import type { Terminal } from "./base/terminal.ts";
import { interruptible } from "./base/interrupt.ts";
import { trainVisibly } from "./train/train.ts";
import { defineVerb } from "./base/verb.ts";

/** Samplers that are scored, as in the project's recipe for the digits. */
const SAMPLERS: readonly { readonly name: string; readonly schedule: Schedule }[] = [
  { name: "1 step", schedule: { kind: "uniform", steps: 1 } },
  { name: "2 steps", schedule: { kind: "explicit", etas: [1.4] } },
];

/** Samples per sampler: the same number of each digit. */
const SAMPLES = 1000;
const BATCH = 250;
/** Rows and columns of the pictures: one column per digit. */
const ROWS = 6;
const CLASSES = 10;
/** Shape of a digit. */
const SHAPE = [8, 8, 1];

/** The verb. */
export const verb = defineVerb({
  name: "quickstart",
  summary: "train on handwritten digits, sample and evaluate, in minutes",
  usage: "imm quickstart [options]",
  examples: [
    { command: "imm quickstart", does: "everything, with what this machine has" },
    {
      command: "imm quickstart --fast",
      does: "a minute of training: blurred, but it shows the way",
    },
  ],
  options: {
    out: text({
      help: "folder of the run (default: runs/quickstart, or the next free)",
      value: "DIR",
    }),
    ...deviceOptions,
    fast: flag({ help: "train for a short while only" }),
    set: settings(TRAIN_SETTINGS, { help: "override a key of the configuration" }),
  },
  async run(args, terminal) {
    const started = performance.now();
    const device = await openDevice(args);
    try {
      const preset = isSlow(device) ? "digits-small" : "digits";
      terminal.say(`Device: ${device.description}.`);
      terminal.say(
        "Training an Inductive Moment Matching model on 1,797 handwritten digits, 8 x 8 pixels, " +
          "from nothing; one network learns to draw a given digit in one or a few steps.",
      );
      const out = args.out ?? await freeFolder("runs/quickstart");
      const settings = [...args.fast ? ["train.images=19200"] : [], ...args.set];
      {
        await interruptible(
          terminal,
          async (signal) => {
            await using run = await TrainingRun.start(device, { preset, settings }, out);
            await trainVisibly(run, terminal, { signal });
          },
          undefined,
          "done",
        );
      }
      const { report, pictures } = await sampleAndScore(device, out, terminal);
      const seconds = (performance.now() - started) / 1000;
      terminal.result(
        { path: out, preset, device: device.description, seconds, pictures, ...report },
        () => summary(out, preset, report, seconds),
      );
    } finally {
      device.close();
    }
  },
});

/** Whether a device emulates a GPU on the processor. */
function isSlow(device: Device): boolean {
  return device.kind === "webgpu" && /llvmpipe|swiftshader|software/i.test(device.description);
}

async function sampleAndScore(device: Device, out: string, terminal: Terminal) {
  const model = await loadModel(join(out, "model.safetensors"));
  const generator = await Generator.create(device, model, { batch: BATCH });
  const progress = terminal.progress("sampling", SAMPLES * SAMPLERS.length, "images");
  const labels = Array.from({ length: SAMPLES }, (_, i) => i % CLASSES);
  const seeds = labels.map((_, i) => i);
  const [sampler] = Object.values(generator.objective.samplers);
  const sets = [];
  const pictures: string[] = [];
  try {
    for (const [i, { schedule }] of SAMPLERS.entries()) {
      const steps = sampler(scheduleTimes(generator.objective.config, schedule));
      const images = new Float32Array(SAMPLES * 64);
      for await (const { first, samples, count } of generator.batches({ seeds, labels, steps })) {
        images.set(samples, first * 64);
        progress.update(i * SAMPLES + first + count);
      }
      sets.push({ images, labels });
      const first = toPictures(images.subarray(0, ROWS * CLASSES * 64), SHAPE);
      const grid = sampleGrid(first, { shape: SHAPE, columns: CLASSES });
      const path = join(out, `digits-${steps.length}-step${steps.length > 1 ? "s" : ""}.png`);
      await writeFileAtomic(path, encodePng(grid));
      pictures.push(path);
      if (i === SAMPLERS.length - 1) show(grid, terminal);
    }
  } finally {
    progress.finish();
    generator.free();
  }
  terminal.say("Evaluating against the real digits.");
  return { report: await evaluateDigits(sets), pictures };
}

/** Shows the picture where the results go, if that is a terminal and not a program. */
function show(grid: Image, terminal: Terminal): void {
  if (terminal.interactive && !terminal.json && !terminal.quiet) console.log(renderImage(grid));
}

/** The scores of the samplers, and of the real digits against each other, one row for each. */
export function scoreTable({ scores, baseline }: DigitReport): string[] {
  const cells = (name: string, of: DigitScores) => [
    name,
    of.pixelFd.toFixed(2),
    of.classifierFd.toFixed(2),
    percent(of.nearestAccuracy),
    percent(of.classifierAccuracy),
  ];
  const rows = [
    ["", "pixels", "classifier", "nearest", "classifier"],
    ...SAMPLERS.map(({ name }, i) => cells(name, scores[i])),
    cells("real, half against half", baseline),
  ];
  const widths = rows[0].map((_, column) => Math.max(...rows.map((row) => row[column].length)));
  return rows.map(([name, ...values]) =>
    name.padEnd(widths[0]) +
    values.map((value, i) => value.padStart(widths[i + 1] + 3)).join("")
  );
}

function summary(out: string, preset: string, report: DigitReport, seconds: number): string[] {
  return [
    "",
    "Fréchet distance to the real digits (lower is better), and how many of the digits are",
    "recognised as what they should be, by the nearest real image and by a classifier:",
    "",
    ...scoreTable(report),
    "",
    `Done in ${formatDuration(seconds)} with the preset ${preset}; everything is in ${out}.`,
    `Look at ${join(out, "digits-2-steps.png")} and at the pictures in ${join(out, "samples")}.`,
    "",
    "Try next:",
    `  imm sample --checkpoint ${out} --steps 2 --classes 7 --seeds 0-35 --out sevens.png`,
    `  imm eval --checkpoint ${out} --steps 4 --reference digits`,
    `  imm train --preset ${preset} --out runs/mine --set imm.k=12`,
  ];
}

function percent(share: number): string {
  return `${(share * 100).toFixed(1)} %`;
}

/** The path, or the path with the first number that is free. */
async function freeFolder(path: string): Promise<string> {
  for (let i = 1;; i++) {
    const candidate = i === 1 ? path : `${path}-${i}`;
    try {
      await Deno.stat(candidate);
    } catch (error) {
      if (error instanceof Deno.errors.NotFound) return candidate;
      throw error;
    }
  }
}
