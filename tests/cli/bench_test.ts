/** `imm bench`, measuring as shortly as it can: that it measures, never how fast it is. */

import assert from "node:assert/strict";
import type { BenchReport } from "../../cli/bench.ts";
import { main } from "../../cli/main.ts";
import { memorySink } from "../support/cli/sink.ts";

async function bench(...args: string[]) {
  const [stdout, stderr] = [memorySink(), memorySink()];
  const code = await main(["bench", ...args], { stdout, stderr });
  return { code, stdout: stdout.text, stderr: stderr.text };
}

const SHORT = ["--device", "wasm", "--threads", "1", "--seconds", "0.001"];

Deno.test("imm bench --json has the rates of operations, training and sampling", async () => {
  const { code, stdout, stderr } = await bench(...SHORT, "--preset", "digits-small", "--json");
  assert.equal(code, 0, stderr);
  const report: BenchReport = JSON.parse(stdout);
  assert.equal(report.deno, Deno.version.deno);
  assert.deepEqual(report.devices.map(({ device }) => device), ["wasm"]);
  const [{ description, kernels, presets }] = report.devices;
  assert.match(description, /1 thread/);
  assert.ok(kernels.length >= 5);
  for (const { name, seconds, flops } of kernels) assert.ok(seconds > 0 && flops > 0, name);
  assert.deepEqual(presets.map(({ preset }) => preset), ["digits-small"]);
  for (const job of [presets[0].training, presets[0].sampling]) {
    assert.ok("batch" in job, JSON.stringify(job));
    assert.ok(job.imagesPerSecond > 0 && job.flops > 0 && job.memoryBytes > 0);
  }
});

Deno.test("imm bench measures float16 only where there is float16", async () => {
  const options = ["--preset", "digits-small", "--precision", "float16", "--json"];
  const { code, stdout, stderr } = await bench(...SHORT, ...options);
  assert.equal(code, 0, stderr);
  const [{ presets: [{ precision, training, sampling }] }] =
    (JSON.parse(stdout) as BenchReport).devices;
  assert.equal(precision, "float16");
  for (const job of [training, sampling]) {
    assert.match("skipped" in job ? job.skipped : "", /float16 needs a WebGPU device/);
  }
});

Deno.test("imm bench refuses a number of threads that makes no sense", async () => {
  const { code, stderr } = await bench("--device", "wasm", "--threads", "1000");
  assert.equal(code, 2);
  assert.match(stderr, /threads/);
});
