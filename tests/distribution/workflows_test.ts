/** The workflows name tasks, files and platforms that there are. */

import assert from "node:assert/strict";
import config from "../../deno.json" with { type: "json" };
import { TARGETS } from "../../tools/compile.ts";

const read = (name: string) =>
  Deno.readTextFile(new URL(`../../.github/workflows/${name}`, import.meta.url));

Deno.test("the release tries an executable of every platform that is compiled", async () => {
  const tried = [...(await read("release.yml")).matchAll(/file: imm-(\S+?)(?:\.exe)? \}/g)];
  assert.deepEqual(tried.map(([, target]) => target), [...TARGETS]);
});

Deno.test("workflows run tasks and tests that there are", async () => {
  let count = 0;
  for (const name of ["ci.yml", "release.yml"]) {
    for (const [, task, rest] of (await read(name)).matchAll(/deno task ([\w:-]+)(.*)$/gm)) {
      assert.ok(Object.hasOwn(config.tasks, task), `there is no task ${task}`);
      for (const path of rest.trim().split(/\s+/).filter(Boolean)) {
        await Deno.stat(new URL(`../../${path}`, import.meta.url));
      }
      count++;
    }
  }
  assert.ok(count >= 2);
});
