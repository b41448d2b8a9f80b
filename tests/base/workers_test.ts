/** Requests to Workers: who gets which answer, and what becomes of failures. */

import assert from "node:assert/strict";
import { FormatError, ImmError } from "../../lib/base/errors.ts";
import { inOrder, WorkerPool } from "../../lib/base/workers.ts";
import type { EchoRequest } from "./echo_worker.ts";

function pool(count: number, depth?: number) {
  const module = new URL("./echo_worker.ts", import.meta.url);
  return new WorkerPool<EchoRequest, Float32Array<ArrayBuffer>>(module, count, depth);
}

for (const [count, depth] of [[1, 1], [3, 1], [1, Infinity], [2, 3]]) {
  Deno.test(`${count} Workers of depth ${depth} give every request its own answer`, async () => {
    using workers = pool(count, depth);
    const answers = await Promise.all(
      Array.from({ length: 20 }, (_, value) => workers.request({ value, wait: value % 3 * 5 })),
    );
    assert.deepEqual(answers.map(([value]) => value), Array.from({ length: 20 }, (_, i) => i));
  });
}

Deno.test("a failure is that of its request, and the Worker goes on", async () => {
  using workers = pool(1, Infinity);
  const requests = [
    workers.request({ value: 1 }),
    workers.request({ value: 2, fail: "format" }),
    workers.request({ value: 3, fail: "other" }),
    workers.request({ value: 4 }),
  ];
  const [one, two, three, four] = await Promise.allSettled(requests);
  assert.equal(one.status === "fulfilled" && one.value[0], 1);
  assert.equal(four.status === "fulfilled" && four.value[0], 4);
  assert(two.status === "rejected" && two.reason instanceof FormatError);
  assert.equal(two.reason.message, "2 is damaged.");
  assert(three.status === "rejected" && three.reason instanceof ImmError);
  assert(!(three.reason instanceof FormatError));
});

Deno.test("a Worker that breaks fails all that it was sent, and whatever comes after", async () => {
  using workers = pool(1, Infinity);
  const requests = [{ value: 1, fail: "break" as const }, { value: 2 }]
    .map((request) => workers.request(request));
  for (const settled of await Promise.allSettled(requests)) {
    assert(settled.status === "rejected" && settled.reason instanceof ImmError);
    assert.match(settled.reason.message, /Worker of this program failed: .*broken/);
  }
  await assert.rejects(workers.request({ value: 3 }), /Worker of this program failed/);
});

Deno.test("requests that wait while one Worker of several breaks are settled, too", async () => {
  using workers = pool(2, 1);
  const requests = [
    workers.request({ value: 0, fail: "break" }),
    ...[1, 2, 3, 4, 5].map((value) => workers.request({ value, wait: 5 })),
  ];
  const [broken, ...others] = await Promise.allSettled(requests);
  assert.equal(broken.status, "rejected");
  assert.ok(others.some(({ status }) => status === "fulfilled"));
});

Deno.test("answers come in the order of the questions, some of them ahead", async () => {
  let running = 0;
  let most = 0;
  const found: number[] = [];
  const ask = async (index: number) => {
    most = Math.max(most, ++running);
    await new Promise((resolve) => setTimeout(resolve, index % 2 === 0 ? 4 : 1));
    running--;
    return index;
  };
  for await (const answer of inOrder(10, 3, ask)) found.push(answer);
  assert.deepEqual(found, Array.from({ length: 10 }, (_, i) => i));
  assert.equal(most, 3);
});
