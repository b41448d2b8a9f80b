import assert from "node:assert/strict";
import { median, timeRuns } from "../../lib/base/clock.ts";

/** Work that keeps the processor for some milliseconds, and counts. */
function work(milliseconds: number) {
  const counts = { runs: 0, waits: 0 };
  return {
    counts,
    run() {
      counts.runs++;
      const end = performance.now() + milliseconds;
      while (performance.now() < end);
    },
    finish() {
      counts.waits++;
      return Promise.resolve();
    },
  };
}

Deno.test("the median is the middle value, or the mean of the two in the middle", () => {
  assert.equal(median([5, 1, 9]), 5);
  assert.equal(median([4, 1, 9, 2]), 3);
  assert.equal(median([7]), 7);
});

Deno.test("short work is repeated within a sample, and waited for once per sample", async () => {
  const timed = work(1);
  const samples = await timeRuns(timed, { seconds: 0.2, samples: 4 });
  assert.ok(samples.length >= 1 && samples.length <= 4);
  assert.ok(samples.every((seconds) => seconds >= 0.001));
  // A warm-up and at least one run to see how long it takes; a busy machine does fewer of them.
  assert.ok(timed.counts.waits > samples.length);
  assert.ok(timed.counts.runs > timed.counts.waits);
});

Deno.test("a long wait is shared by many short runs", async () => {
  let runs = 0;
  await timeRuns({
    run: () => void runs++,
    finish: () => new Promise((resolve) => setTimeout(resolve, 10)),
  }, { seconds: 0.4, samples: 2 });
  assert.ok(runs > 1000, `${runs} runs`);
});

Deno.test("work that takes longer than the time there is gets one sample after the warm-up", async () => {
  const timed = work(20);
  const samples = await timeRuns(timed, { seconds: 0.01, samples: 5 });
  assert.equal(samples.length, 1);
  assert.equal(timed.counts.runs, 2);
});
