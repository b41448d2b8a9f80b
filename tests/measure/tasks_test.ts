import assert from "node:assert/strict";
import { compile } from "../../lib/compile/compile.ts";
import { planFlops } from "../../lib/compile/flops.ts";
import { type KernelTask, taskInputs, taskName, taskProgram } from "../../lib/measure/tasks.ts";
import { deviceTest } from "../support/devices/devices.ts";

const conv = { kind: "conv", batch: 2, resolution: 4, inChannels: 8, outChannels: 12 } as const;
const norm = { kind: "norm", batch: 2, resolution: 4, channels: 8, groups: 4 } as const;
const attention = { kind: "attention", batch: 2, tokens: 6, channels: 8 } as const;

const TASKS: readonly KernelTask[] = [
  { kind: "gemm", size: 16 },
  { ...conv, pass: "forward" },
  { ...conv, pass: "input gradient" },
  { ...conv, pass: "weight gradient" },
  { ...norm, pass: "forward" },
  { ...norm, pass: "gradient" },
  { ...attention, pass: "forward" },
  { ...attention, pass: "gradient" },
];

Deno.test("operations are counted as two for every multiply-add", () => {
  const flops = TASKS.map((task) => planFlops(compile(taskProgram(task))));
  const convFlops = 2 * (2 * 4 * 4) * (3 * 3 * 8) * 12;
  const product = 2 * 2 * 6 * 6 * 8;
  assert.deepEqual(flops, [
    2 * 16 ** 3,
    convFlops,
    convFlops,
    convFlops,
    0,
    0,
    2 * product,
    (2 + 5) * product,
  ]);
});

Deno.test("inputs are the same each time, within -1 and 1, and different from each other", () => {
  const { a, b } = taskInputs({ kind: "gemm", size: 16 });
  assert.deepEqual(taskInputs({ kind: "gemm", size: 16 }), { a, b });
  assert.ok([...a, ...b].every((x) => Math.abs(x) <= 1));
  assert.ok(Math.min(...a) < -0.9 && Math.max(...a) > 0.9);
  assert.notDeepEqual(a, b);
});

deviceTest("the tasks run on a device and give finite numbers", async (device) => {
  assert.equal(new Set(TASKS.map(taskName)).size, TASKS.length);
  for (const task of TASKS) {
    const program = taskProgram(task);
    const executable = await device.prepare(compile(program), new Map());
    executable.run(taskInputs(task));
    const outputs = await executable.read(Object.keys(program.outputs));
    for (const [name, values] of Object.entries(outputs)) {
      assert.ok(values.every(Number.isFinite), `${taskName(task)}: ${name}`);
    }
    executable.destroy();
  }
});
