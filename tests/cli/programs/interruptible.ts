/** A command whose only verb works until it is interrupted, for interrupt_test.ts. */

import { interruptible } from "../../../cli/base/interrupt.ts";
import { main } from "../../../cli/main.ts";
import { guardSignals } from "../../../cli/base/signals.ts";
import { defineVerb } from "../../../cli/base/verb.ts";

const verb = defineVerb({
  name: "work",
  summary: "work until interrupted",
  usage: "work",
  options: {},
  positionals: { value: "HOW", help: "politely, rudely, deafly or late" },
  examples: [],
  async run(args, terminal) {
    const returned = args._[0] === "late" ? "done" : "stopped";
    await interruptible(
      terminal,
      async (signal) => {
        terminal.result(null, "ready");
        await new Promise<void>((resolve) => {
          const timer = setInterval(() => {}, 1000);
          if (args._[0] === "deafly") return;
          signal.addEventListener("abort", () => {
            clearInterval(timer);
            resolve();
          });
        });
        terminal.result(null, "saved");
        if (args._[0] === "rudely") signal.throwIfAborted();
      },
      "Stopped; the work is saved.",
      returned,
    );
  },
});

const entry = { name: verb.name, summary: verb.summary, load: () => Promise.resolve(verb) };
guardSignals();
Deno.exit(await main(Deno.args, {}, [entry]));
