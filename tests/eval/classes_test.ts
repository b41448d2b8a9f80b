import { deepStrictEqual, match, throws } from "node:assert/strict";
import { type ImageClasses, matchClasses } from "../../lib/eval/classes.ts";
import { UsageError } from "../../lib/base/errors.ts";

const of = (set: string, names: string[] | number, present?: number[]) => ({
  set,
  classes: {
    count: typeof names === "number" ? names : names.length,
    names: typeof names === "number" ? null : names,
    ...(present ? { present } : {}),
  } satisfies ImageClasses,
});

const matched = (...sets: Parameters<typeof matchClasses>) => [...matchClasses(...sets).numbers];

Deno.test("matchClasses goes by names where both sets have some", () => {
  const [pets, zoo] = [of("pets", ["cat", "dog"]), of("zoo", ["ape", "cat", "dog"])];
  deepStrictEqual(matched(pets, zoo), [1, 2]);
  throws(
    () => matchClasses(zoo, pets),
    (error) =>
      error instanceof UsageError &&
      /^zoo has the class ape, which pets has not: zoo has ape, cat, dog, pets has cat, dog; /
        .test(error.message),
  );
  // Only classes that occur must be there.
  deepStrictEqual(matched(of("zoo", ["ape", "cat", "dog"], [2]), pets), [-1, 0, 1]);
});

Deno.test("matchClasses takes names that are numbers for the numbers of a set without names", () => {
  const [digits, ten] = [of("digits", ["1", "2", "9"]), of("ten", 10)];
  deepStrictEqual(matched(digits, ten), [1, 2, 9]);
  deepStrictEqual(matched(of("ten", 10, [1, 9]), digits).filter((i) => i >= 0), [0, 1, 2]);
  throws(() => matchClasses(ten, digits), /ten has the classes 0, 3, 4, 5, 6, 7, 8, which digits/);
  throws(() => matchClasses(of("months", ["1", "12"]), ten), /the class 12, which ten has not/);
});

Deno.test("matchClasses goes by numbers else, and says so where one set has names", () => {
  const [plain, pets] = [of("plain", 2), of("pets", ["cat", "dog"])];
  deepStrictEqual(matchClasses(plain, of("other", 3)), {
    numbers: Int32Array.of(0, 1),
    warnings: [],
  });
  const { numbers, warnings } = matchClasses(plain, pets);
  deepStrictEqual([...numbers], [0, 1]);
  match(warnings[0], /by number: those of plain have no names, those of pets are cat, dog\./);
  throws(() => matchClasses(of("many", 3), plain), /the class 2, .* the classes 0 to 2 without na/);
});
