/** Which class an image is asked to be. */

import { deepEqual, ok, throws } from "node:assert/strict";
import { UsageError } from "../../lib/base/errors.ts";
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

Deno.test("classes are named as well as numbered, and what is of two classes is refused", () => {
  const names = ["cat", "dog", "Horse", "guinea pig", "red, green"];
  const classes = (text: string, of: readonly string[] = names) => {
    const choice = parseClasses(text, "--classes", of);
    return choice.kind === "cycle" ? choice.classes : choice.kind;
  };
  deepEqual(classes("horse"), [2]);
  deepEqual(classes("dog,0, guinea pig,2-3"), [1, 0, 3, 2, 3]);
  deepEqual(classes("red, green"), [4]);
  deepEqual(classes("random"), "random");
  const refused = (text: string, message: RegExp, of: readonly string[] | null = names) =>
    throws(() => parseClasses(text, "--classes", of), (error) => {
      ok(message.test((error as Error).message), (error as Error).message);
      return error instanceof UsageError;
    });
  refused("hose", /--classes: there is no class "hose"; did you mean "Horse"\?/);
  refused("zebra", /no class "zebra"; the model has cat, dog, Horse, guinea pig, red, green\.$/);
  refused("cat", /got "cat"; the model has no names of classes/, null);
  refused("cat,", /there is no class ""/);
  // Folders called 1 to 12 are in the order of their letters.
  const sorted = ["1", "10", "11", "12", "2", "3"];
  refused(
    "2",
    /2 is the number of the class "11" and the name of class 4; write number:2 or name:2/,
    sorted,
  );
  deepEqual(classes("number:2,name:2,name:12", sorted), [2, 4, 3]);
  deepEqual(classes("0", ["0", "1"]), [0]);
  // Words and capitals: what is exact wins.
  deepEqual(classes("name:all,Cat,cat", ["all", "Cat", "cat"]), [0, 1, 2]);
  refused("CAT", /there is no class "CAT"/, ["Cat", "cat"]);
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
