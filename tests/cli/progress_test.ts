import assert from "node:assert/strict";
import { PlainProgress, TerminalProgress } from "../../cli/base/progress.ts";
import { memorySink } from "../support/cli/sink.ts";

/** A clock that the test moves, in milliseconds. */
function fakeClock() {
  let now = 0;
  return { now: () => now, advance: (milliseconds: number) => void (now += milliseconds) };
}

Deno.test("TerminalProgress shows share, rate, remaining time and a note", () => {
  const sink = memorySink({ isTerminal: true, columns: 120 });
  const clock = fakeClock();
  const progress = new TerminalProgress("train", 1000, "images", sink, 0, clock.now);
  for (let done = 0; done <= 500; done += 50) {
    progress.update(done, "loss 0.5");
    clock.advance(1000);
  }
  const last = sink.text.split("\r").at(-1)!;
  assert.match(
    last,
    /^train \[#{12}-{12}\] 50% 500\/1000 images, 50\.0 images\/s, 10 s left, loss 0\.5/,
  );
});

Deno.test("TerminalProgress redraws at most ten times a second", () => {
  const sink = memorySink({ isTerminal: true, columns: 80 });
  const clock = fakeClock();
  const progress = new TerminalProgress("train", 1000, "images", sink, 0, clock.now);
  for (let done = 0; done < 1000; done++) {
    progress.update(done);
    clock.advance(1);
  }
  assert.equal(sink.text.split("\r").length - 1, 10);
});

Deno.test("TerminalProgress never writes more than the terminal is wide", () => {
  const sink = memorySink({ isTerminal: true, columns: 40 });
  const progress = new TerminalProgress("train", 1000, "images", sink, 0, fakeClock().now);
  progress.update(1, "a note that is much too long for forty columns");
  const visible = sink.text.replace("\r", "").replace("\x1b[K", "");
  assert.equal(visible.length, 39);
});

Deno.test("TerminalProgress leaves one line behind", () => {
  const sink = memorySink({ isTerminal: true, columns: 80 });
  const clock = fakeClock();
  const progress = new TerminalProgress("train", 100, "images", sink, 0, clock.now);
  clock.advance(2000);
  progress.update(100, "loss 0.1");
  progress.finish();
  assert.ok(sink.text.endsWith("\r\x1b[Ktrain: done in 2 s, 50.0 images/s, loss 0.1\n"), sink.text);
});

Deno.test("PlainProgress writes whole lines, few, without control characters", () => {
  const sink = memorySink({ isTerminal: false });
  const clock = fakeClock();
  const progress = new PlainProgress("train", 6000, "images", sink, 0, clock.now);
  for (let second = 0; second < 600; second++) {
    clock.advance(1000);
    progress.update((second + 1) * 10, "loss 0.5");
  }
  progress.finish();
  const lines = sink.text.trimEnd().split("\n");
  assert.ok(lines.length >= 10 && lines.length <= 14, sink.text);
  // deno-lint-ignore no-control-regex -- their absence is the point
  assert.doesNotMatch(sink.text, /[\r\x1b]/);
  assert.match(lines[1], /^train: \d+\/6000 images, 10\.0 images\/s, .* left, loss 0\.5$/);
  assert.equal(lines.at(-1), "train: done in 10 min, 10.0 images/s, loss 0.5");
});

Deno.test("PlainProgress says where it was stopped", () => {
  const sink = memorySink({ isTerminal: false });
  const clock = fakeClock();
  const progress = new PlainProgress("train", 100, "images", sink, 0, clock.now);
  clock.advance(1000);
  progress.update(40);
  progress.finish();
  assert.equal(sink.text, "train: stopped at 40 images in 1 s, 40.0 images/s\n");
});

Deno.test("work that is continued has the rate of what is being done now", () => {
  const sink = memorySink();
  const clock = fakeClock();
  const progress = new PlainProgress("train", 1000, "images", sink, 500, clock.now);
  clock.advance(10_000);
  progress.update(600);
  assert.match(sink.text, /^train: 600\/1000 images, 10\.0 images\/s, 40 s left/);
  progress.finish();
  assert.match(sink.text, /stopped at 600 images in 10 s, 10\.0 images\/s\n$/);
});
