/** The live page of `imm train --dashboard PORT`: a server on this machine, for this machine. @module */

import { basename, join } from "jsr:@std/path@1.0.8";
import { timingSafeEqual } from "node:crypto";
import { ImmError } from "../../lib/base/errors.ts";
import { printable } from "../../lib/base/printable.ts";
import type { GridLayout } from "../../lib/train/reports/grids.ts";
import { dashboardPage } from "./dashboard_page.ts";

/** Names of sample grids; nothing else of the folder is served. */
const SAMPLE = /^\d{9,}-\d+-steps?\.png$/;

/** What the page is about. */
export interface DashboardRun {
  /** Folder of the run. */
  readonly path: string;
  /** Images of a complete run. */
  readonly images: number;
  /** How the samples of its grids lie. */
  readonly grid: GridLayout;
  /** Names of the classes, where there are some. */
  readonly classNames: readonly string[] | null;
}

/** A page that shows a run. Close it at the end. */
export class Dashboard implements AsyncDisposable {
  /** Address with the token that opens it. */
  readonly url: string;

  private constructor(
    private readonly server: Deno.HttpServer<Deno.NetAddr>,
    token: string,
  ) {
    this.url = `http://127.0.0.1:${server.addr.port}/?token=${token}`;
  }

  /**
   * Serves the page on the loopback interface; port 0 takes any that is free.
   *
   * @throws {ImmError} when the port is taken
   */
  static open(run: DashboardRun, port: number): Dashboard {
    const token = crypto.randomUUID().replaceAll("-", "");
    try {
      const server = Deno.serve(
        { hostname: "127.0.0.1", port, onListen: () => {} },
        (request) => respond(request, run, token),
      );
      return new Dashboard(server, token);
    } catch (error) {
      if (!(error instanceof Deno.errors.AddrInUse)) throw error;
      throw new ImmError(`port ${port} is taken; choose another --dashboard, or 0 for any`);
    }
  }

  /** Ends the server. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.server.shutdown();
  }
}

async function respond(request: Request, run: DashboardRun, token: string): Promise<Response> {
  const { pathname, searchParams, hostname, port } = new URL(request.url);
  // Another name for this machine means that a page from elsewhere asks (DNS rebinding).
  if (!["127.0.0.1", "localhost"].includes(hostname)) return refuse(403);
  const given = searchParams.get("token");
  if (!sameText(given ?? "", token)) {
    return pathname === "/" && request.method === "GET" ? explain(port, given) : refuse(403);
  }
  if (request.method !== "GET") return refuse(405);
  if (pathname === "/") {
    const nonce = crypto.randomUUID();
    return reply(dashboardPage(nonce), "text/html; charset=utf-8", {
      "content-security-policy": `default-src 'none'; style-src 'nonce-${nonce}'; ` +
        `script-src 'nonce-${nonce}'; img-src 'self'; connect-src 'self'; ` +
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    });
  }
  if (pathname === "/state") {
    return reply(JSON.stringify(await runState(run)), "application/json");
  }
  const name = pathname.slice("/samples/".length);
  if (!pathname.startsWith("/samples/") || !SAMPLE.test(name)) return refuse(404);
  const png = await Deno.readFile(join(run.path, "samples", name)).catch(() => null);
  return png ? reply(png, "image/png") : refuse(404);
}

/** For a person who came without the token; says nothing about the run. */
function explain(port: string, given: string | null): Response {
  const why = given === null
    ? "This address shows a training run to whoever has its token."
    : "The token in this address is not the one of this run: each start of imm train makes another.";
  const page = `<!doctype html>
<html lang="en">
<meta charset="utf-8">
<title>imm train</title>
<h1>imm train</h1>
<p>${why}</p>
<p>Open the whole address that imm train printed when it started, which ends in the token:
<code>http://127.0.0.1:${port}/?token=...</code></p>
</html>
`;
  return reply(page, "text/html; charset=utf-8", { "content-security-policy": NOTHING }, 403);
}

/** Policy of a page that loads nothing and does nothing. */
const NOTHING = "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/**
 * What is written beside a grid: a name over each column where all samples of a column are of one
 * class, or the names of each row.
 */
export function gridLabels(
  { columns, classes }: GridLayout,
  classNames: readonly string[] | null,
): { readonly columns: readonly string[]; readonly rows: readonly string[] } {
  if (classes === null) return { columns: [], rows: [] };
  const names = classes.map((k) => printable(classNames?.[k] ?? `class ${k}`));
  if (names.every((name, i) => name === names[i % columns])) {
    return { columns: names.slice(0, columns), rows: [] };
  }
  const rows = Array.from(
    { length: Math.ceil(names.length / columns) },
    (_, row) => names.slice(row * columns, (row + 1) * columns).join(", "),
  );
  return { columns: [], rows };
}

/** What the page shows. */
async function runState({ path, images, grid, classNames }: DashboardRun) {
  const samples = (await Array.fromAsync(
    Deno.readDir(join(path, "samples")),
    ({ name }) => name,
  ).catch(() => [])).filter((name) => SAMPLE.test(name)).sort();
  const newest = samples.at(-1)?.split("-")[0];
  return {
    name: printable(basename(path)),
    total: images,
    lines: await jsonLines(join(path, "stats.jsonl")),
    scores: await jsonLines(join(path, "scores.jsonl")),
    samples: samples.filter((name) => name.startsWith(`${newest}-`)),
    labels: gridLabels(grid, classNames),
  };
}

async function jsonLines(path: string): Promise<unknown[]> {
  const text = await Deno.readTextFile(path).catch(() => "");
  return text.split("\n").flatMap((line) => {
    try {
      return [JSON.parse(line)];
    } catch {
      return []; // the empty end, or a line that is being written
    }
  });
}

function reply(
  body: BodyInit,
  type: string,
  headers: Record<string, string> = {},
  status = 200,
): Response {
  return new Response(body, {
    status,
    headers: {
      "content-type": type,
      "cache-control": "no-store",
      "x-content-type-options": "nosniff",
      "referrer-policy": "no-referrer",
      ...headers,
    },
  });
}

function refuse(status: number): Response {
  return new Response(null, { status });
}

/** Compares without telling by the time how much was right. */
function sameText(a: string, b: string): boolean {
  const [x, y] = [a, b].map((text) => new TextEncoder().encode(text));
  return x.length === y.length && timingSafeEqual(x, y);
}
