/** A thread of statistics_pool.ts. @module */

import { serveRequests } from "../workers.ts";
import { answer } from "./statistics_tasks.ts";

serveRequests((task: Parameters<typeof answer>[0]) => Promise.resolve(answer(task)), () => []);
