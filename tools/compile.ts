/**
 * Makes executables of the program with `deno compile`: one for this machine, or with `--all` one
 * for each platform, with their checksums.
 *
 * ```sh
 * deno task compile --output imm
 * deno task compile:all
 * ```
 *
 * What must be embedded is found, not listed: `deno compile` follows imports by itself, but not
 * the files of Workers (`new URL("…", import.meta.url)`) and not modules that are imported in the
 * source phase (`import source`). What packages of npm bring for other runtimes is left out.
 *
 * @module
 */

import { basename, dirname, fromFileUrl, join } from "jsr:@std/path@1.0.8";
import { sha256 } from "../lib/base/hash.ts";

const root = fromFileUrl(import.meta.resolve("../"));

/** The platforms of `--all`, as Deno names them. */
export const TARGETS = [
  "x86_64-unknown-linux-gnu",
  "aarch64-unknown-linux-gnu",
  "x86_64-apple-darwin",
  "aarch64-apple-darwin",
  "x86_64-pc-windows-msvc",
  "aarch64-pc-windows-msvc",
] as const;

/** What an executable may do: the same as the launcher allows, and what it allows to `eval` and `train`. */
export const PERMISSIONS = [
  "--no-prompt",
  "--allow-read",
  "--allow-write",
  "--allow-env",
  "--allow-sys",
  "--allow-net=127.0.0.1,github.com,release-assets.githubusercontent.com,objects.githubusercontent.com",
] as const;

/** A file of a package that the program does not need, by the package's name. */
const UNUSED: Readonly<Record<string, RegExp>> = {
  // Types, sources and source maps; and of the seven builds those for browsers.
  "onnxruntime-web":
    /\.(map|d\.ts)$|^(lib|docs|types)\/|^dist\/(?!ort\.node|ort-wasm-simd-threaded\.(mjs|wasm)$)/,
  "onnxruntime-common": /\.(map|d\.ts|d\.cts)$|^(lib|docs)\//,
  "zod": /^src\/|\.d\.c?ts$/,
  "protobufjs": /^(dist|tests|cli|scripts)\/|\.d\.ts$/,
  "long": /\.d\.ts$/,
  "@types/node": /^(?!package\.json$)/,
  "@webgpu/types": /^(?!package\.json$)/,
  "undici-types": /^(?!package\.json$)/,
};

/** A module of the program, as `deno info --json` describes it. */
interface Module {
  readonly specifier: string;
  readonly kind?: string;
  readonly error?: string;
  readonly dependencies?: readonly { readonly code?: { readonly specifier?: string } }[];
}

interface Graph {
  readonly roots: readonly string[];
  readonly modules: readonly Module[];
  readonly npmPackages: Readonly<
    Record<
      string,
      { readonly name: string; readonly version: string; readonly registryUrl: string }
    >
  >;
}

/** What goes into an executable beside the modules that `deno compile` finds. */
export interface Contents {
  /** Files of the project to embed, as paths. */
  readonly include: readonly string[];
  /** Files of packages to leave out, as paths. */
  readonly exclude: readonly string[];
  /** All files of the project that are modules of the program or its Workers, as paths. */
  readonly modules: readonly string[];
}

/** Finds out what must be embedded and what need not be. */
export async function findContents(): Promise<Contents> {
  const main = join(root, "cli/main.ts");
  const modules = new Set<string>();
  const include: string[] = [];
  const packages: Graph["npmPackages"] = {};
  for (const entry of entries([main], include)) {
    const graph: Graph = await denoJson(["info", "--json", ...importMap(), entry]);
    Object.assign(packages, graph.npmPackages);
    for (const { specifier, kind } of usedModules(graph)) {
      if (!specifier.startsWith("file:")) continue;
      const path = fromFileUrl(specifier);
      if (modules.has(path)) continue;
      modules.add(path);
      // Not followed by Deno: `import source`.
      if (kind === "external") include.push(path);
      else if (/\.[jt]s$/.test(path)) include.push(...loadedByAddress(path));
    }
  }
  return {
    include: [...new Set(include)].sort(),
    exclude: await unusedFiles(packages),
    modules: [...modules].sort(),
  };
}

/** The main module, then Workers as they are found. */
function* entries(first: readonly string[], found: readonly string[]): Generator<string> {
  yield* first;
  const done = new Set(first);
  for (let next; (next = found.find((path) => /\.[jt]s$/.test(path) && !done.has(path)));) {
    done.add(next);
    yield next;
  }
}

/** The modules that are loaded: not those of which only types are imported. */
function usedModules({ roots, modules }: Graph): Module[] {
  const bySpecifier = new Map(modules.map((module) => [module.specifier, module]));
  const used = new Set<Module>();
  const pending = [...roots];
  for (let specifier; (specifier = pending.pop()) !== undefined;) {
    const module = bySpecifier.get(specifier);
    if (module === undefined || used.has(module)) continue;
    if (module.error !== undefined) throw new Error(`${specifier}: ${module.error}`);
    used.add(module);
    for (const { code } of module.dependencies ?? []) {
      if (code?.specifier !== undefined) pending.push(code.specifier);
    }
  }
  return [...used];
}

/** Files that a module names by address: Workers and data. */
function loadedByAddress(path: string): string[] {
  const code = Deno.readTextFileSync(path).replace(/^\s*(?:\*|\/\/|\/\*).*$/gm, "");
  const pattern =
    /new URL\(\s*"(\.[^"]+)",\s*import\.meta\.url|import\.meta\.resolve\(\s*"(\.[^"]+)"/g;
  return [...code.matchAll(pattern)].map(([, url, resolved]) =>
    join(dirname(path), url ?? resolved)
  );
}

async function unusedFiles(packages: Graph["npmPackages"]): Promise<string[]> {
  const { npmCache } = await denoJson<{ npmCache: string }>(["info", "--json"]);
  const unused: string[] = [];
  for (const { name, version, registryUrl } of Object.values(packages)) {
    const pattern = UNUSED[name];
    if (pattern === undefined) continue;
    const { host, pathname } = new URL(registryUrl);
    const folder = join(npmCache, host.replace(":", "_"), pathname, name, version);
    unused.push(
      ...[...files(folder)].filter((file) => pattern.test(file))
        .map((file) => join(folder, file)),
    );
  }
  return unused;
}

function* files(folder: string, prefix = ""): Generator<string> {
  for (const { name, isDirectory } of Deno.readDirSync(folder)) {
    if (isDirectory) yield* files(join(folder, name), `${prefix}${name}/`);
    else yield prefix + name;
  }
}

/** The import map that this process itself was given for JSR, if any. */
function importMap(): string[] {
  const mapped = import.meta.resolve("jsr:@std/path@1.0.8").startsWith("file:");
  return mapped ? ["--import-map", join(root, "offline/import_map.json")] : [];
}

async function deno(args: readonly string[], stdout: "piped" | "inherit") {
  const child = new Deno.Command(Deno.execPath(), { args: [...args], cwd: root, stdout }).spawn();
  const output = stdout === "piped" ? await new Response(child.stdout).text() : "";
  if (!(await child.status).success) throw new Error(`deno ${args[0]} failed`);
  return output;
}

async function denoJson<Value>(args: readonly string[]): Promise<Value> {
  return JSON.parse(await deno(args, "piped"));
}

/** The name of the executable for a platform. */
function fileName(target: string): string {
  return `imm-${target}${target.includes("windows") ? ".exe" : ""}`;
}

/** Makes one executable. `args` are further options of `deno compile`. */
async function compile(contents: Contents, output: string, args: readonly string[]) {
  const excluded = contents.exclude.map((path) => `--exclude=${path}`);
  const included = contents.include.map((path) => `--include=${path}`);
  await Deno.mkdir(dirname(output), { recursive: true });
  await deno(
    ["compile", "--no-check", ...PERMISSIONS, "--exclude-unused-npm"].concat(
      importMap(),
      included,
      excluded,
      args,
      ["--output", output, join(root, "cli/main.ts")],
    ),
    "inherit",
  );
  const made = await Deno.stat(output).catch(() => Deno.stat(`${output}.exe`));
  console.error(`${output}: ${(made.size / 1e6).toFixed(1)} MB`);
}

/** A line as `sha256sum` writes and checks it. */
async function checksum(path: string): Promise<string> {
  return `${sha256(await Deno.readFile(path))}  ${basename(path)}\n`;
}

async function main(args: readonly string[]): Promise<void> {
  const contents = await findContents();
  if (!args.includes("--all")) {
    const at = args.indexOf("--output");
    const output = at < 0 ? join(root, "dist/imm") : args[at + 1];
    const others = at < 0 ? args : args.toSpliced(at, 2);
    return await compile(contents, output, others);
  }
  let sums = "";
  for (const target of TARGETS) {
    const output = join(root, "dist", fileName(target));
    await compile(contents, output, ["--target", target]);
    sums += await checksum(output);
  }
  await Deno.writeTextFile(join(root, "dist/SHA256SUMS"), sums);
}

if (import.meta.main) await main(Deno.args);
