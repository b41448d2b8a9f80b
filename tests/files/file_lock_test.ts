import assert from "node:assert/strict";
import { fromFileUrl, join } from "jsr:@std/path@1.0.8";
import { FileLock } from "../../lib/files/file_lock.ts";
import { exists, withTempFolder } from "../support/files.ts";

Deno.test("a lock is one program's, or shared, and leaves no file", () =>
  withTempFolder(async (folder) => {
    const path = join(folder, ".lock");
    {
      using held = await FileLock.take(path);
      assert.equal(held?.mode, "exclusive");
      assert.equal(await FileLock.take(path), null);
      assert.equal(await FileLock.take(path, "shared"), null);
      assert.equal(await held!.share(), true);
      using other = await FileLock.take(path, "shared");
      assert.notEqual(other, null);
      assert.equal(await FileLock.take(path), null);
    }
    assert.equal(await exists(path), false);
    using again = await FileLock.take(path);
    assert.notEqual(again, null);
  }));

Deno.test("the first of those who share a lock to leave does not take it from the others", () =>
  withTempFolder(async (folder) => {
    const path = join(folder, ".lock");
    const [first, second] = [
      await FileLock.take(path, "shared"),
      await FileLock.take(path, "shared"),
    ];
    first![Symbol.dispose]();
    assert.equal(await exists(path), true);
    assert.equal(await FileLock.take(path), null);
    second![Symbol.dispose]();
    assert.equal(await exists(path), false);
  }));

Deno.test("of many that take one lock at once, one at a time has it", () =>
  withTempFolder(async (folder) => {
    const path = join(folder, ".lock");
    let [inside, turns] = [0, 0];
    const worker = async () => {
      for (let own = 0; own < 20;) {
        const lock = await FileLock.take(path);
        if (lock === null) {
          await new Promise((resolve) => setTimeout(resolve, 1));
          continue;
        }
        assert.equal(++inside, 1);
        await Promise.resolve();
        inside--;
        lock[Symbol.dispose]();
        own++;
        turns++;
      }
    };
    await Promise.all(Array.from({ length: 8 }, worker));
    assert.equal(turns, 160);
    assert.equal(await exists(path), false);
  }));

Deno.test("the lock of a killed program is free, though its file is there", () =>
  withTempFolder(async (folder) => {
    const path = join(folder, ".lock");
    const module = import.meta.resolve("../../lib/files/file_lock.ts");
    const script = `import { FileLock } from ${JSON.stringify(fromFileUrl(module))};` +
      `await FileLock.take(${
        JSON.stringify(path)
      }); console.log("held"); setInterval(() => {}, 1e6);`;
    const child = new Deno.Command(Deno.execPath(), {
      args: ["run", "-A", "--no-lock", "--ext=ts", "-"],
      stdin: "piped",
      stdout: "piped",
      stderr: "null",
    }).spawn();
    const writer = child.stdin.getWriter();
    await writer.write(new TextEncoder().encode(script));
    await writer.close();
    const reader = child.stdout.getReader();
    assert.match(new TextDecoder().decode((await reader.read()).value), /held/);
    assert.equal(await FileLock.take(path), null);
    child.kill("SIGKILL");
    await reader.cancel();
    await child.status;
    assert.equal(await exists(path), true);
    {
      using lock = await FileLock.take(path);
      assert.notEqual(lock, null);
    }
    assert.equal(await exists(path), false);
  }));
