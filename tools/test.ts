/**
 * Runs the tests, several files at a time, and ends with what was ignored and why.
 *
 * ```sh
 * ./imm test                               # everything, the examples in the documentation, too
 * ./imm test tests/eval --filter "FID"     # files and folders; options go to `deno test`
 * IMM_GOLDEN=DIR ./imm test                # with the expected values in another folder
 * ```
 *
 * Test files are independent of each other, so that groups of them run in processes side by side,
 * one per core. Those of {@linkcode ALONE} measure the process or the machine and run by
 * themselves, after the others. A process that ends without a report counts as a failure.
 *
 * @module
 */

import { fromFileUrl, join, relative, resolve, SEPARATOR } from "jsr:@std/path@1.0.8";
import { importMapArguments } from "../tests/support/cli/imm.ts";
import { describeNeed, needOf } from "../tests/support/needs.ts";

const root = fromFileUrl(import.meta.resolve("../"));

/** Files that run while nothing else does, and why. */
export const ALONE: Readonly<Record<string, string>> = {
  "tests/device/device_test.ts": "measures the memory of the process",
  "tests/train/step_test.ts": "measures the memory of the process",
  "tests/device/wasm/threads_test.ts": "takes all cores",
};

/** Files that take longest where nothing is known of earlier runs; each is a group of its own. */
export const SLOW: readonly string[] = [
  "tests/device/networks_test.ts",
  "tests/device/golden_test.ts",
  "tests/docs_commands_test.ts",
  "tests/device/conv_test.ts",
  "tests/device/attention_test.ts",
  "tests/device/float16_test.ts",
  "tests/device/webgpu/tuner_test.ts",
  "tests/device/full_test.ts",
  "tests/train/trajectory_test.ts",
  "tests/eval/inception_test.ts",
  "tests/docs_test.ts",
];

/** Seconds of each file in earlier runs, by which they are ordered; kept beside Deno. */
const TIMES = join(root, ".deno", "test_times.json");

/** A file that took longer is a group of its own. */
const LONG = 10;

/** Small files are run in groups, because each process takes half a second to start. */
const GROUP = 6;

/** Options of `deno test` that are followed by a value as a word of its own. */
const WITH_VALUE = ["--filter", "--reporter", "--seed"];

/** What one process runs. */
interface Group {
  readonly name: string;
  readonly files: readonly string[];
  /** Whether the files are examples in documentation. */
  readonly doc?: boolean;
}

/** Seconds by file. */
type Times = Readonly<Record<string, number>>;

interface Outcome {
  readonly group: Group;
  readonly passed: number;
  readonly failed: number;
  readonly ignored: readonly string[];
  readonly seconds: number;
  readonly ok: boolean;
  /** Seconds of each file. */
  readonly times: Times;
  /** What the process printed. */
  readonly output: string;
}

/** Paths below the root, with slashes, whatever the system. */
function* walk(folder: string): Generator<string> {
  for (const entry of [...Deno.readDirSync(join(root, folder))].sort(byName)) {
    if (/^(\.|node_modules$|target$|runs$|dist$)/.test(entry.name)) continue;
    const path = folder === "" ? entry.name : `${folder}/${entry.name}`;
    if (entry.isDirectory) yield* walk(path);
    else yield path;
  }
}

function byName(a: Deno.DirEntry, b: Deno.DirEntry): number {
  return a.name < b.name ? -1 : 1;
}

const isTest = (path: string) => path.endsWith("_test.ts");

/** Whether a file has examples that `deno test --doc` runs. */
function hasExamples(path: string): boolean {
  return /\.(ts|md)$/.test(path) && !path.startsWith("tests/") &&
    /^\s*(\* )?```(ts|typescript|js|javascript)\b(?!.*\bignore\b)/m
      .test(Deno.readTextFileSync(join(root, path)));
}

/** The files to test: of the given files and folders, or all. */
function findFiles(paths: readonly string[]): { tests: string[]; docs: string[] } {
  if (paths.length === 0) {
    const all = [...walk("")];
    return { tests: all.filter(isTest), docs: all.filter(hasExamples) };
  }
  const found = paths.flatMap((path) =>
    Deno.statSync(join(root, path)).isDirectory ? [...walk(path)] : [path]
  );
  return {
    tests: found.filter((path) => isTest(path) || paths.includes(path) && path.endsWith(".ts")),
    docs: found.filter((path) => !isTest(path) && hasExamples(path)),
  };
}

/** Groups to run side by side, the longest first. */
function groupsOf(
  { tests, docs }: { tests: readonly string[]; docs: readonly string[] },
  times: Times,
): Group[] {
  const side = tests.filter((path) => !(path in ALONE));
  const seconds = (path: string) => times[path] ?? (SLOW.includes(path) ? LONG + 1 : 1);
  const own = side.filter((path) => seconds(path) > LONG);
  const groups: Group[] = own.map((path) => ({ name: path, files: [path] }));
  if (docs.length > 0) groups.push({ name: "examples", files: docs, doc: true });
  const small = Map.groupBy(
    side.filter((path) => !own.includes(path)),
    (path) => path.split("/").slice(0, 2).join("/"),
  );
  for (const [folder, files] of small) {
    for (let i = 0; i < files.length; i += GROUP) {
      const part = files.slice(i, i + GROUP);
      groups.push({
        name: part.length === 1 ? part[0] : `${folder} (${part.length})`,
        files: part,
      });
    }
  }
  const total = ({ files }: Group) => files.reduce((sum, path) => sum + seconds(path), 0);
  // Those of the list keep its order where nothing is known of them.
  return groups.toSorted((a, b) => total(b) - total(a));
}

/** What is known of earlier runs. */
async function readTimes(): Promise<Times> {
  try {
    return JSON.parse(await Deno.readTextFile(TIMES));
  } catch {
    return {};
  }
}

/** Remembers how long the files took, where that can be. */
async function keepTimes(times: Times): Promise<void> {
  try {
    await Deno.mkdir(join(root, ".deno"), { recursive: true });
    await Deno.writeTextFile(TIMES, JSON.stringify(times, null, 1));
  } catch {
    // the next run does without
  }
}

/** The environment of the tests. */
function environment(): Record<string, string> {
  // Mesa's driver for the processor compiles every shader anew for every size, and the tests run
  // each for milliseconds: a quarter of their time went into optimizing them.
  const golden = Deno.env.get("IMM_GOLDEN");
  return {
    GALLIVM_PERF: "nopt",
    ...Deno.env.toObject(),
    ...golden ? { IMM_GOLDEN: resolve(golden) } : {},
  };
}

async function runGroup(group: Group, options: readonly string[]): Promise<Outcome> {
  const report = await Deno.makeTempFile({ suffix: ".xml" });
  const started = performance.now();
  try {
    const { success, code, signal, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
      args: [
        ...["test", "--allow-all", "--no-check", "--quiet", "--config", "deno.json"],
        ...importMapArguments(),
        ...group.doc ? ["--doc"] : [],
        ...["--permit-no-files", `--junit-path=${report}`, ...options, ...group.files],
      ],
      cwd: root,
      env: environment(),
      stdin: "null",
    }).output();
    const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes);
    const cases = readReport(await Deno.readTextFile(report));
    const failed = cases.filter(({ outcome }) => outcome === "failed").length;
    // An error outside any test, or a death, is a failure although no test says so.
    const broken = !success && failed === 0;
    return {
      group,
      passed: cases.filter(({ outcome }) => outcome === "passed").length,
      failed: failed + (broken ? 1 : 0),
      ignored: cases.filter(({ outcome }) => outcome === "ignored").map(({ name }) => name),
      seconds: (performance.now() - started) / 1000,
      ok: success,
      times: group.doc ? {} : Object.fromEntries(
        [...Map.groupBy(cases, ({ file }) => file)].map(([file, own]) => [
          file,
          own.reduce((sum, { seconds }) => sum + seconds, 0),
        ]),
      ),
      output: text(stdout) + text(stderr) +
        (broken ? `\nthe process ended with ${signal ?? `exit code ${code}`}\n` : ""),
    };
  } finally {
    await Deno.remove(report);
  }
}

interface Case {
  readonly name: string;
  /** Below the root. */
  readonly file: string;
  readonly seconds: number;
  readonly outcome: "passed" | "failed" | "ignored";
}

/** The tests in a JUnit report as Deno writes it; those of steps are in the tests' own. */
export function readReport(xml: string): Case[] {
  return [...xml.matchAll(/<testcase ([^>]*?)(\/>|>(.*?)<\/testcase>)/gs)].flatMap(
    ([, attributes, , body = ""]) => {
      const name = /\bname="([^"]*)"/.exec(attributes)![1];
      if (name.includes(" &gt; ")) return [];
      const outcome = /<(failure|error)\b/.test(body)
        ? "failed"
        : /<skipped\b/.test(body)
        ? "ignored"
        : "passed";
      const of = (key: string) => new RegExp(`\\b${key}="([^"]*)"`).exec(attributes)?.[1] ?? "";
      const file = unescapeXml(of("classname")).replace(/^\.\//, "");
      return [{ name: unescapeXml(name), file, seconds: Number(of("time")), outcome }];
    },
  );
}

function unescapeXml(text: string): string {
  const named: Readonly<Record<string, string>> = {
    amp: "&",
    lt: "<",
    gt: ">",
    quot: '"',
    apos: "'",
  };
  return text.replace(
    /&(?:#(\d+)|#x([0-9a-f]+)|(\w+));/gi,
    (whole, decimal, hex, name) =>
      decimal || hex
        ? String.fromCodePoint(parseInt(decimal ?? hex, decimal ? 10 : 16))
        : named[name] ?? whole,
  );
}

/** Runs groups, as many at a time as there are cores, and tells the end of each. */
async function runAll(
  groups: readonly Group[],
  options: readonly string[],
  jobs: number,
): Promise<Outcome[]> {
  const outcomes: Outcome[] = [];
  const waiting = [...groups];
  const worker = async () => {
    for (let group; (group = waiting.shift()) !== undefined;) {
      const outcome = await runGroup(group, options);
      outcomes.push(outcome);
      tell(outcome);
    }
  };
  await Promise.all(Array.from({ length: jobs }, worker));
  return outcomes;
}

function tell({ group, passed, failed, ignored, seconds, ok, output }: Outcome): void {
  // Deno repeats what failed at the end.
  if (!ok) console.log(output.slice(Math.max(0, output.lastIndexOf(" ERRORS "))).trim());
  const counts = [`${passed} passed`];
  if (failed > 0) counts.push(`${failed} failed`);
  if (ignored.length > 0) counts.push(`${ignored.length} ignored`);
  console.log(
    `${ok ? "ok    " : "FAILED"} ${group.name}: ${counts.join(", ")} (${Math.round(seconds)} s)`,
  );
}

/** What was ignored, by what is missing. */
function ignoredList(outcomes: readonly Outcome[]): string[] {
  const names = outcomes.flatMap(({ ignored }) => ignored);
  const lines: string[] = [];
  for (const [need, tests] of Map.groupBy(names, needOf)) {
    const count = tests.length === 1 ? "1 test" : `${tests.length} tests`;
    lines.push(
      need === null
        ? `  ${count} without a reason:`
        : `  ${count}: missing is ${describeNeed(need).what}; to get it: ${describeNeed(need).get}`,
    );
    for (const name of tests) lines.push(`    ${name}`);
  }
  return lines;
}

async function main(args: readonly string[]): Promise<number> {
  const paths: string[] = [];
  const options: string[] = [];
  args.forEach((arg, i) => {
    const isPath = !arg.startsWith("-") && !WITH_VALUE.includes(args[i - 1]);
    (isPath ? paths : options).push(arg);
  });
  const started = performance.now();
  const files = findFiles(
    paths.map((path) => relative(root, join(root, path)).replaceAll(SEPARATOR, "/")),
  );
  if (files.tests.length + files.docs.length === 0) {
    console.error(`there are no tests in ${paths.join(", ")}`);
    return 1;
  }
  const alone = files.tests.filter((path) => path in ALONE);
  const known = await readTimes();
  const outcomes = [
    ...await runAll(groupsOf(files, known), options, navigator.hardwareConcurrency),
    ...await runAll(alone.map((path) => ({ name: path, files: [path] })), options, 1),
  ];

  if (options.length === 0) {
    await keepTimes(Object.assign({}, known, ...outcomes.map(({ times }) => times)));
  }

  const sum = (of: (outcome: Outcome) => number) =>
    outcomes.reduce((all, each) => all + of(each), 0);
  // Deno reports what a filter leaves out as ignored, too.
  const isWhole = !options.some((option) => option.startsWith("--filter"));
  const ignored = isWhole ? sum(({ ignored }) => ignored.length) : 0;
  const unexplained = outcomes.flatMap(({ ignored }) => ignored).some((name) =>
    needOf(name) === null
  );
  const ok = outcomes.every((outcome) => outcome.ok);
  if (ignored > 0) console.log(["", "Ignored:", ...ignoredList(outcomes)].join("\n"));
  if (unexplained) console.log("");
  const seconds = Math.round((performance.now() - started) / 1000);
  console.log(
    `\n${ok ? "ok" : "FAILED"} | ${sum(({ passed }) => passed)} passed | ` +
      `${sum(({ failed }) => failed)} failed${ignored > 0 ? ` | ${ignored} ignored` : ""} ` +
      `(${Math.floor(seconds / 60)} min ${seconds % 60} s)`,
  );
  return ok ? 0 : 1;
}

if (import.meta.main) Deno.exit(await main(Deno.args));
