/** The completion scripts in the shells themselves, those that are installed. */

import assert from "node:assert/strict";
import { join } from "jsr:@std/path@1.0.8";
import { type CompletedVerb, completedVerbs, firstWords } from "../../cli/completions/commands.ts";
import { bashCompletions } from "../../cli/completions/bash.ts";
import { fishCompletions } from "../../cli/completions/fish.ts";
import { powershellCompletions } from "../../cli/completions/powershell.ts";
import { zshCompletions } from "../../cli/completions/zsh.ts";
import { verbs } from "../../cli/verbs.ts";
import { withTempFolder } from "../support/files.ts";
import { imm } from "../support/cli/imm.ts";
import { isInstalled, needing } from "../support/needs.ts";

const all = completedVerbs(await Promise.all(verbs.map(({ load }) => load())));

/** A test in a shell, where it is installed. */
function shellTest(shell: "bash" | "fish" | "zsh", name: string, fn: () => Promise<void>): void {
  Deno.test(needing(shell, isInstalled(shell), { name, fn }));
}

async function run(shell: string, args: string[], cwd: string): Promise<string> {
  const { code, stdout, stderr } = await new Deno.Command(shell, {
    args,
    cwd,
    env: { TERM: "dumb" },
    stdin: "null",
    signal: AbortSignal.timeout(60_000),
  }).output();
  const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes);
  assert.equal(text(stderr), "");
  assert.equal(code, 0);
  return text(stdout);
}

/** Command lines that end where Tab is pressed, and what shells make of them. */
function cases(verbs: readonly CompletedVerb[]): Map<string, string[]> {
  const expected = new Map<string, string[]>();
  for (const { name, options } of verbs) {
    for (const { long, words, keys } of options) {
      const others = options.filter((other) => other.long.startsWith(long));
      expected.set(`imm ${name} ${long}`, others.map((other) => other.long));
      if (words) expected.set(`imm ${name} ${long} `, [...words]);
      if (keys) expected.set(`imm ${name} ${long} `, keys.map((key) => `${key}=`));
    }
  }
  return expected;
}

shellTest("bash", "bash completes verbs, options and values", async () => {
  await withTempFolder(async (folder) => {
    await Deno.writeTextFile(join(folder, "imm.bash"), bashCompletions(all));
    const expected = cases(all);
    expected.set("imm ", [...firstWords(all).keys(), "help", "--help", "--version"]);
    expected.set("imm tra", ["train"]);
    expected.set("imm help tra", ["train"]);
    expected.set("imm eval ", ["stats", "merge", "cache"]);
    expected.set("imm eval m", ["merge"]);
    expected.set("imm dataset ", ["prepare", "info"]);
    expected.set("imm dataset p", ["prepare"]);
    expected.set("imm ema ", ["reconstruct"]);
    expected.set("imm ema --", ["--help"]);
    expected.set("imm train --set train.ema.d", ["train.ema.decay="]);
    expected.set("imm train --set=train.ema.d", ["train.ema.decay="]);
    expected.set("imm train --set train.batch=", []);
    expected.set("imm convert --set train.", []);
    expected.set("imm completions f", ["fish"]);
    expected.set("imm train --device=", ["auto", "webgpu", "wasm"]);
    expected.set("imm train --device=we", ["webgpu"]);
    expected.set("imm train --out runs/x --dev", ["--device"]);
    expected.set("imm train --out x", []); // bash itself completes files
    expected.set("./imm sample --out x --sampler ", [
      "pushforward",
      "restart",
      "heun",
      "midpoint",
      "euler",
    ]);
    // As bash splits a line: at spaces and at "=".
    const script = [
      "source ./imm.bash",
      "compopt() { :; }", // only within a completion that readline asked for
      'try() { COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _imm; echo "${COMPREPLY[*]}"; }',
      ...[...expected.keys()].map((line) => {
        const words = line.split(/ |(=)/).filter((word) => word !== undefined);
        const shown = words.filter((word, i) => word !== "" || i === words.length - 1);
        if (line.endsWith("=")) shown.pop();
        return `try ${shown.map((word) => `'${word}'`).join(" ")}`;
      }),
    ].join("\n");
    const lines = (await run("bash", ["--norc", "-c", script], folder)).split("\n");
    assert.deepEqual(
      Object.fromEntries([...expected.keys()].map((line, i) => [line, lines[i]])),
      Object.fromEntries([...expected].map(([line, words]) => [line, words.join(" ")])),
    );
  });
});

shellTest("fish", "fish completes verbs, options and values", async () => {
  await withTempFolder(async (folder) => {
    await Deno.writeTextFile(join(folder, "imm.fish"), fishCompletions(all));
    await Deno.writeTextFile(join(folder, "grid.npz"), "");
    const expected = cases(all);
    expected.set("imm ", [...firstWords(all).keys()]);
    expected.set("imm help tra", ["train"]);
    expected.set("imm eval st", ["stats"]);
    expected.set("imm dataset ", ["prepare", "info"]);
    expected.set("imm ema ", ["reconstruct"]);
    expected.set("imm train --set=train.ema.d", ["--set=train.ema.decay="]);
    expected.set("imm completions f", ["fish"]);
    expected.set("imm train --device=we", ["--device=webgpu"]);
    expected.set("imm train --out gri", ["grid.npz"]);
    expected.set("imm train gri", []); // takes no files
    expected.set("imm eval gri", ["grid.npz"]);
    const script = ["source ./imm.fish"].concat(
      [...expected.keys()].map((line) => `complete -C '${line}'; echo ';'`),
    ).join("\n");
    const found = (await run("fish", ["--no-config", "-c", script], folder)).split(";\n");
    // Words and descriptions, separated by tabs; fish sorts them.
    const words = (answers: string) =>
      answers.split("\n").filter(Boolean).map((answer) => answer.split("\t")[0]).sort();
    assert.deepEqual(
      Object.fromEntries([...expected.keys()].map((line, i) => [line, words(found[i])])),
      Object.fromEntries([...expected].map(([line, words]) => [line, words.toSorted()])),
    );
  });
});

/** Whether a program can be run as at a terminal, which zsh asks for before it completes. */
function hasTerminals(): boolean {
  try {
    Deno.openSync("/dev/ptmx", { read: true, write: true }).close();
    return true;
  } catch {
    return false;
  }
}

const canAsk = !isInstalled("zsh") ? "zsh" : "pseudo terminals";

Deno.test(needing(canAsk, isInstalled("zsh") && hasTerminals(), {
  name: "zsh completes verbs, options and values",
  fn: zshCompletes,
}));

async function zshCompletes() {
  await withTempFolder(async (folder) => {
    await Deno.writeTextFile(join(folder, "imm.zsh"), zshCompletions(all));
    await Deno.writeTextFile(join(folder, "grid.npz"), "");
    // A terminal of zsh's own: the line, Tab, and an echo around what has become of it.
    const script = [
      "zmodload zsh/zpty",
      "zpty z zsh -f -i",
      `zpty -w z "PS1='> '; autoload -Uz compinit; compinit -u -D; source ./imm.zsh; ` +
      `setopt nolistbeep nobeep noautolist noautomenu; bindkey '^I' complete-word; echo rea''dy"`,
      "zpty -r z line '*ready*'",
      "for typed in $@; do",
      "zpty -w -n z $typed$'\\t\\x01echo \"<\\x05>\"\\n'",
      "zpty -r z out $'*\\n<*>*'",
      "print -r -- ${${out##*$'\\n<'}%%'>'*}",
      "done",
    ].join("\n");
    const expected = [
      ["imm tra", "imm train "],
      ["imm help quick", "imm help quickstart "],
      ["imm eval me", "imm eval merge "],
      ["imm dataset pre", "imm dataset prepare "],
      ["imm ema re", "imm ema reconstruct "],
      ["imm train --set train.ema.dec", "imm train --set train.ema.decay="],
      ["imm train --set=train.ema.dec", "imm train --set=train.ema.decay="],
      ["imm train --preset cif", "imm train --preset cifar10 "],
      ["imm train --preset=cif", "imm train --preset=cifar10 "],
      ["imm train --dry", "imm train --dry-run "],
      ["imm eval stats --form", "imm eval stats --format"],
      ["imm sample --out x --sampler re", "imm sample --out x --sampler restart "],
      ["imm completions pow", "imm completions powershell "],
      ["imm eval gri", "imm eval grid.npz "],
      ["imm train gri", "imm train gri"],
    ];
    const typed = expected.map(([typed]) => typed);
    const lines = (await run("zsh", ["-f", "-c", script, "zsh", ...typed], folder))
      .replaceAll("\r", "").split("\n").map((line) => line.trimEnd());
    assert.deepEqual(
      typed.map((line, i) => [line, lines[i]]),
      expected.map(([line, complete]) => [line, complete.trimEnd()]),
    );
  });
}

Deno.test("every verb and option is in every script", () => {
  for (const script of [bashCompletions, zshCompletions, fishCompletions, powershellCompletions]) {
    const text = script(all);
    for (const { name, options } of all) {
      assert.ok(text.includes(name), `${script.name}: ${name}`);
      for (const { long } of options) {
        const shown = script === fishCompletions ? `-l ${long.slice(2)} ` : long;
        assert.ok(text.includes(shown), `${script.name}: ${name} ${long}`);
      }
    }
  }
});

shellTest(
  "bash",
  "quotes and brackets in a help text do not break a script",
  async () => {
    const awkward = completedVerbs([{
      name: "odd",
      summary: `an "awkward" verb, isn't it: $(touch x) [y] \\`,
      usage: "imm odd",
      examples: [],
      options: {},
      run: () => Promise.resolve(),
    }]);
    await withTempFolder(async (folder) => {
      for (
        const [shell, script] of [
          ["bash", bashCompletions],
          ["zsh", zshCompletions],
          ["fish", fishCompletions],
        ] as const
      ) {
        if (!isInstalled(shell)) continue;
        const path = join(folder, `imm.${shell}`);
        await Deno.writeTextFile(path, script(awkward));
        await run(shell, ["-n", path], folder);
      }
    });
  },
);

Deno.test("imm completions prints the script, and refuses a shell that it does not know", async () => {
  const { code, stdout, stderr } = await imm(["completions", "bash"]);
  assert.equal(code, 0, stderr);
  assert.equal(stdout, bashCompletions(all));
  const wrong = await imm(["completions", "fsih"]);
  assert.equal(wrong.code, 2);
  assert.match(wrong.stderr, /one of bash, zsh, fish, powershell, .* did you mean "fish"\?\n$/);
});
