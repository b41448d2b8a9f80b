/** A thread of statistics_pool.ts. @module */

import { serveRequests } from "../../base/workers.ts";
import { answer, type Panel, type StatisticsTask } from "./tasks.ts";

serveRequests((task: StatisticsTask) => {
  try {
    return Promise.resolve(answer(task));
  } finally {
    release(task.a);
    release(task.b);
  }
}, () => []);

/** Frees a panel that is this thread's own at once: the collector would wait for hundreds. */
function release(panel: Panel | null): void {
  const buffer = panel?.data.buffer;
  if (buffer instanceof ArrayBuffer) buffer.transfer(0);
}
