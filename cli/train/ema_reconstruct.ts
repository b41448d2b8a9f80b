/** `imm ema reconstruct`. @module */

import { claimOutputs } from "../../lib/files/outputs.ts";
import { saveModel } from "../../lib/models/model_file.ts";
import { reconstructAverage } from "../../lib/train/step/reconstruct.ts";
import { number, size, text } from "../base/options.ts";
import { outputOptions } from "../base/output_options.ts";
import { defineVerb } from "../base/verb.ts";

/** The verb. */
export const verb = defineVerb({
  name: "ema reconstruct",
  summary: "average the weights over another length, after training",
  usage: "imm ema reconstruct RUN --sigma-rel X --out FILE",
  examples: [
    {
      command: "imm ema reconstruct runs/digits --sigma-rel 0.08 --out short.safetensors",
      does: "a power-function average, from the snapshots of the run",
    },
  ],
  positionals: { value: "RUN", help: "folder of a run with snapshots", min: 1, max: 1 },
  options: {
    sigmaRel: number({ help: "width relative to the length of training", required: true }),
    images: size({ help: "as of this many images (default: the newest snapshot)", min: 1 }),
    out: text({ help: "model file to write", value: "FILE", required: true }),
    ...outputOptions,
  },
  async run(args, terminal) {
    const { sigmaRel, images, out, overwrite } = args;
    using _claim = await claimOutputs([{ option: "--out", path: out, replace: overwrite }]);
    const made = await reconstructAverage(args._[0], { sigmaRel, images });
    await saveModel(out, made.model);
    terminal.result(
      { path: out, sigmaRel, images: made.images, snapshots: made.snapshots },
      `wrote ${out}: sigma_rel ${sigmaRel} at image ${made.images}, from ${made.snapshots} snapshots`,
    );
  },
});
