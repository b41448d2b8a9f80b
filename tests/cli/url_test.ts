/** The program straight from a web server: `deno run URL/cli/main.ts`. */

import assert from "node:assert/strict";
import { fromFileUrl, join } from "jsr:@std/path@^1";
import { VERSION } from "../../lib/version.ts";
import { runModule } from "../support/imm.ts";

const root = fromFileUrl(import.meta.resolve("../.."));

/** A server that does no more than any static file server. */
async function serveProject(test: (url: string) => Promise<void>): Promise<void> {
  const types: Record<string, string> = {
    ts: "application/typescript",
    json: "application/json",
    wasm: "application/wasm",
  };
  const server = Deno.serve(
    { port: 0, hostname: "127.0.0.1", onListen() {} },
    async (request) => {
      const path = decodeURIComponent(new URL(request.url).pathname);
      try {
        const body = await Deno.readFile(join(root, path));
        const type = types[path.split(".").at(-1)!] ?? "text/plain";
        return new Response(body, { headers: { "content-type": type } });
      } catch {
        return new Response("not found", { status: 404 });
      }
    },
  );
  try {
    await test(`http://127.0.0.1:${server.addr.port}`);
  } finally {
    await server.shutdown();
  }
}

Deno.test("the program runs from a URL", async () => {
  await serveProject(async (url) => {
    const main = `${url}/cli/main.ts`;
    const help = await runModule(main, ["--help"]);
    assert.equal(help.code, 0, help.stderr);
    assert.match(help.stdout, /^Usage: imm VERB/m);
    const doctor = await runModule(main, ["doctor", "--json"]);
    assert.equal(JSON.parse(doctor.stdout).version, VERSION, doctor.stderr);
    const wrong = await runModule(main, ["doctor", "--jsno"]);
    assert.equal(wrong.code, 2);
    assert.match(wrong.stderr, /did you mean "--json"\?\n$/);
  });
});
