/** This project's own devices. @module */

import { compile } from "../../lib/compile/compile.ts";
import { openDevice } from "../../lib/device/open.ts";
import { type KernelTask, taskProgram } from "../../lib/measure/tasks.ts";
import { samplingJob, trainingJob } from "../../lib/measure/training.ts";
import type { Engine, EngineOptions, PreparedTask, Values } from "../engine.ts";

/** Opens a device. */
export async function open(
  kind: "wasm" | "webgpu",
  { threads }: EngineOptions,
): Promise<Engine> {
  const device = await openDevice(kind === "wasm" ? { device: kind, threads } : { device: kind });
  return {
    description: `imm, ${device.description}`,
    async prepare(task: KernelTask, inputs: Values): Promise<PreparedTask> {
      const program = taskProgram(task);
      const executable = await device.prepare(compile(program), new Map());
      executable.run(inputs);
      return {
        run: () => executable.run({}),
        finish: () => device.finish(),
        read: async () => await executable.read(Object.keys(program.outputs)) as Values,
        free: () => executable.destroy(),
      };
    },
    prepareJob: ({ kind, config, batch }) =>
      kind === "training" ? trainingJob(device, config) : samplingJob(device, config, batch),
  };
}
