/** `imm dataset info`. @module */

import { describeDataset } from "../lib/data/describe.ts";
import { openDataset } from "../lib/data/open.ts";
import { writeFileAtomic } from "../lib/format/atomic.ts";
import { enlargement, imageGrid } from "../lib/format/grid.ts";
import { encodePng } from "../lib/format/png.ts";
import { integer, text } from "./options.ts";
import { defineVerb } from "./verb.ts";

/** Classes that are listed one by one. */
const LISTED_CLASSES = 20;

/** The verb. */
export const verb = defineVerb({
  name: "dataset info",
  summary: "what is in a data set: images, classes, mean and deviation, hash",
  usage: "imm dataset info DATA [options]",
  examples: [
    { command: "imm dataset info digits --grid digits.png", does: "and a picture of the first" },
  ],
  positionals: {
    value: "DATA",
    help: "digits, a folder of pictures, .zip, .npz, IDX or CIFAR-10 file",
    min: 1,
    max: 1,
  },
  options: {
    grid: text({ help: "write the first images as one picture", value: "FILE.png" }),
    images: integer({ help: "images in the grid", default: 64, min: 1, max: 4096 }),
  },
  async run(args, terminal) {
    using dataset = await openDataset(args._[0]);
    const progress = terminal.progress("reading", dataset.length, "images");
    const description = describeDataset(dataset, (done) => progress.update(done));
    progress.update(dataset.length);
    progress.finish();
    if (args.grid !== undefined) {
      const [height, width, channels] = dataset.imageShape;
      const images = Array.from(
        { length: Math.min(args.images, dataset.length) },
        (_, i) => ({ width, height, channels, data: dataset.image(i) }),
      );
      const grid = imageGrid(images, { padding: 1, scale: enlargement(Math.max(width, height)) });
      await writeFileAtomic(args.grid, encodePng(grid));
    }
    const result = { name: dataset.name, ...description, grid: args.grid ?? null };
    terminal.result(result, () => {
      const { count, imageShape, classCounts, classNames, mean, std, contentHash } = description;
      const [height, width, channels] = imageShape;
      const classes = classCounts.length === 0
        ? "no labels"
        : classCounts.length <= LISTED_CLASSES
        ? classCounts.map((n, i) => `${classNames?.[i] ?? i}: ${n}`).join(", ")
        : `${classCounts.length}, of ${Math.min(...classCounts)} to ${
          Math.max(...classCounts)
        } images`;
      return [
        `images:    ${count} of ${height} x ${width} x ${channels}`,
        `classes:   ${classes}`,
        `mean:      ${mean.map((value) => value.toFixed(4)).join(", ")} of pixels in [-1, 1]`,
        `deviation: ${std.toFixed(4)}`,
        `SHA-256:   ${contentHash}`,
        ...(args.grid === undefined ? [] : [`grid:      ${args.grid}`]),
      ].join("\n");
    });
  },
});
