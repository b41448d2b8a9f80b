/** The documentation says what is so: links lead somewhere, commands exist, exports are described. */

import assert from "node:assert/strict";
import { dirname, fromFileUrl, join, relative, SEPARATOR, toFileUrl } from "jsr:@std/path@1.0.8";
import { parseVerb } from "../cli/base/verb.ts";
import { findVerb, verbs } from "../cli/verbs.ts";
import config from "../deno.json" with { type: "json" };
import offline from "../offline/import_map.json" with { type: "json" };
import { withTempFolder } from "./support/files.ts";
import { importMapArguments } from "./support/cli/imm.ts";
import { type Command, commands, commandsOf } from "./support/cli/shell.ts";

const root = fromFileUrl(import.meta.resolve("../"));

/** Files of the project with an extension, relative to its root. */
function* files(extension: string, folder = root): Generator<string> {
  for (const entry of Deno.readDirSync(folder)) {
    if (/^(\.|node_modules$|target$|runs$|dist$)/.test(entry.name)) continue;
    const path = join(folder, entry.name);
    if (entry.isDirectory) yield* files(extension, path);
    else if (path.endsWith(extension)) yield relative(root, path).replaceAll(SEPARATOR, "/");
  }
}

/** Whether a path is what a pattern with stars stands for. */
function matches(path: string, pattern: string): boolean {
  const [head, ...tails] = pattern.split("*");
  return tails.length === 0 ? path === head : path.startsWith(head) && path.endsWith(tails[0]);
}

const read = (path: string) => Deno.readTextFileSync(join(root, path));

async function deno(args: readonly string[], cwd = root) {
  const { code, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args: [...args],
    cwd,
    env: { NO_COLOR: "1" },
    stdin: "null",
  }).output();
  const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes);
  return { code, output: text(stdout) + text(stderr) };
}

const entryPoints = Object.values(config.exports);

Deno.test("everything that the library exports is documented", async () => {
  const { code, output } = await deno(["doc", "--lint", ...importMapArguments(), ...entryPoints]);
  assert.equal(code, 0, output);
});

Deno.test("entry points list what they export, and export nothing that only their room uses", () => {
  const room = (path: string) => path.startsWith("lib/") ? path.split("/")[1] : "";
  const others = [...files(".ts"), ...files(".md")].filter((path) => !path.endsWith("/mod.ts"));
  // Types may be there because a function that is exported takes or gives them.
  const valuesOf = (text: string) =>
    [...text.matchAll(/^export \{([^}]*)\}/gm)].flatMap(([, names]) =>
      names.split(",").map((name) => name.trim()).filter((name) => /^[^\s]+$/.test(name))
    );
  const words = new Map(others.map((path) => [path, new Set(read(path).match(/\w+/g))]));
  for (const entry of entryPoints.map((path) => path.slice(2))) {
    const text = read(entry);
    assert.doesNotMatch(text, /^export (type )?\*/m, entry);
    if (room(entry) === "tensor") continue; // operations come in families, used or not
    const unused = valuesOf(text).filter((name) =>
      !others.some((path) =>
        (entry === "mod.ts" || room(path) !== room(entry)) && words.get(path)!.has(name)
      )
    );
    assert.deepEqual(unused, [], entry);
  }
});

Deno.test("the library can be published: complete and with explicit types", async () => {
  // In place of JSR, which need not answer: its packages are mapped within the package itself.
  const mapped = Object.entries(offline.imports).map(([name, path]) => [
    name,
    path.replace(/^\./, "./offline"),
  ]);
  const include = [...config.publish.include, "offline/"];
  const published = {
    ...config,
    imports: { ...config.imports, ...Object.fromEntries(mapped) },
    publish: { include },
  };
  const isIncluded = (path: string) =>
    include.some((pattern) =>
      pattern.endsWith("/") ? path.startsWith(pattern) : matches(path, pattern)
    );
  await withTempFolder(async (folder) => {
    for (const path of [...files("")].filter(isIncluded)) {
      const target = join(folder, path);
      await Deno.mkdir(dirname(target), { recursive: true });
      await Deno.copyFile(join(root, path), target);
    }
    await Deno.writeTextFile(join(folder, "deno.json"), JSON.stringify(published));
    const { code, output } = await deno(["publish", "--dry-run", "--allow-dirty"], folder);
    assert.equal(code, 0, output);
    assert.doesNotMatch(output, /^warning\[/m);
    for (const file of ["mod.ts", "wasm/statistics.wasm", "LICENSE", "README.md"]) {
      assert.ok(output.includes(`/${file} (`), `${file} is not published:\n${output}`);
    }
    // What is loaded only at run time, as Workers and WebAssembly are, must be there, too.
    const program = `
      const { openDevice } = await import(${
      JSON.stringify(toFileUrl(join(folder, "mod.ts")).href)
    });
      const device = await openDevice({ device: "wasm", threads: 2 });
      console.log(device.description);
      device.close();`;
    const used = await deno(["eval", "--no-check", program], folder);
    assert.match(used.output, /WebAssembly, 2 threads/);
  });
});

Deno.test("links within the documentation lead to files and headings that exist", () => {
  const broken: string[] = [];
  let count = 0;
  for (const file of files(".md")) {
    const text = read(file).replace(/^```.*?^```/gms, "").replace(/`[^`\n]*`/g, "");
    for (const [, target] of text.matchAll(/\]\(([^)\s]+)\)|^\[[^\]]+\]:\s*(\S+)/gm)) {
      if (target === undefined || /^[a-z]+:/.test(target)) continue;
      count++;
      const [path, anchor] = target.split("#");
      const linked = path === "" ? file : join(dirname(file), decodeURI(path));
      if (!exists(linked) || (anchor && !anchors(read(linked)).includes(anchor))) {
        broken.push(`${file}: ${target}`);
      }
    }
  }
  assert.ok(count > 0);
  assert.deepEqual(broken, []);
});

Deno.test("files of the project that the documentation names exist", () => {
  const missing: string[] = [];
  let count = 0;
  for (const file of files(".md").filter((file) => file !== "CHANGELOG.md")) {
    const text = read(file).replace(/^```.*?^```/gms, "");
    for (
      const [, path] of text.matchAll(/`((?:lib|cli|tests|wasm|tools|offline)\/[^`\s*]*)`/g)
    ) {
      count++;
      if (!exists(path)) missing.push(`${file}: ${path}`);
    }
  }
  assert.ok(count > 20);
  assert.deepEqual(missing, []);
});

function exists(path: string): boolean {
  try {
    return Deno.statSync(join(root, path)) !== null;
  } catch {
    return false;
  }
}

/** Names that GitHub gives to the headings of a Markdown text. */
function anchors(markdown: string): string[] {
  return [...markdown.matchAll(/^#+\s+(.*)$/gm)].map(([, heading]) =>
    heading.toLowerCase().replace(/[^\p{L}\p{N}\s_-]/gu, "").trim().replaceAll(" ", "-")
  );
}

Deno.test("commands in the documentation are ones that the program understands", async () => {
  let count = 0;
  for (const file of files(".md")) {
    for (const command of commandsOf(read(file))) {
      if (!["./imm", "imm", "deno"].includes(command[0])) continue;
      count++;
      await checked(`${file}: ${command.join(" ")}`, command);
    }
  }
  assert.ok(count > 5);
});

Deno.test("examples in the help of the verbs are commands that the program understands", async () => {
  for (const { load } of verbs) {
    for (const { command } of (await load()).examples) {
      const [first] = commands(command);
      assert.equal(first[0], "imm");
      await checked(command, first);
    }
  }
});

async function checked(where: string, command: Command): Promise<void> {
  try {
    if (command[0] === "deno") await checkDeno(command.slice(1));
    else await checkImm(command.slice(1));
  } catch (error) {
    throw new Error(`${where}: ${error instanceof Error ? error.message : error}`);
  }
}

/** Parses the arguments of `./imm` with the verb's own table; nothing is run. */
async function checkImm(command: Command): Promise<void> {
  const [name, ...args] = command;
  switch (name) {
    case "--help":
    case "--version":
      return;
    case "test":
      for (const path of args.filter((arg) => !arg.startsWith("-"))) assert.ok(exists(path), path);
      return;
    case "deno":
      return await checkDeno(args);
  }
  const found = findVerb(command, verbs);
  assert.ok(found, `there is no verb ${name}`);
  const { entry, rest } = found;
  if (!args.includes("--help")) parseVerb(await entry.load(), rest);
}

/** Files, tasks and subcommands exist; what follows the program is for the program. */
async function checkDeno([subcommand, ...args]: Command): Promise<void> {
  if (subcommand === "task") {
    assert.ok(Object.hasOwn(config.tasks, args[0]), `there is no task ${args[0]}`);
    return;
  }
  assert.ok(["run", "fmt", "lint", "check", "test", "bench", "doc"].includes(subcommand));
  const map = args.indexOf("--import-map");
  if (map >= 0) assert.ok(exists(args[map + 1]), args[map + 1]);
  const program = args.findIndex((arg) => arg.endsWith(".ts"));
  if (program < 0) return;
  assert.ok(/^https?:/.test(args[program]) || exists(args[program]), args[program]);
  if (args[program].endsWith("cli/main.ts")) await checkImm(args.slice(program + 1));
}
