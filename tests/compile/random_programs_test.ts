/** Random programs, compiled with and without fusion, against their graphs. */

import { compile } from "../../lib/compile/compile.ts";
import { assertClose } from "../support/close.ts";
import { interpretPlan } from "../support/reference/plan.ts";
import { randomProgram } from "../support/devices/random_programs.ts";
import { evaluateGraph } from "../support/reference/graph.ts";
import { fillInputs } from "../support/devices/run_plan.ts";

Deno.test("random programs compute what their graphs say", () => {
  for (let seed = 1; seed <= 200; seed++) {
    const program = randomProgram(seed);
    for (const fuse of [true, false]) {
      const plan = compile(program, { fuse });
      const inputs = fillInputs(plan);
      const expected = evaluateGraph(Object.values(program.outputs), { inputs });
      const found = interpretPlan(plan, inputs);
      Object.keys(program.outputs).forEach((name, i) => {
        assertClose(found[name], expected[i], { rel: 1e-9, abs: 1e-12 }, `${seed} ${name} ${fuse}`);
      });
    }
  }
});
