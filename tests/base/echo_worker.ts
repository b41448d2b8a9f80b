/** A Worker of workers_test.ts: waits and answers, fails as it is told, or breaks. @module */

import { FormatError } from "../../lib/base/errors.ts";
import { serveRequests } from "../../lib/base/workers.ts";

export interface EchoRequest {
  readonly value: number;
  readonly wait?: number;
  readonly fail?: "format" | "other" | "break";
}

serveRequests(async ({ value, wait = 0, fail }: EchoRequest) => {
  if (wait > 0) await new Promise((resolve) => setTimeout(resolve, wait));
  if (fail === "format") throw new FormatError(`${value} is damaged.`);
  if (fail === "other") throw new TypeError(`${value} is odd`);
  if (fail === "break") {
    setTimeout(() => {
      throw new Error("broken");
    });
    await new Promise(() => {});
  }
  return Float32Array.of(value);
}, (response) => [response.buffer]);
