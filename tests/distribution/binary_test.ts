/**
 * What `deno task compile` puts into an executable. The runtime that Deno downloads for it is not
 * needed to see that: Deno itself takes its place (`DENORT_BIN`), so that the file is complete but
 * does not run the program.
 */

import assert from "node:assert/strict";
import { dirname, fromFileUrl, join, relative, SEPARATOR } from "jsr:@std/path@1.0.8";
import { findContents, PERMISSIONS } from "../../tools/compile.ts";
import { fixtures } from "../formats/fixtures.ts";
import pictures from "../formats/picture_fixtures.json" with { type: "json" };
import { withTempFolder } from "../support/files.ts";
import { imm, importMapArguments, runModule } from "../support/cli/imm.ts";
import { npmCacheFolder } from "../support/cli/permissions.ts";

const root = fromFileUrl(import.meta.resolve("../../"));

/** Bytes that may be embedded. A change of this number should be a decision. */
const BUDGET = 30e6;

/** An entry of the file system in an executable, as Deno 2.9 writes it. */
type Entry =
  | { readonly Dir: { readonly n: string; readonly e: readonly Entry[] } }
  | { readonly File: { readonly n: string; readonly o: readonly [offset: number, length: number] } }
  | { readonly Symlink: { readonly n: string } };

/** Embedded files with their sizes. */
function embeddedFiles(executable: Uint8Array): Map<string, number> {
  const files = new Map<string, number>();
  const walk = (entries: readonly Entry[], prefix: string) => {
    for (const entry of entries) {
      if ("Dir" in entry) walk(entry.Dir.e, `${prefix}${entry.Dir.n}/`);
      if ("File" in entry) files.set(prefix + entry.File.n, entry.File.o[1]);
    }
  };
  // The table is JSON behind its length in bytes.
  const at = indexOf(executable, '[{"Dir":{"n":".deno_compile_node_modules"');
  const length = Number(new DataView(executable.buffer).getBigUint64(at - 8, true));
  walk(JSON.parse(new TextDecoder().decode(executable.subarray(at, at + length))), "");
  return files;
}

function indexOf(bytes: Uint8Array, text: string): number {
  const at = bytes.length - new TextDecoder("latin1").decode(bytes).lastIndexOf(text);
  assert.ok(at <= bytes.length, "no table of embedded files: has its form changed?");
  return bytes.length - at;
}

const slashed = (path: string) => path.replaceAll(SEPARATOR, "/");

Deno.test("an executable holds all modules, Workers and WebAssembly within its budget", async () => {
  const contents = await findContents();
  await withTempFolder(async (folder) => {
    const output = join(folder, "imm");
    const { code, stderr } = await runModule(join(root, "tools/compile.ts"), ["--output", output], {
      env: { DENORT_BIN: Deno.execPath() },
    });
    assert.equal(code, 0, stderr);
    const file = await Deno.readFile(output).catch(() => Deno.readFile(`${output}.exe`));
    const embedded = embeddedFiles(file);
    const local = [...contents.modules, ...contents.include]
      .map((path) => slashed(relative(root, path)));
    for (
      const path of [
        "cli/main.ts",
        "lib/device/wasm/worker.ts",
        "lib/data/stream/items_worker.ts",
        "lib/data/prepare/worker.ts",
        "lib/eval/statistics/worker.ts",
        "wasm/kernels.wasm",
      ]
    ) {
      assert.ok(local.includes(path), `${path} was not found`);
    }
    assert.deepEqual(local.filter((path) => !embedded.has(path)), []);
    assert.ok(
      [...embedded.keys()].some((path) => path.endsWith("dist/ort-wasm-simd-threaded.wasm")),
      "onnxruntime-web is not complete",
    );
    const bytes = [...embedded.values()].reduce((sum, size) => sum + size, 0);
    assert.ok(bytes < BUDGET, `${bytes} bytes are embedded; the budget is ${BUDGET}`);
  });
});

Deno.test("an executable may do what the launcher allows", () => {
  const launcher = Deno.readTextFileSync(join(root, "imm"));
  const [, flags] = /set -- (--no-prompt [^"]*) "\$@"/.exec(launcher)!;
  const [, hosts] = /WEIGHTS_HOSTS=([\w.,-]+)/.exec(launcher)!;
  assert.deepEqual([...flags.split(/[\s\\]+/), `--allow-net=127.0.0.1,${hosts}`], [...PERMISSIONS]);
  const nets = [...launcher.matchAll(/--allow-net=([\w.,$]+)/g)].map(([, net]) => net);
  assert.deepEqual(nets, ["$WEIGHTS_HOSTS", "127.0.0.1"]);
});

Deno.test("what an executable leaves out of the packages is not needed", async () => {
  const { exclude } = await findContents();
  const unused = new Set(exclude);
  const npm = await npmCacheFolder();
  assert.ok(unused.size > 100);
  await withTempFolder(async (folder) => {
    // A cache of Deno in which these files are missing.
    const copy = async (from: string): Promise<void> => {
      for await (const { name, isDirectory } of Deno.readDir(from)) {
        const path = join(from, name);
        if (isDirectory) await copy(path);
        else if (!unused.has(path)) {
          const target = join(folder, "cache/npm", relative(npm, path));
          await Deno.mkdir(dirname(target), { recursive: true });
          await Deno.copyFile(path, target);
        }
      }
    };
    for (const name of await packageFolders(npm)) await copy(name);
    const env = { DENO_DIR: join(folder, "cache") };
    const run = join(folder, "run");
    const tiny = ["network.modelChannels=8", "network.channelMult=[1]", "train.images=128"];
    const photos = join(folder, "photos");
    await Deno.mkdir(photos);
    await Deno.writeFile(join(photos, "0.jpg"), fixtures.jpegColour);
    await Deno.writeFile(join(photos, "1.jpg"), fixtures.jpegProgressive);
    const webp = pictures["lossy.webp"].file; // of the same size
    await Deno.writeFile(join(photos, "2.webp"), Uint8Array.fromBase64(webp));
    for (
      const args of [
        ["train", "--preset", "digits", "--out", run, ...tiny.flatMap((s) => ["--set", s])],
        ["eval", "--checkpoint", run, "--num", "50", "--reference", "digits"],
        ["eval", photos, "--reference", photos, "--extractor", "pixels"],
      ]
    ) {
      const { code, stderr } = await imm(args, {
        env,
        permissions: [...PERMISSIONS, "--cached-only"],
      });
      assert.equal(code, 0, stderr);
    }
  });
});

/** Folders of the versions of packages that the program uses, and what Deno notes beside them. */
async function packageFolders(npm: string): Promise<string[]> {
  const { stdout } = await new Deno.Command(Deno.execPath(), {
    args: ["info", "--json", ...importMapArguments(), join(root, "cli/main.ts")],
  }).output();
  const { npmPackages } = JSON.parse(new TextDecoder().decode(stdout));
  const host = (url: string) => new URL(url).host.replace(":", "_");
  return Object.values(npmPackages as Record<string, { name: string; registryUrl: string }>)
    .map(({ name, registryUrl }) => join(npm, host(registryUrl), name));
}
