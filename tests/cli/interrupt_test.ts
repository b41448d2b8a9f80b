import assert from "node:assert/strict";
import { fromFileUrl } from "jsr:@std/path@1.0.8";
import { importMapArguments } from "../support/cli/imm.ts";

const program = fromFileUrl(import.meta.resolve("./programs/interruptible.ts"));
const posix = { ignore: Deno.build.os === "windows" };
const linux = { ignore: Deno.build.os !== "linux" };

/**
 * Starts the program, behind the command `wrap`; interrupts it when it is ready, again when `again`
 * appears, and with the signal `after` a little later.
 */
async function interrupt(
  how: string,
  signal: Deno.Signal,
  { again, wrap = [], after }: { again?: RegExp; wrap?: string[]; after?: Deno.Signal } = {},
) {
  const command = [
    ...wrap,
    ...[Deno.execPath(), "run", "-A", ...importMapArguments(), program, "work", how],
  ];
  const process = new Deno.Command(command[0], {
    args: command.slice(1),
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
      if (stdout !== "ready\n") continue;
      process.kill(signal);
      if (after) setTimeout(() => process.kill(after), 700);
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

Deno.test("the first Ctrl-C lets the work save and ends with exit code 130", posix, async () => {
  const { code, stdout, stderr } = await interrupt("politely", "SIGINT");
  assert.equal(code, 130);
  assert.equal(stdout, "ready\nsaved\n");
  assert.match(stderr, /^Stopping after this step; press Ctrl-C again to stop at once\.$/m);
  assert.match(stderr, /^error: Stopped; the work is saved\.$/m);
});

Deno.test("when the system asks, the work is saved and the exit code is 75", posix, async () => {
  const signals = ["SIGTERM", "SIGHUP", "SIGUSR2"] as const;
  await Promise.all(signals.map(async (signal) => {
    const { code, stdout, stderr } = await interrupt("politely", signal);
    assert.deepEqual([signal, code, stdout], [signal, 75, "ready\nsaved\n"]);
    assert.match(
      stderr,
      new RegExp(`^Stopping after this step, since ${signal} asks for it\\.$`, "m"),
    );
    assert.match(stderr, /^error: Stopped; the work is saved\.$/m);
  }));
});

Deno.test("a hangup that is ignored, as by nohup, does not stop the work", linux, async () => {
  const { code, stdout, stderr } = await interrupt("politely", "SIGHUP", {
    wrap: ["sh", "-c", 'trap "" HUP; exec "$@"', "sh"],
    after: "SIGTERM",
  });
  // SIGHUP did nothing; SIGTERM ended it, after Deno had begun to listen.
  assert.match(stderr, /since SIGTERM asks/);
  assert.deepEqual([code, stdout], [75, "ready\nsaved\n"]);
});

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
  const { code, stdout } = await interrupt("deafly", "SIGINT", {
    again: /press Ctrl-C again/,
  });
  assert.equal(code, 130);
  assert.equal(stdout, "ready\n");
});
