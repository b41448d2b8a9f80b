/** Random programs on every device, compiled with and without fusion, against the interpreter. */

import { compile } from "../../lib/compile/compile.ts";
import { deviceTest } from "../support/devices/devices.ts";
import { randomProgram } from "../support/devices/random_programs.ts";
import { assertLikeInterpreter } from "../support/devices/run_plan.ts";

/** WebGPU compiles a shader for nearly every kernel: it gets fewer programs. */
const PROGRAMS = { webgpu: 6, wasm: 150 };

deviceTest("random programs compute what the interpreter does", async (device) => {
  for (let seed = 1; seed <= PROGRAMS[device.kind]; seed++) {
    for (const fuse of [true, false]) {
      const plan = compile(randomProgram(seed), { fuse });
      try {
        await assertLikeInterpreter(device, plan, {}, { tolerance: { rel: 1e-4, abs: 1e-5 } });
      } catch (error) {
        throw new Error(`${plan.label}, fuse ${fuse}: ${(error as Error).message}`, {
          cause: error,
        });
      }
    }
  }
});
