/**
 * Every command in the documentation is run: in the order of the text, in one folder that has the
 * files that the text supposes, with the permissions that docs/permissions.md gives the verb, and
 * with settings that make it quick.
 *
 * Not run, but parsed by docs_test.ts, are the commands that start tests, formatters and compilers,
 * and those of a block after a comment that says why: `<!-- not run: downloads 2 GB -->`.
 */

import assert from "node:assert/strict";
import { fromFileUrl, join, resolve } from "jsr:@std/path@1.0.8";
import { findVerb, verbs } from "../cli/verbs.ts";
import { findContents } from "../tools/compile.ts";
import { writeSupposedFiles } from "./support/cli/docs_files.ts";
import { withTempFolder } from "./support/files.ts";
import { importMapArguments } from "./support/cli/imm.ts";
import {
  accessesIn,
  documentedPermissions,
  npmCacheFolder,
  permissionFlags,
  undocumented,
} from "./support/cli/permissions.ts";
import { type Command, commandsOf } from "./support/cli/shell.ts";

const root = fromFileUrl(import.meta.resolve("../"));

/** The Markdown files for users, the README first. */
function documents(): string[] {
  const found: string[] = [];
  const walk = (folder: string) => {
    for (const { name, isDirectory } of Deno.readDirSync(join(root, folder))) {
      if (isDirectory) walk(`${folder}/${name}`);
      else if (name.endsWith(".md")) found.push(`${folder}/${name}`);
    }
  };
  walk("docs");
  return ["README.md", ...found.sort()];
}

/** The text without the blocks that are marked. */
function runnable(markdown: string): string {
  return markdown.replace(/^<!-- not run: .+? -->\n+```sh\n.*?^```$/gms, "");
}

/** The arguments of `imm` in a command; null for one that is not run. */
function immArguments(command: Command): readonly string[] | null {
  const [program, ...rest] = command;
  if (program === "./imm" || program === "imm") {
    return ["test", "deno"].includes(rest[0]) ? null : rest;
  }
  if (program === "deno") {
    const main = rest.findIndex((word) => word.endsWith("cli/main.ts"));
    return rest[0] === "run" && main > 0 ? rest.slice(main + 1) : null;
  }
  throw new Error(
    `cannot run ${program}: put <!-- not run: reason --> before the block, or teach this test`,
  );
}

const set = (settings: Readonly<Record<string, unknown>>) =>
  Object.entries(settings).flatMap(([key, value]) => ["--set", `${key}=${JSON.stringify(value)}`]);

/** Two steps of training. */
const TWO_STEPS = set({ "train.batch": 32, "train.images": 64 });

/** The same of a network of no use that does everything. */
const QUICK_TRAINING = [
  ...set({
    "network.modelChannels": 8,
    "network.channelMult": [1],
    "network.numBlocks": 1,
  }),
  ...TWO_STEPS,
];

/** What makes a verb quick; options that come last win. */
function quickened(verb: string, args: readonly string[]): string[] {
  switch (verb) {
    case "train":
      if (args.includes("--resume")) {
        return args.some((arg) => arg.startsWith("train.images="))
          ? set({ "train.images": 96 })
          : [];
      }
      return args.includes("--dry-run") ? [] : [
        // Fine-tuning has the network that it begins with.
        ...args.includes("--init") ? TWO_STEPS : QUICK_TRAINING,
        ...args.some((arg) => arg.includes("ema.snapshots"))
          ? set({ "train.ema.snapshots": 32 })
          : [],
        "--quiet",
      ];
    case "quickstart":
      return ["--fast", ...QUICK_TRAINING, "--quiet"];
    case "eval":
    case "eval stats":
      return args.includes("--checkpoint") ? ["--num", "50"] : [];
    case "bench":
      return ["--seconds", "0.01", "--preset", "digits-small", "--device", "wasm"];
    default:
      return [];
  }
}

/** A gate that compares scores of a network of no use may close. */
function allowedCodes(args: readonly string[]): number[] {
  return args.some((arg) => /^--(fail-if|baseline|gate)/.test(arg)) ? [0, 3] : [0];
}

interface Ran {
  readonly where: string;
  readonly verb: string;
}

async function runAll(folder: string, onAccess: (path: string) => void): Promise<Ran[]> {
  const ran: Ran[] = [];
  const failed: string[] = [];
  const documented = documentedPermissions();
  const CACHE = await npmCacheFolder();
  const audit = await Deno.makeTempFile();
  for (const document of documents()) {
    for (const command of commandsOf(runnable(Deno.readTextFileSync(join(root, document))))) {
      const args = immArguments(command);
      if (args === null) continue;
      const where = `${document}: ${command.join(" ")}`;
      const found = findVerb(args, verbs);
      const verb = found?.entry.name ?? "";
      const allowed = [...documented].flatMap(([name, flags]) => {
        const [of, option] = name.split(" --");
        return of === verb && (!option || args.includes(`--${option}`)) ? flags : [];
      });
      const flags = permissionFlags(allowed, {
        PROGRAM: root.replace(/[\\/]$/, ""),
        CACHE,
        FILES: folder,
      });
      await Deno.writeTextFile(audit, "");
      const { code, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
        args: [
          ...["run", "--no-prompt", "--no-check", ...importMapArguments(), ...flags],
          ...[join(root, "cli/main.ts"), ...args],
          ...args.includes("--help") ? [] : quickened(verb, args),
        ],
        cwd: folder,
        env: { NO_COLOR: "1", DENO_AUDIT_PERMISSIONS: audit },
        stdin: "null",
        signal: AbortSignal.timeout(300_000),
      }).output();
      const errors = new TextDecoder().decode(stderr);
      if (command.stdout) await Deno.writeFile(join(folder, command.stdout), stdout);
      const asked = undocumented(audit, flags, folder);
      if (!allowedCodes(args).includes(code) || /NotCapable|--allow-/.test(errors)) {
        failed.push(`${where}: exit code ${code}\n${errors}`);
      } else if (asked.length > 0) failed.push(`${where}: would ask for ${asked.join(", ")}`);
      for (const { permission, value } of accessesIn(audit)) {
        if (permission !== "read") continue;
        onAccess(value.startsWith("file:") ? fromFileUrl(value) : resolve(folder, value));
      }
      ran.push({ where, verb });
    }
  }
  await Deno.remove(audit);
  assert.deepEqual(failed, [], failed.join("\n"));
  return ran;
}

Deno.test("every command in the documentation runs with the documented permissions", async () => {
  const { modules, include, exclude } = await findContents();
  const embedded = new Set([...modules, ...include]);
  const leftOut = new Set(exclude);
  await withTempFolder(async (temporary) => {
    const folder = await Deno.realPath(temporary);
    await writeSupposedFiles(folder);
    const missing = new Set<string>();
    const ran = await runAll(folder, (path) => {
      const isFile = path.startsWith(root) && Deno.statSync(path).isFile;
      if (isFile && !embedded.has(path) || leftOut.has(path)) missing.add(path);
    });
    assert.ok(ran.length > 15);
    assert.deepEqual([...missing], [], "an executable would lack these files");
    // A verb that no text shows is one that nobody finds.
    const shown = new Set(ran.map(({ verb }) => verb));
    assert.deepEqual(verbs.map(({ name }) => name).filter((name) => !shown.has(name)), []);
  });
});

Deno.test("every verb has documented permissions", () => {
  const documented = documentedPermissions();
  const names = [...documented.keys()].filter((name) => !name.includes("--"));
  assert.deepEqual(names.sort(), verbs.map(({ name }) => name).sort());
});
