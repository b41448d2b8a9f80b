import assert from "node:assert/strict";
import { commands, commandsOf } from "./shell.ts";

Deno.test("a command line is cut into commands and words", () => {
  assert.deepEqual(commands(`./imm train --set imm.k=14 --out 'my run'  # a comment`), [
    ["./imm", "train", "--set", "imm.k=14", "--out", "my run"],
  ]);
  assert.deepEqual(
    commands(`IMM_DEBUG=1 imm doctor --json 2>log.txt | jq ".a \\" b" && echo a\\ b`),
    [
      ["imm", "doctor", "--json"],
      ["jq", '.a " b'],
      ["echo", "a b"],
    ],
  );
  assert.deepEqual(commands("# nothing"), []);
});

Deno.test("only the sh blocks of a Markdown text have commands", () => {
  const text = "```sh\n./imm a \\\n  --b\n# c\n\nd\n```\n\n```ts\nconst e = 1;\n```\n\n`f`\n";
  assert.deepEqual(commandsOf(text), [["./imm", "a", "--b"], ["d"]]);
});

Deno.test("a command knows the file that its output goes to", () => {
  const [first, second] = commands("imm eval --json > last.json 2> log; imm info x");
  assert.deepEqual([...first], ["imm", "eval", "--json"]);
  assert.equal(first.stdout, "last.json");
  assert.equal(second.stdout, undefined);
});
