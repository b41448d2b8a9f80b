/**
 * The program with a JSR registry that answers. The registry is a small one of this test: it
 * serves the stand-ins of offline/ under the names of the packages that they stand in for.
 */

import assert from "node:assert/strict";
import { dirname, fromFileUrl } from "jsr:@std/path@^1";
import { VERSION } from "../../lib/base/version.ts";

/** Package, export and file of offline/ that answers for it. */
const PACKAGES = [
  { name: "cli", path: "./parse-args", file: "parse_args.ts" },
  { name: "path", path: ".", file: "path.ts" },
];

async function serveRegistry(test: (url: string, asked: string[]) => Promise<void>) {
  const files = new Map<string, string>();
  for (const { name, path, file } of PACKAGES) {
    const source = await Deno.readTextFile(
      fromFileUrl(import.meta.resolve(`../../offline/${file}`)),
    );
    const bytes = new TextEncoder().encode(source);
    const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", bytes));
    const manifest = { [`/${file}`]: { size: bytes.length, checksum: `sha256-${digest.toHex()}` } };
    files.set(
      `/@std/${name}/meta.json`,
      JSON.stringify({ scope: "std", name, latest: "1.0.0", versions: { "1.0.0": {} } }),
    );
    files.set(
      `/@std/${name}/1.0.0_meta.json`,
      JSON.stringify({ manifest, exports: { [path]: `./${file}` } }),
    );
    files.set(`/@std/${name}/1.0.0/${file}`, source);
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

Deno.test({
  name: "with a registry that answers, the launcher's program takes @std from it",
  ignore: Deno.build.os === "windows",
  async fn() {
    await serveRegistry(async (url, asked) => {
      const { code, stdout, stderr } = await new Deno.Command(
        fromFileUrl(import.meta.resolve("../../imm")),
        {
          args: ["--version"],
          env: {
            JSR_URL: url,
            IMM_OFFLINE: "0",
            IMM_NO_INSTALL: "1",
            PATH: `${dirname(Deno.execPath())}:${Deno.env.get("PATH")}`,
          },
        },
      ).output();
      const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes);
      assert.equal(text(stdout), `imm ${VERSION}\n`, text(stderr));
      assert.equal(code, 0);
      assert.ok(asked.includes("/@std/cli/1.0.0/parse_args.ts"), asked.join(" "));
    });
  },
});
