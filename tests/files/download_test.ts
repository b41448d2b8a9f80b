import { deepStrictEqual, ok, rejects, strictEqual } from "node:assert/strict";
import { join } from "jsr:@std/path@1.0.8";
import { sha256 } from "../../lib/base/hash.ts";
import { download, fileSha256, type RemoteFile } from "../../lib/files/download.ts";
import { FormatError, ImmError } from "../../lib/base/errors.ts";
import { withTempFolder } from "../support/files.ts";

const CONTENT = Uint8Array.from({ length: 300_000 }, (_, i) => (i * i) % 251);
const SHA256 = sha256(CONTENT);

/** What a server was asked, and how it answers. */
type Handler = (request: Request, count: number) => Response;

/** Serves on this machine; gives the requests' ranges to look at. */
async function withServer(
  handler: Handler,
  test: (file: RemoteFile, ranges: (string | null)[]) => Promise<void>,
): Promise<void> {
  const ranges: (string | null)[] = [];
  const server = Deno.serve({ port: 0, hostname: "127.0.0.1", onListen() {} }, (request) => {
    ranges.push(request.headers.get("range"));
    return handler(request, ranges.length);
  });
  try {
    const url = `http://127.0.0.1:${server.addr.port}/file`;
    await test({ urls: [url], bytes: CONTENT.length, sha256: SHA256 }, ranges);
  } finally {
    await server.shutdown();
  }
}

/** A server that knows ranges. */
const ranged: Handler = (request) => {
  const start = Number(/^bytes=(\d+)-$/.exec(request.headers.get("range") ?? "")?.[1] ?? 0);
  return new Response(CONTENT.subarray(start), {
    status: start > 0 ? 206 : 200,
    headers: { "content-range": `bytes ${start}-${CONTENT.length - 1}/${CONTENT.length}` },
  });
};

/** Sends some bytes and breaks the connection. */
function broken(start: number, end: number): Response {
  let sent = false;
  const body = new ReadableStream({
    pull(controller) {
      if (sent) return controller.error(new Error("cable cut"));
      sent = true;
      controller.enqueue(CONTENT.subarray(start, end));
    },
  });
  return new Response(body, {
    status: start > 0 ? 206 : 200,
    headers: { "content-range": `bytes ${start}-${CONTENT.length - 1}/${CONTENT.length}` },
  });
}

Deno.test("download fetches a file once, into folders that it makes", async () => {
  await withTempFolder((folder) =>
    withServer(ranged, async (file, ranges) => {
      const path = join(folder, "a", "b", "file");
      const told: number[] = [];
      await download(path, file, { progress: (bytes) => told.push(bytes) });
      deepStrictEqual(await Deno.readFile(path), CONTENT);
      strictEqual(told.at(-1), CONTENT.length);
      strictEqual(await fileSha256(path), SHA256);
      await download(path, file);
      deepStrictEqual(ranges, [null], "the second time nothing is asked for");
      deepStrictEqual([...Deno.readDirSync(join(folder, "a", "b"))].map(({ name }) => name), [
        "file",
      ]);
    })
  );
});

Deno.test("download continues when the connection breaks, and in a later run", async () => {
  await withTempFolder(async (folder) => {
    const path = join(folder, "file");
    await withServer(
      (request, count) => count === 1 ? broken(0, 100_000) : ranged(request, count),
      async (file, ranges) => {
        await download(path, file);
        deepStrictEqual(await Deno.readFile(path), CONTENT);
        deepStrictEqual(ranges, [null, "bytes=100000-"]);
      },
    );
    await Deno.remove(path);
    await Deno.writeFile(`${path}.part`, CONTENT.subarray(0, 1234));
    await withServer(ranged, async (file, ranges) => {
      await download(path, file);
      deepStrictEqual(await Deno.readFile(path), CONTENT);
      deepStrictEqual(ranges, ["bytes=1234-"]);
    });
  });
});

Deno.test("download starts again where a server knows no ranges", async () => {
  await withTempFolder((folder) =>
    withServer(() => new Response(CONTENT), async (file) => {
      const path = join(folder, "file");
      await Deno.writeFile(`${path}.part`, new Uint8Array(1234));
      await download(path, file);
      deepStrictEqual(await Deno.readFile(path), CONTENT);
    })
  );
});

Deno.test("download refuses what has another hash, and begins anew after that", async () => {
  await withTempFolder((folder) =>
    withServer(
      (request, count) =>
        count === 1 ? new Response(CONTENT.map((byte) => byte ^ 1)) : ranged(request, count),
      async (file) => {
        const path = join(folder, "file");
        await rejects(
          download(path, file),
          (error) => error instanceof FormatError && /expected the SHA-256/.test(error.message),
        );
        strictEqual(await Deno.stat(path).catch(() => null), null);
        await download(path, file);
        deepStrictEqual(await Deno.readFile(path), CONTENT);
      },
    )
  );
});

Deno.test("download takes the next address when one refuses, and says what failed", async () => {
  const refusing: Handler = ({ url }, count) =>
    url.endsWith("/file") ? new Response("gone", { status: 404 }) : ranged(new Request(url), count);
  await withTempFolder((folder) =>
    withServer(refusing, async (file, ranges) => {
      const path = join(folder, "file");
      await rejects(
        download(path, file),
        (error) =>
          error instanceof ImmError && /answered 404/.test(error.message) &&
          error.message.includes(path),
      );
      strictEqual(ranges.length, 1, "a refusal is not tried again");
      await download(path, { ...file, urls: [...file.urls, `${file.urls[0]}2`] });
      deepStrictEqual(await Deno.readFile(path), CONTENT);
    })
  );
});

Deno.test("several downloads of one file at once fetch it once", async () => {
  await withTempFolder((folder) =>
    withServer(ranged, async (file, ranges) => {
      const path = join(folder, "file");
      await Promise.all([1, 2, 3].map(() => download(path, file)));
      deepStrictEqual(await Deno.readFile(path), CONTENT);
      strictEqual(ranges.length, 1);
    })
  );
});

Deno.test("an interrupted download keeps what it has", async () => {
  const slow: Handler = () => {
    let sent = false;
    return new Response(
      new ReadableStream({
        pull(controller) {
          if (!sent) controller.enqueue(CONTENT.subarray(0, 5000));
          sent = true;
        },
      }),
    );
  };
  await withTempFolder((folder) =>
    withServer(slow, async (file) => {
      const path = join(folder, "file");
      const abort = new AbortController();
      await rejects(
        download(path, file, {
          signal: abort.signal,
          progress: () => abort.abort(new Error("enough")),
        }),
        /enough/,
      );
      ok((await Deno.stat(`${path}.part`)).size > 0);
    })
  );
});
