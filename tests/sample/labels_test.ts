/** Which class an image is asked to be. */

import { deepEqual, ok, throws } from "node:assert/strict";
import { UsageError } from "../../lib/errors.ts";
import { chooseLabels, parseClasses } from "../../lib/sample/labels.ts";

const seeds = Array.from({ length: 3000 }, (_, i) => i);

Deno.test("classes in turn and lists go by the seed, not by its place", () => {
  const all = parseClasses("all", "--classes");
  deepEqual(chooseLabels(all, [0, 1, 2, 3, 7], 3), [0, 1, 2, 0, 1]);
  const list = parseClasses("5,1-2", "--classes");
  deepEqual(chooseLabels(list, [0, 1, 2, 3], 6), [5, 1, 2, 5]);
  deepEqual(chooseLabels(list, [2, 0], 6), [2, 5]);
  deepEqual(chooseLabels(parseClasses("none", "--classes"), [4, 5], 6), [null, null]);
});

Deno.test("random classes are about equally many, and the same for a seed in any selection", () => {
  const random = parseClasses("random", "--classes");
  const labels = chooseLabels(random, seeds, 10);
  for (let label = 0; label < 10; label++) {
    const count = labels.filter((found) => found === label).length;
    ok(Math.abs(count - 300) < 5 * Math.sqrt(300 * 0.9), `class ${label}: ${count}`); // 5 sigma
  }
  deepEqual(chooseLabels(random, [17, 4], 10), [labels[17], labels[4]]);
  // No pattern from seed to seed.
  const repeated = labels.filter((label, i) => label === labels[i + 1]).length;
  ok(Math.abs(repeated - 300) < 5 * Math.sqrt(300 * 0.9), `${repeated} repeats`);
});

Deno.test("classes that there are not are refused", () => {
  const message = (text: string, classes: number) => {
    let found = "";
    throws(() => chooseLabels(parseClasses(text, "--classes"), seeds, classes), (error) => {
      found = (error as Error).message;
      return error instanceof UsageError;
    });
    return found;
  };
  ok(/no class 10: the model has classes 0 to 9/.test(message("0,10", 10)));
  ok(/has no classes/.test(message("3", 0)));
  ok(/has no classes/.test(message("random", 0)));
  ok(/--classes expects all, random, none or a list/.test(message("cats", 10)));
  ok(/--classes expects/.test(message("3-1", 10)));
});
