/** The live page of a run: who may see it, and what it shows. */

import assert from "node:assert/strict";
import { join } from "jsr:@std/path@^1";
import { Dashboard } from "../../cli/dashboard.ts";
import { withTempFolder } from "../support/files.ts";
import { BATCH, imm, startArguments } from "../support/runs.ts";

/** Sends a request of its own making: `fetch` does not let the host be chosen. */
async function raw(port: string, path: string, host: string): Promise<number> {
  using connection = await Deno.connect({ hostname: "127.0.0.1", port: Number(port) });
  const request = `GET ${path} HTTP/1.1\r\nHost: ${host}\r\nConnection: close\r\n\r\n`;
  await connection.write(new TextEncoder().encode(request));
  const text = await new Response(connection.readable).text();
  return Number(/^HTTP\/1\.1 (\d+)/.exec(text)![1]);
}

Deno.test("the page needs its token, serves the run and nothing else, and asks nobody else", async () => {
  await withTempFolder(async (folder) => {
    const out = join(folder, "run");
    assert.equal((await imm(...startArguments(out))).code, 0);
    await using dashboard = Dashboard.open({ path: out, images: 20 * BATCH }, 0);
    const url = new URL(dashboard.url);
    assert.equal(url.hostname, "127.0.0.1");
    const get = async (path: string, token = url.searchParams.get("token")!) => {
      const response = await fetch(new URL(`${path}?token=${token}`, url));
      return { response, status: response.status, text: await response.text() };
    };

    const page = await get("/");
    assert.equal(page.status, 200);
    assert.match(page.response.headers.get("content-type")!, /^text\/html/);
    assert.match(page.response.headers.get("content-security-policy")!, /^default-src 'none'/);
    assert.doesNotMatch(page.text.replaceAll("http://www.w3.org/2000/svg", ""), /https?:\/\//);
    new Function(/<script[^>]*>([\s\S]*)<\/script>/.exec(page.text)![1]); // it is JavaScript

    const state = JSON.parse((await get("/state")).text);
    assert.deepEqual([state.name, state.total, state.lines.length], ["run", 20 * BATCH, 7]);
    assert.deepEqual(state.samples, ["000000320-1-step.png"]);
    const picture = await get(`/samples/${state.samples[0]}`);
    assert.deepEqual([picture.status, picture.response.headers.get("content-type")], [
      200,
      "image/png",
    ]);

    for (const wrong of ["", "x", url.searchParams.get("token")!.slice(1) + "0"]) {
      for (const path of ["/", "/state", `/samples/${state.samples[0]}`]) {
        assert.equal((await get(path, wrong)).status, 403);
      }
    }
    for (const path of ["/config.json", "/samples/..%2Fconfig.json", "/samples/none.png"]) {
      assert.equal((await get(path)).status, 404, path);
    }
    const { port, search } = url;
    assert.equal(await raw(port, `/state${search}`, `127.0.0.1:${port}`), 200);
    assert.equal(await raw(port, `/state${search}`, "evil.example"), 403);
    assert.throws(
      () => Dashboard.open({ path: out, images: 1 }, Number(port)),
      /port \d+ is taken/,
    );
  });
});

/** A browser without a window, where there is one. */
async function findBrowser(): Promise<string | null> {
  for (const name of ["chromium", "chromium-browser", "google-chrome"]) {
    try {
      const command = new Deno.Command(name, { args: ["--version"], stdout: "null" });
      if ((await command.output()).success) return name;
    } catch {
      // there is none of this name
    }
  }
  return null;
}

Deno.test("a browser draws the curves and the samples", async (t) => {
  const browser = await findBrowser();
  await t.step({
    name: browser === null ? "(no Chromium on PATH)" : "in Chromium",
    ignore: browser === null,
    fn: () =>
      withTempFolder(async (folder) => {
        const out = join(folder, "run");
        assert.equal((await imm(...startArguments(out))).code, 0);
        await using dashboard = Dashboard.open({ path: out, images: 20 * BATCH }, 0);
        const { stdout } = await new Deno.Command(browser!, {
          args: [
            ...["--headless", "--no-sandbox", "--disable-gpu", "--virtual-time-budget=4000"],
            ...[`--user-data-dir=${join(folder, "profile")}`, "--dump-dom", dashboard.url],
          ],
          stderr: "null",
        }).output();
        const dom = new TextDecoder().decode(stdout);
        assert.match(dom, /320 of 320 images, loss [\d.]+/);
        assert.match(dom, /<h2>Loss by t, ten parts from eps to T<\/h2>/);
        assert((dom.match(/<path d="M/g) ?? []).length > 10, "curves");
        assert.match(dom, /<img src="samples\/000000320-1-step\.png\?token=/);
        assert.match(dom, /Samples after 320 images, 1 step</);
      }),
  });
});

Deno.test("imm train --dashboard says where the page is", async () => {
  await withTempFolder(async (folder) => {
    const { code, stderr } = await imm(...startArguments(join(folder, "run")), "--dashboard", "0");
    assert.equal(code, 0, stderr);
    assert.match(stderr, /The run is shown at http:\/\/127\.0\.0\.1:\d+\/\?token=[0-9a-f]{32}/);
  });
});
