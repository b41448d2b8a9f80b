/** The other half of backend.ts: says whether this thread is given an adapter. @module */

import { serveRequests } from "../../../base/workers.ts";

serveRequests<null, boolean>(async () => {
  const adapter = await navigator.gpu?.requestAdapter({ powerPreference: "high-performance" });
  return (adapter ?? null) !== null;
}, () => []);
