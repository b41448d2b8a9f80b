/** The program straight from a web server: `deno run URL/cli/main.ts`. */

import assert from "node:assert/strict";
import { join } from "jsr:@std/path@1.0.8";
import { prepareDataset } from "../../lib/data/prepare/prepare.ts";
import { VERSION } from "../../lib/base/version.ts";
import pictures from "../formats/picture_fixtures.json" with { type: "json" };
import { withTempFolder } from "../support/files.ts";
import { importMapArguments } from "../support/cli/imm.ts";
import {
  documentedPermissions,
  npmCacheFolder,
  permissionFlags,
  undocumented,
} from "../support/cli/permissions.ts";
import { serveProject } from "../support/cli/static_server.ts";

/** Settings of the smallest network that is worth the name. */
const TINY = ["network.modelChannels=8", "network.channelMult=[1]", "train.images=128"]
  .flatMap((setting) => ["--set", setting]);

interface World {
  /** Runs a verb in the folder with its documented permissions; the exit code must be 0. */
  readonly run: (...args: string[]) => Promise<{ stdout: string; stderr: string }>;
  readonly folder: string;
  readonly code: (...args: string[]) => Promise<number>;
}

/**
 * A folder for the files of the commands and a fresh cache of Deno, where the program's modules
 * come from the server, and packages of npm from the cache that is there.
 */
async function withProgramOnServer(test: (world: World) => Promise<void>): Promise<void> {
  const npmCache = await npmCacheFolder();
  const documented = documentedPermissions();
  await serveProject((address) =>
    withTempFolder(async (temporary) => {
      const [folder, cache, audit] = ["files", "cache", "audit"].map((name) =>
        join(temporary, name)
      );
      for (const path of [folder, cache]) await Deno.mkdir(path);
      await Deno.symlink(npmCache, join(cache, "npm"), { type: "dir" });
      const map = importMapArguments().length === 0
        ? []
        : ["--import-map", new URL("offline/import_map.json", address).href];
      const start = async (args: string[]) => {
        const flags = [
          ...permissionFlags(
            documented.get(args[0]) ?? documented.get(args.slice(0, 2).join(" ")) ?? [],
            {
              PROGRAM: "/nowhere", // it has no folder
              CACHE: `${npmCache},${join(cache, "npm")}`,
              FILES: folder,
            },
          ),
          `--allow-import=${address.host}`,
        ];
        const { code, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
          args: [
            ...["run", "--no-prompt", "--no-lock", "--no-config", ...map, ...flags],
            new URL("cli/main.ts", address).href,
            ...args,
          ],
          cwd: folder,
          env: { DENO_DIR: cache, DENO_AUDIT_PERMISSIONS: audit, NO_COLOR: "1" },
          stdin: "null",
        }).output();
        const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes);
        return { code, flags, stdout: text(stdout), stderr: text(stderr) };
      };
      await test({
        folder,
        code: async (...args) => (await start(args)).code,
        run: async (...args) => {
          const { code, flags, stdout, stderr } = await start(args);
          assert.equal(code, 0, `imm ${args.join(" ")}: ${stderr}`);
          assert.doesNotMatch(stderr, /NotCapable|--allow-/);
          assert.deepEqual(undocumented(audit, flags, folder), [], args[0]);
          await Deno.remove(audit);
          return { stdout, stderr };
        },
      });
    })
  );
}

Deno.test({
  name: "the program trains, samples and evaluates from a URL with the documented permissions",
  ignore: Deno.build.os === "windows", // symbolic links
  fn: () =>
    withProgramOnServer(async ({ run, folder, code }) => {
      const doctor = JSON.parse((await run("doctor", "--json")).stdout);
      assert.equal(doctor.version, VERSION);
      const device = doctor.devices.find(({ name }: { name: string }) => name === "wasm");
      assert.match(device.description, /^WebAssembly, \d+ threads?, /, "threads start from a URL");

      await run("train", "--preset", "digits", "--out", "run", ...TINY);
      await prepareDataset("digits", join(folder, "digits.zip"), { limit: 50, workers: 1 });
      const data = ["--data", "digits.zip", "--data-workers", "1"];
      await run("train", "--preset", "digits", "--out", "threads", ...data, ...TINY);
      await run("sample", "--checkpoint", "run", "--seeds", "0-3", "--out", "grid.png");
      assert.ok((await Deno.stat(join(folder, "grid.png"))).size > 100);
      const report = JSON.parse(
        (await run(
          ...["eval", "--checkpoint", "run", "--num", "50", "--reference", "digits", "--json"],
        )).stdout,
      );
      assert.equal(report.reference.count, 1797);
      assert.ok(report.values.fd > 0 && report.values.class_accuracy !== undefined);

      // Decoders, which read their WebAssembly from the cache of packages.
      await Deno.mkdir(join(folder, "photos"));
      for (const [i, name] of (["ss0.jpg", "lossy.webp"] as const).entries()) {
        const bytes = Uint8Array.fromBase64(pictures[name].file);
        await Deno.writeFile(join(folder, "photos", `${i}.png`), bytes);
      }
      const { count } = JSON.parse((await run("dataset", "info", "photos", "--json")).stdout);
      assert.equal(count, 2);
      await run("dataset", "prepare", "photos", "--out", "photos.zip", "--workers", "2");

      const started = JSON.parse((await run("quickstart", "--fast", "--json", ...TINY)).stdout);
      assert.equal(started.path, "runs/quickstart");
      assert.equal(await code("doctor", "--jsno"), 2);
    }),
});
