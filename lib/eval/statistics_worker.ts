/** A thread of statistics_pool.ts. @module */

import { serveRequests } from "../workers.ts";
import { answer, type Panel, type StatisticsTask } from "./statistics_tasks.ts";

serveRequests((task: StatisticsTask) => {
  try {
    return Promise.resolve(answer(task));
  } finally {
    release(task.a);
    release(task.b);
  }
}, () => []);

/** Frees a panel, which is this thread's own, at once: the collector would wait for hundreds. */
function release(panel: Panel | null): void {
  (panel?.data.buffer as ArrayBuffer | undefined)?.transfer(0);
}
