/** `imm completions`: scripts that complete this command line in shells. @module */

import { bashCompletions } from "./bash.ts";
import { type CompletedVerb, completedVerbs } from "./commands.ts";
import { fishCompletions } from "./fish.ts";
import { powershellCompletions } from "./powershell.ts";
import { zshCompletions } from "./zsh.ts";
import { UsageError } from "../../lib/base/errors.ts";
import { didYouMean } from "../../lib/base/suggest.ts";
import { defineVerb } from "../base/verb.ts";

const SHELLS: Readonly<Record<string, (verbs: readonly CompletedVerb[]) => string>> = {
  bash: bashCompletions,
  zsh: zshCompletions,
  fish: fishCompletions,
  powershell: powershellCompletions,
};

/** The verb. */
export const verb = defineVerb({
  name: "completions",
  summary: "print a script that completes verbs and options in a shell",
  usage: "imm completions bash|zsh|fish|powershell",
  examples: [
    {
      command: "imm completions bash > ~/.local/share/bash-completion/completions/imm",
      does: "in every bash from now on; here: source <(imm completions bash)",
    },
    {
      command: "imm completions fish > ~/.config/fish/completions/imm.fish",
      does: "complete in every fish from now on",
    },
  ],
  positionals: {
    value: "SHELL",
    help: "bash, zsh, fish or powershell",
    words: Object.keys(SHELLS),
    min: 1,
    max: 1,
  },
  options: {},
  async run(args, terminal) {
    const [shell] = args._;
    if (!Object.hasOwn(SHELLS, shell)) {
      const names = Object.keys(SHELLS);
      throw new UsageError(
        `imm completions expects one of ${names.join(", ")}, but got "${shell}"${
          didYouMean(shell, names) || "."
        }`,
      );
    }
    const { verbs } = await import("../verbs.ts");
    const loaded = await Promise.all(verbs.map(({ load }) => load()));
    const script = SHELLS[shell](completedVerbs(loaded));
    terminal.script({ shell, script }, script);
  },
});
