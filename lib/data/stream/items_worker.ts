/** A thread of prefetch.ts. @module */

import { serveRequests } from "../../base/workers.ts";
import { makeItems } from "./make_items.ts";

serveRequests(makeItems, ({ data, made }) => [data.buffer, made.buffer]);
