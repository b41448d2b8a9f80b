/** `imm dataset prepare`. @module */

import { CROPS } from "../../lib/data/fit.ts";
import { ENCODER_OUTPUTS, LatentEncoder } from "../../lib/data/latents/encoder.ts";
import { pathRead } from "../../lib/data/spec.ts";
import { prepareDataset } from "../../lib/data/prepare/prepare.ts";
import { UsageError } from "../../lib/base/errors.ts";
import { RESIZE_FILTERS } from "../../lib/formats/image/resize.ts";
import { counted } from "../../lib/base/units.ts";
import { claimOutputs } from "../../lib/files/outputs.ts";
import { interruptible } from "../base/interrupt.ts";
import { choice, flag, integer, size, text } from "../base/options.ts";
import { pictureCare, strict } from "../base/picture_options.ts";
import { outputOptions } from "../base/output_options.ts";
import { defineVerb } from "../base/verb.ts";

/** The verb. */
export const verb = defineVerb({
  name: "dataset prepare",
  summary: "make a data set of pictures: crop, resize, label, encode",
  usage: "imm dataset prepare DATA --out FILE.zip [options]",
  examples: [
    {
      command: "imm dataset prepare photos/ --out photos64.zip --resolution 64 --crop center",
      does: "the largest square in the middle of each, 64 x 64",
    },
    {
      command: "imm dataset prepare train/ --out imagenet64.zip --resolution 64 --crop adm",
      does: "as ADM and EDM prepare ImageNet; folders are the classes",
    },
    {
      command: "imm dataset prepare photos/ --out z.zip --encoder vae.onnx --encoded latents",
      does: "the latents of pictures, by an autoencoder's encoder",
    },
  ],
  positionals: {
    value: "DATA",
    help: "a folder or .zip of pictures, or any other data set",
    min: 1,
    max: 1,
  },
  options: {
    out: text({ help: "archive to write, laid out as EDM's", value: "FILE.zip", required: true }),
    resolution: integer({ help: "height and width (default: as they are)", min: 1, max: 16384 }),
    crop: choice(CROPS, {
      help:
        "how pictures become squares: not at all (they are distorted), by their middle, or as " +
        "ADM does it",
      default: "none",
    }),
    filter: choice(RESIZE_FILTERS, {
      help: "how they are resized, as Pillow does it (default: lanczos; bicubic with --crop adm)",
    }),
    colors: choice(["auto", "rgb", "grey"], {
      help: "auto: grey where all pictures are grey",
      default: "auto",
    }),
    encoder: text({
      help: "make latents with this network, which takes 1 x 3 x H x W on [-1, 1]",
      value: "FILE.onnx",
    }),
    encoded: choice(ENCODER_OUTPUTS, { help: "what the network's output is" }),
    limit: size({ help: "take the first so many", min: 1 }),
    workers: integer({ help: "threads (default: the processors)", min: 1, max: 256 }),
    skipCorrupt: flag({ help: "leave pictures out that cannot be read, and name them" }),
    strict,
    ...outputOptions,
  },
  async run(args, terminal) {
    const { _: [source], out, overwrite, skipCorrupt, encoder: path, encoded, ...options } = args;
    if (!out.toLowerCase().endsWith(".zip")) {
      throw new UsageError(`--out is a zip archive, so its name must end in .zip; found ${out}`);
    }
    if (args.crop === "adm" && args.resolution === undefined) {
      throw new UsageError("--crop adm needs --resolution N");
    }
    if ((path === undefined) !== (encoded === undefined)) {
      throw new UsageError(
        `--encoder and --encoded belong together: a network, and which of ` +
          `${ENCODER_OUTPUTS.join(", ")} comes out of it`,
      );
    }
    if (path !== undefined && args.colors === "grey") {
      throw new UsageError("--encoder takes colours; leave out --colors grey");
    }
    const file = { option: "--out", path: out, replace: overwrite };
    using _claim = await claimOutputs([file], [await pathRead(source), path]);
    await using encoder = path === undefined ? undefined : await LatentEncoder.load(path, encoded!);
    let progress: ReturnType<typeof terminal.progress> | null = null;
    const start = (total: number) => progress ??= terminal.progress("preparing", total, "pictures");
    try {
      const made = await interruptible(
        terminal,
        (signal) =>
          prepareDataset(source, out, {
            ...options,
            encoder,
            signal,
            onNote: (note) => terminal.warn(note),
            onProgress: (done, total) => start(total).update(done),
            onCorrupt: pictureCare({ skipCorrupt }, terminal).onCorrupt,
          }),
        "Stopped as asked; nothing was written.",
        "done",
      );
      const { count, width, height, channels, classes, skipped } = made;
      terminal.result(
        { path: out, ...made },
        `${counted(count, encoder ? "latent" : "picture")} of ${width} x ${height} x ${channels}` +
          (classes > 0 ? ` in ${counted(classes, "class", "classes")}` : " without labels") +
          (skipped > 0 ? `; ${skipped} left out` : "") + `: ${out}`,
      );
    } finally {
      (progress as { finish(): void } | null)?.finish();
    }
  },
});
