/** The live page of a run: who may see it, and what it shows. */

import assert from "node:assert/strict";
import { join } from "jsr:@std/path@1.0.8";
import { Dashboard, type DashboardRun, gridLabels } from "../../cli/train/dashboard.ts";
import { dashboardPage } from "../../cli/train/dashboard_page.ts";
import { gridLayout } from "../../lib/train/reports/grids.ts";
import { withTempFolder } from "../support/files.ts";
import { isInstalled, needing } from "../support/needs.ts";
import { BATCH, imm, startArguments } from "../support/examples/runs.ts";

/** The run of `startArguments`. */
function runIn(path: string): DashboardRun {
  return { path, images: 20 * BATCH, grid: gridLayout(10, 4), classNames: null };
}

/** Sends a request of its own making: `fetch` does not let the host be chosen. */
async function raw(
  port: string,
  path: string,
  host: string,
): Promise<{ status: number; headers: Headers; text: string }> {
  using connection = await Deno.connect({ hostname: "127.0.0.1", port: Number(port) });
  const request = `GET ${path} HTTP/1.1\r\nHost: ${host}\r\nConnection: close\r\n\r\n`;
  await connection.write(new TextEncoder().encode(request));
  const answer = await new Response(connection.readable).text();
  const end = answer.indexOf("\r\n\r\n");
  const [first, ...lines] = answer.slice(0, end).split("\r\n");
  const headers = lines.map((line) => /^(.*?): (.*)$/.exec(line)!.slice(1) as [string, string]);
  const status = Number(/^HTTP\/1\.1 (\d+)/.exec(first)![1]);
  return { status, headers: new Headers(headers), text: answer.slice(end + 4) };
}

Deno.test("the page needs its token, serves the run and nothing else, and asks nobody else", async () => {
  await withTempFolder(async (folder) => {
    const out = join(folder, "run");
    assert.equal((await imm(...startArguments(out))).code, 0);
    await using dashboard = Dashboard.open(runIn(out), 0);
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

    assert.deepEqual(state.labels.columns.slice(0, 2), ["class 0", "class 1"]);

    for (const wrong of ["", "x", url.searchParams.get("token")!.slice(1) + "0"]) {
      for (const path of ["/", "/state", `/samples/${state.samples[0]}`]) {
        assert.equal((await get(path, wrong)).status, 403);
      }
    }
    for (const path of ["/config.json", "/samples/..%2Fconfig.json", "/samples/none.png"]) {
      assert.equal((await get(path)).status, 404, path);
    }
    const { port, search } = url;
    assert.equal((await raw(port, `/state${search}`, `127.0.0.1:${port}`)).status, 200);
    assert.equal((await raw(port, `/state${search}`, "evil.example")).status, 403);
    assert.throws(
      () => Dashboard.open(runIn(out), Number(port)),
      /port \d+ is taken/,
    );
  });
});

Deno.test("who comes without the token, or with an old one, is told what to do and nothing else", async () => {
  await withTempFolder(async (folder) => {
    await using dashboard = Dashboard.open(runIn(join(folder, "secret-run")), 0);
    const { port } = new URL(dashboard.url);
    const cases: [string, RegExp][] = [
      ["/", /to whoever has its token\..*http:\/\/127\.0\.0\.1:PORT\/\?token=\.\.\./s],
      [`/?token=${"0".repeat(32)}`, /not the one of this run: each start/],
    ];
    for (const [path, message] of cases) {
      // Not every machine knows the name localhost; people's browsers do.
      const { status, headers, text } = await raw(port, path, `localhost:${port}`);
      assert.equal(status, 403);
      assert.match(headers.get("content-type")!, /^text\/html/);
      assert.match(headers.get("content-security-policy")!, /^default-src 'none'/);
      assert.match(text.replaceAll(port, "PORT"), message);
      assert.doesNotMatch(text, /secret-run/);
      assert(!text.includes(dashboard.url.split("token=")[1]));
    }
  });
});

Deno.test("columns of a grid have the names of their classes, or each row has a list", () => {
  const pets = gridLabels(gridLayout(3, 9), ["cat", "dog", "fox\n"]);
  assert.deepEqual(pets, { columns: ["cat", "dog", "fox\\n"], rows: [] });
  // Fewer samples than classes, and no names.
  assert.deepEqual(gridLabels(gridLayout(4, 2), null).columns, ["class 0", "class 1"]);
  const many = gridLabels(gridLayout(12, 14), null);
  assert.deepEqual(many.columns, []);
  assert.match(many.rows[1], /^class 10, class 11, class 0, class 1$/);
  assert.deepEqual(gridLabels(gridLayout(0, 9), null), { columns: [], rows: [] });
});

/** As much of an element as the page needs. */
class Stub {
  children: (Stub | string)[] = [];
  readonly style: Record<string, string> = {};
  readonly dataset: Record<string, string> = {};
  readonly attributes = new Map<string, string>();
  #text = "";
  constructor(readonly tag: string) {}
  append(...nodes: (Stub | string)[]) {
    this.children.push(...nodes);
  }
  replaceChildren(...nodes: (Stub | string)[]) {
    this.children = nodes;
  }
  setAttribute(key: string, value: string) {
    this.attributes.set(key, value);
  }
  set textContent(text: string) {
    this.#text = text;
  }
  get textContent(): string {
    const inside = this.children.map((node) => typeof node === "string" ? node : node.textContent);
    return this.#text + inside.join("");
  }
  /** All elements of a kind inside. */
  all(tag: string): Stub[] {
    const inside = this.children.filter((node) => node instanceof Stub);
    return inside.flatMap((node) => [...(node.tag === tag ? [node] : []), ...node.all(tag)]);
  }
}

Deno.test("the page puts the grids of one time in a row, with their steps and their classes", async () => {
  const script = /<script[^>]*>([\s\S]*)<\/script>/.exec(dashboardPage("n"))![1];
  const ids = new Map<string, Stub>();
  const make = (tag: string) => new Stub(tag);
  const document = {
    createElement: make,
    createElementNS: (_: string, tag: string) => make(tag),
    getElementById: (id: string) => {
      if (!ids.has(id)) ids.set(id, make("section"));
      return ids.get(id)!;
    },
  };
  const line = {
    images: 320,
    loss: 0.1,
    imagesPerSecond: 10,
    lossByTime: [0.1],
    layers: {},
    time: {},
  };
  const state = {
    name: "run",
    total: 640,
    lines: [line],
    scores: [],
    samples: ["000000320-1-step.png", "000000320-2-steps.png"],
    labels: { columns: ["cat", "dog"], rows: [] },
  };
  const fetch = () => Promise.resolve({ ok: true, json: () => Promise.resolve(state) });
  const names = ["document", "location", "fetch", "setTimeout"];
  new Function(...names, script)(document, { search: "?token=t" }, fetch, () => {});
  await new Promise((resolve) => setTimeout(resolve));
  assert.match(
    ids.get("state")!.textContent,
    /320 of 640 images, loss 0\.1, 10 images\/s, 1 min left/,
  );
  const section = ids.get("samples")!;
  const figures = section.all("figure");
  assert.match(section.textContent, /^Samples after 320 images/);
  assert.deepEqual(figures.map((figure) => figure.textContent), ["1 stepcatdog", "2 stepscatdog"]);
  const [image] = figures[1].all("img") as (Stub & { src?: string })[];
  assert.equal(image.src, "samples/000000320-2-steps.png?token=t");
});

/** A browser without a window, where there is one. */
const browser = ["chromium", "chromium-browser", "google-chrome"].find(isInstalled);

Deno.test(needing("chromium", browser !== undefined, {
  name: "a browser draws the curves and the samples",
  fn: () =>
    withTempFolder(async (folder) => {
      const out = join(folder, "run");
      assert.equal((await imm(...startArguments(out))).code, 0);
      await using dashboard = Dashboard.open(runIn(out), 0);
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
      assert.match(dom, /Samples after 320 images<.*<figcaption>1 step</s);
    }),
}));

Deno.test("imm train --dashboard says where the page is", async () => {
  await withTempFolder(async (folder) => {
    const { code, stderr } = await imm(...startArguments(join(folder, "run")), "--dashboard", "0");
    assert.equal(code, 0, stderr);
    assert.match(stderr, /The run is shown at http:\/\/127\.0\.0\.1:\d+\/\?token=[0-9a-f]{32}/);
  });
});
