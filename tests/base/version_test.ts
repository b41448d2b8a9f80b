import assert from "node:assert/strict";
import { VERSION } from "../../lib/base/version.ts";
import config from "../../deno.json" with { type: "json" };

Deno.test("the version in the program is the version of the package", () => {
  assert.equal(VERSION, config.version);
});
