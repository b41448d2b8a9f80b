/** The project on a web server, as anyone could put it there. */

import { fromFileUrl, join } from "jsr:@std/path@1.0.8";

const root = fromFileUrl(import.meta.resolve("../../.."));

/**
 * Serves the project's files to `test` under the address that it is given. The server knows
 * nothing of the types of the files: everything is plain text, as it is from raw views of
 * repositories.
 */
export async function serveProject(test: (address: URL) => Promise<void>): Promise<void> {
  const server = Deno.serve(
    { port: 0, hostname: "127.0.0.1", onListen() {} },
    async (request) => {
      const path = decodeURIComponent(new URL(request.url).pathname);
      try {
        const body = await Deno.readFile(join(root, path));
        return new Response(body, { headers: { "content-type": "text/plain" } });
      } catch {
        return new Response("not found", { status: 404 });
      }
    },
  );
  try {
    await test(new URL(`http://127.0.0.1:${server.addr.port}/`));
  } finally {
    await server.shutdown();
  }
}
