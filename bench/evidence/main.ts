/**
 * The same experiment here and in PyTorch: the preset `fashion-mnist` with one budget of images,
 * from the same initial weights and with the same data order, times and noise; sampled in 1, 2, 4
 * and 8 steps from the same latents; scored by `imm eval`. And the same for several M.
 *
 * ```sh
 * deno task evidence --data /usr/share/datasets/fashion-mnist --out runs/evidence --images 64000
 * deno task evidence --out runs/evidence --only eval,table    # what is there already is kept
 * ```
 *
 * @module
 */

import { flagName } from "../../cli/base/options.ts";
import { Terminal } from "../../cli/base/terminal.ts";
import { ImmError } from "../../lib/base/errors.ts";
import { Experiment } from "./experiment.ts";
import { listed, options, parseArguments, STAGES } from "./options.ts";

async function main(): Promise<void> {
  const args = parseArguments(Deno.args);
  if (args.help) {
    console.log("deno task evidence --out DIR [options]\n\nOptions:");
    for (const [name, { spec }] of Object.entries(options)) {
      console.log(`  ${flagName(name)}  ${spec.help}`);
    }
    return;
  }
  const stages = listed(args.only ?? STAGES.join(","), STAGES, "--only");
  const experiment = await Experiment.open(args, new Terminal(args));
  await experiment.run(stages);
}

if (import.meta.main) {
  try {
    await main();
  } catch (error) {
    if (!(error instanceof ImmError)) throw error;
    new Terminal().error(error.message);
    Deno.exit(error.exitCode);
  }
}
