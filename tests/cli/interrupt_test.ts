import assert from "node:assert/strict";
import { fromFileUrl } from "jsr:@std/path@^1";
import { importMapArguments } from "../support/imm.ts";

const program = fromFileUrl(import.meta.resolve("./programs/interruptible.ts"));
const posix = { ignore: Deno.build.os === "windows" };

/** Starts the program, interrupts it when it is ready, and again when `again` appears. */
async function interrupt(how: string, signal: Deno.Signal, again?: RegExp) {
  const process = new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", ...importMapArguments(), program, "work", how],
    stdin: "null",
    stdout: "piped",
    stderr: "piped",
    env: { NO_COLOR: "1" },
  }).spawn();
  let stdout = "";
  let stderr = "";
  const readOut = async () => {
    for await (const part of process.stdout.pipeThrough(new TextDecoderStream())) {
      stdout += part;
      if (stdout === "ready\n") process.kill(signal);
    }
  };
  const readErr = async () => {
    let killed = false;
    for await (const part of process.stderr.pipeThrough(new TextDecoderStream())) {
      stderr += part;
      if (again?.test(stderr) && !killed) {
        killed = true;
        process.kill(signal);
      }
    }
  };
  const [{ code }] = await Promise.all([process.status, readOut(), readErr()]);
  return { code, stdout, stderr };
}

for (const signal of ["SIGINT", "SIGTERM"] as const) {
  Deno.test(
    `the first ${signal} lets the work save and ends with exit code 130`,
    posix,
    async () => {
      const { code, stdout, stderr } = await interrupt("politely", signal);
      assert.equal(code, 130);
      assert.equal(stdout, "ready\nsaved\n");
      assert.match(stderr, /^Stopping after this step; press Ctrl-C again to stop at once\.$/m);
      assert.match(stderr, /^error: Stopped; the work is saved\.$/m);
    },
  );
}

Deno.test("work that throws its signal's reason is interrupted, not broken", posix, async () => {
  const { code, stderr } = await interrupt("rudely", "SIGINT");
  assert.equal(code, 130);
  assert.match(stderr, /^error: Stopped; the work is saved\.$/m);
});

Deno.test("work that was done already when it was interrupted is done", posix, async () => {
  const { code, stdout, stderr } = await interrupt("late", "SIGTERM");
  assert.equal(code, 0);
  assert.equal(stdout, "ready\nsaved\n");
  assert.doesNotMatch(stderr, /error/);
});

Deno.test("the second Ctrl-C ends work that does not listen", posix, async () => {
  const { code, stdout } = await interrupt("deafly", "SIGINT", /press Ctrl-C again/);
  assert.equal(code, 130);
  assert.equal(stdout, "ready\n");
});
