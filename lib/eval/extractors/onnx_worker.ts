/** A thread of onnx_sessions.ts. @module */

import { InternalError } from "../../base/errors.ts";
import { serveRequests } from "../../base/workers.ts";
import { OneSession, type SessionAnswer, type SessionRequest } from "./onnx_sessions.ts";

let session: OneSession | null = null;

serveRequests<SessionRequest, SessionAnswer>(
  async (request) => {
    if (request.kind === "load") {
      session = await OneSession.open(request.bytes, request.name, 1);
      return session.names;
    }
    if (!session) throw new InternalError("a network was asked for that was not loaded");
    return await session.run(request.inputs, request.wanted);
  },
  (answer) => Array.isArray(answer) ? answer.flatMap(({ data }) => data ? [data.buffer] : []) : [],
);
