/** `imm dataset info`. @module */

import type { Dataset } from "../../lib/data/dataset.ts";
import { describeDataset } from "../../lib/data/describe.ts";
import { describeLatents } from "../../lib/data/latents/describe.ts";
import { describeClasses, labelNotes } from "../../lib/data/folders/labels.ts";
import {
  isLatents,
  LATENT_MOMENTS,
  type LatentDataset,
  type LatentMoments,
} from "../../lib/data/latents/dataset.ts";
import { pathRead } from "../../lib/data/spec.ts";
import { openImagesOrLatents } from "../../lib/data/open.ts";
import { writeFileAtomic } from "../../lib/formats/atomic.ts";
import { channelView, enlargement, imageGrid } from "../../lib/formats/image/grid.ts";
import type { Image } from "../../lib/formats/image/pixels.ts";
import { encodePng } from "../../lib/formats/image/png.ts";
import { UsageError } from "../../lib/base/errors.ts";
import { claimOutputs } from "../../lib/files/outputs.ts";
import { choice, integer, text } from "../base/options.ts";
import { pictureCare, strict } from "../base/picture_options.ts";
import type { Terminal } from "../base/terminal.ts";
import { outputOptions } from "../base/output_options.ts";
import { defineVerb } from "../base/verb.ts";

/** The verb. */
export const verb = defineVerb({
  name: "dataset info",
  summary: "what is in a data set: images, classes, mean and deviation, hash",
  usage: "imm dataset info DATA [options]",
  examples: [
    { command: "imm dataset info digits --grid digits.png", does: "and a picture of the first" },
    {
      command: "imm dataset info moments.npz --moments mean-logvar",
      does: "of latents, with the statistics that training takes",
    },
  ],
  positionals: {
    value: "DATA",
    help: "digits, a folder of pictures, .zip, .npz, IDX or CIFAR-10 file, or latents",
    min: 1,
    max: 1,
  },
  options: {
    grid: text({ help: "write the first images as one picture", value: "FILE.png" }),
    images: integer({ help: "images in the grid", default: 64, min: 1, max: 4096 }),
    moments: choice(LATENT_MOMENTS, { help: "what the second half of the channels of latents is" }),
    strict,
    ...outputOptions,
  },
  async run(args, terminal) {
    const grid = args.grid === undefined
      ? []
      : [{ option: "--grid", path: args.grid, replace: args.overwrite }];
    using _claim = await claimOutputs(grid, [await pathRead(args._[0])]);
    using dataset = await openImagesOrLatents(args._[0], pictureCare(args, terminal));
    for (const note of [...(dataset.notes ?? []), ...labelNotes(dataset)]) terminal.warn(note);
    if (isLatents(dataset)) return await describeSet(dataset, args, terminal);
    if (args.moments !== undefined) {
      throw new UsageError(`--moments is for latents, but ${dataset.name} holds pictures`);
    }
    await describePictures(dataset, args, terminal);
  },
});

/** Options of the verb. */
interface InfoOptions {
  readonly grid?: string;
  readonly images: number;
  readonly moments?: LatentMoments;
}

async function describePictures(dataset: Dataset, args: InfoOptions, terminal: Terminal) {
  const progress = terminal.progress("reading", dataset.length, "images");
  const description = describeDataset(dataset, (done) => progress.update(done));
  progress.update(dataset.length);
  progress.finish();
  const [height, width, channels] = dataset.imageShape;
  await writeGrid(args, dataset.length, (i) => ({
    width,
    height,
    channels,
    data: dataset.image(i),
  }));
  const result = { name: dataset.name, ...description, grid: args.grid ?? null };
  terminal.result(result, () => {
    const { count, mean, std, sha256 } = description;
    return [
      `images:    ${count} of ${height} x ${width} x ${channels}`,
      `classes:   ${describeClasses(dataset)}`,
      `mean:      ${mean.map((value) => value.toFixed(4)).join(", ")} of pixels in [-1, 1]`,
      `deviation: ${std.toFixed(4)}`,
      `SHA-256:   ${sha256}`,
      ...(args.grid === undefined ? [] : [`grid:      ${args.grid}`]),
    ];
  });
}

async function describeSet(dataset: LatentDataset, args: InfoOptions, terminal: Terminal) {
  const progress = terminal.progress("reading", dataset.length, "latents");
  const [height, width, channels] = dataset.storedShape;
  const moments = args.moments ?? dataset.moments;
  if (moments !== null && channels % 2 !== 0) {
    throw new UsageError(`${dataset.name} has ${channels} channels, which are no ${moments}`);
  }
  const description = describeLatents(dataset, moments, (done) => progress.update(done));
  progress.update(dataset.length);
  progress.finish();
  const { mean, std } = description.statistics;
  const constant = std.flatMap((value, c) => value > 0 ? [] : [c]);
  // The means of a posterior, where there are such, each channel on the scale that training sees.
  await writeGrid(args, dataset.length, (i) => {
    const stored = dataset.stored(i);
    const data = Uint8ClampedArray.from(stored, (value, at) => {
      const c = at % channels % mean.length;
      return ((value - mean[c]) / (std[c] || 1) * 0.5 + 1) * 127.5;
    });
    return channelView({ width, height, channels, data: new Uint8Array(data.buffer) });
  });
  const result = { name: dataset.name, ...description, grid: args.grid ?? null };
  terminal.result(result, () => {
    const { count, hasMirrored, sha256 } = description;
    const exact = (values: readonly number[]) =>
      `[${values.map((value) => Number(value.toPrecision(6))).join(",")}]`;
    const what = moments ??
      (channels === 8
        ? "latents of 8 channels, or moments of 4 (--moments mean-std or mean-logvar)"
        : "latents");
    return [
      `latents:   ${count} of ${height} x ${width} x ${channels}: ${what}` +
      (hasMirrored ? ", and as many of mirrored pictures" : ""),
      `classes:   ${describeClasses(dataset)}`,
      `mean:      ${mean.map((value) => value.toFixed(4)).join(", ")}`,
      `deviation: ${std.map((value) => value.toFixed(4)).join(", ")}`,
      `SHA-256:   ${sha256}`,
      constant.length > 0
        ? `training:  nothing to normalise by: channel ${constant.join(", ")} is the same number ` +
          `everywhere, so the deviation is 0`
        : `training:  --set 'data.latents.normalize={"mean":${exact(mean)},"std":${exact(std)}}'`,
      ...(args.grid === undefined ? [] : [`grid:      ${args.grid}, the first channels`]),
    ];
  });
}

async function writeGrid(
  { grid, images }: InfoOptions,
  length: number,
  picture: (index: number) => Image,
): Promise<void> {
  if (grid === undefined) return;
  const pictures = Array.from({ length: Math.min(images, length) }, (_, i) => picture(i));
  const [{ width, height }] = pictures;
  const scale = enlargement(Math.max(width, height));
  await writeFileAtomic(grid, encodePng(imageGrid(pictures, { padding: 1, scale })));
}
