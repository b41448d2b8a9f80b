/** `imm sample`. @module */

import { openDevice } from "../../lib/device/open.ts";
import { PRECISIONS } from "../../lib/models/precision.ts";
import { OUTPUT_FORMATS } from "../../lib/sample/output/open.ts";
import { SHARD_FORMS } from "../../lib/base/shard.ts";
import { formatDuration } from "../../lib/base/units.ts";
import { decodingOptions } from "./decoding.ts";
import { deviceOptions } from "../base/device_options.ts";
import { interruptible } from "../base/interrupt.ts";
import { choice, flag, integer, number, ranges, text } from "../base/options.ts";
import { FRAMES, prepareJob } from "./job.ts";
import { dryRun } from "./plan.ts";
import { generateAndWrite, SHOWN } from "./run.ts";
import { samplingOptions } from "./options.ts";
import { defineVerb } from "../base/verb.ts";

/** The options of the verb. */
export const options = {
  checkpoint: text({
    help: "a model file, or the folder of a training run",
    value: "RUN|FILE",
    required: true,
  }),
  out: text({
    help: "NAME.png for a grid, NAME.npz, NAME.zip or NAME.safetensors, or a folder of pictures",
    value: "PATH",
  }),
  format: choice(OUTPUT_FORMATS, {
    help: "what to write, whatever the name; class-grids is a folder with one grid per class",
  }),
  show: flag({ help: `draw the first ${SHOWN} images in the terminal` }),
  ...samplingOptions,
  seeds: ranges({ help: "one image for each (default 0-63, or as many as --latents has)" }),
  latents: text({
    help: "start from the noise in an .npz or .safetensors file, N x C x H x W or N x H x W x C",
    value: "FILE",
  }),
  latentsScale: number({
    help: "multiply the latents by this: sigma_d, if they are unit normal",
    default: 1,
  }),
  trajectory: flag({ help: "a row for each image: its noise, and the image after every step" }),
  interpolate: text({
    help: "a row from the image of one seed to that of another; may be repeated",
    value: "A,B",
    repeat: true,
  }),
  frames: integer({
    help: `images in a row of --interpolate (default ${FRAMES})`,
    min: 2,
    max: 1000,
  }),
  shard: text({
    help: `only a part of the images: ${SHARD_FORMS}. Files are named like it, to be put ` +
      "together by imm sample merge; folders need no merging",
    value: "I/N",
  }),
  overwrite: flag({ help: "make images again that are there, whatever made them" }),
  batch: integer({ help: "images at a time; does not change them", default: 64, min: 1 }),
  precision: choice(PRECISIONS, {
    help: "how the network is stored: float16 halves its memory (WebGPU with shader-f16)",
    default: "float32",
    value: "NAME",
  }),
  ...decodingOptions,
  columns: integer({ help: "images in a row of a grid (default: about square)", min: 1 }),
  ...deviceOptions,
  dryRun: flag({ help: "print steps, memory, sizes and time, and stop" }),
};

/** The verb. */
export const verb = defineVerb({
  name: "sample",
  summary: "generate images with a model",
  usage: "imm sample --checkpoint RUN|FILE --out PATH [options]",
  examples: [
    {
      command: "imm sample --checkpoint runs/digits --out digits.png --show",
      does: "a grid of 64 images in two steps, also in the terminal",
    },
    {
      command: "imm sample --checkpoint runs/digits --steps 1 --seeds 0-49999 --out samples/",
      does: "50,000 images in one step, one file each; again, to go on if stopped",
    },
    {
      command: "imm sample --checkpoint RUN --schedule eta:1.4 --classes 3 --out threes.npz",
      does: "images of one class with the paper's two-step schedule",
    },
    {
      command: "imm sample --checkpoint RUN --seeds 0-49999 --shard auto --out samples.npz",
      does: "the part of this task of a job array, as samples.3-of-8.npz",
    },
    {
      command: "imm sample --checkpoint RUN --interpolate 3,17 --classes 5 --out between.png",
      does: "a row of images from one to another",
    },
    {
      command: "imm sample --checkpoint runs/imagenet --decoder vae.onnx --out grid.png",
      does: "pictures of a model of latents, by an autoencoder's decoder",
    },
  ],
  options,
  async run(args, terminal) {
    if (args.dryRun) return await dryRun(args, terminal);
    const job = await prepareJob(args, terminal);
    await using _decoder = job.decoder;
    if (job.kept > 0) {
      terminal.say(`${job.kept} of ${job.kept + job.set.seeds.length} images are there already`);
    }
    const device = await openDevice({ ...args, float16: args.precision === "float16" });
    try {
      terminal.detail(`device: ${device.description}`);
      const summary = await interruptible(
        terminal,
        (signal) => generateAndWrite(job, device, terminal, signal),
        "Stopped; the same command continues behind the images that are complete.",
        "done",
      );
      terminal.result(
        summary,
        () =>
          job.out === undefined
            ? ""
            : `${summary.count} images in ${summary.steps} ${plural(summary.steps, "step")}, ` +
              `${formatDuration(summary.seconds)}: ${job.out.path}`,
      );
    } finally {
      device.close();
    }
  },
});

function plural(count: number, noun: string): string {
  return count === 1 ? noun : `${noun}s`;
}
