/**
 * The program with a JSR registry that answers. The registry is a small one of this test: it
 * serves the stand-ins of offline/ under the names of the packages that they stand in for.
 */

import assert from "node:assert/strict";
import { dirname, fromFileUrl, join } from "jsr:@std/path@1.0.8";
import config from "../../deno.json" with { type: "json" };
import { VERSION } from "../../lib/base/version.ts";
import { withTempFolder } from "../support/files.ts";

const root = fromFileUrl(import.meta.resolve("../../"));

/** Package, export and file of offline/ that answers for it. */
const PACKAGES = [
  { name: "cli", path: "./parse-args", file: "parse_args.ts" },
  { name: "path", path: ".", file: "path.ts" },
].map((one) => ({ ...one, version: versionOf(`@std/${one.name}` as keyof typeof config.imports) }));

/** The version of a package in deno.json. */
function versionOf(name: keyof typeof config.imports): string {
  return config.imports[name].split("@").at(-1)!;
}

async function serveRegistry(test: (url: string, asked: string[]) => Promise<void>) {
  const files = new Map<string, string>();
  for (const { name, path, file, version } of PACKAGES) {
    const source = await Deno.readTextFile(
      fromFileUrl(import.meta.resolve(`../../offline/${file}`)),
    );
    const bytes = new TextEncoder().encode(source);
    const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", bytes));
    const manifest = { [`/${file}`]: { size: bytes.length, checksum: `sha256-${digest.toHex()}` } };
    files.set(
      `/@std/${name}/meta.json`,
      JSON.stringify({ scope: "std", name, latest: version, versions: { [version]: {} } }),
    );
    files.set(
      `/@std/${name}/${version}_meta.json`,
      JSON.stringify({ manifest, exports: { [path]: `./${file}` } }),
    );
    files.set(`/@std/${name}/${version}/${file}`, source);
  }
  const asked: string[] = [];
  const server = Deno.serve({ port: 0, hostname: "127.0.0.1", onListen() {} }, (request) => {
    const { pathname } = new URL(request.url);
    asked.push(pathname);
    const body = files.get(pathname);
    return body === undefined
      ? new Response("not found", { status: 404 })
      : new Response(body, { headers: { "content-type": "application/typescript" } });
  });
  try {
    await test(`http://127.0.0.1:${server.addr.port}/`, asked);
  } finally {
    await server.shutdown();
  }
}

/** Runs `imm --version` of a folder with the project, with a registry. */
async function runLauncher(root: string, url: string) {
  const { code, stdout, stderr } = await new Deno.Command(join(root, "imm"), {
    args: ["--version"],
    env: {
      JSR_URL: url,
      IMM_OFFLINE: "0",
      IMM_NO_INSTALL: "1",
      NO_COLOR: "1",
      PATH: `${dirname(Deno.execPath())}:${Deno.env.get("PATH")}`,
    },
  }).output();
  const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes);
  return { code, stdout: text(stdout), stderr: text(stderr) };
}

Deno.test({
  name: "with a registry that answers, the launcher's program takes @std from it",
  ignore: Deno.build.os === "windows",
  async fn() {
    await withTempFolder(async (folder) => {
      // The same project without its lock, since this registry has other contents than JSR.
      for (const part of ["cli", "lib", "offline", "wasm"]) {
        await Deno.symlink(join(root, part), join(folder, part));
      }
      await Deno.copyFile(join(root, "imm"), join(folder, "imm"));
      await Deno.writeTextFile(
        join(folder, "deno.json"),
        JSON.stringify({ ...config, lock: false }),
      );
      await serveRegistry(async (url, asked) => {
        const { code, stdout, stderr } = await runLauncher(folder, url);
        assert.equal(stdout, `imm ${VERSION}\n`, stderr);
        assert.equal(code, 0);
        const [cli] = PACKAGES;
        assert.ok(asked.includes(`/@std/cli/${cli.version}/${cli.file}`), asked.join(" "));
      });
    });
  },
});

Deno.test({
  name: "packages that are not those of deno.lock are refused",
  ignore: Deno.build.os === "windows",
  async fn() {
    await serveRegistry(async (url) => {
      const { code, stderr } = await runLauncher(root, url);
      assert.notEqual(code, 0);
      assert.match(stderr, /integrity/i);
    });
  },
});
