import assert from "node:assert/strict";
import { join } from "node:path";
import { writeFileAtomic } from "../../lib/formats/atomic.ts";
import { assertFormatError, withTempFolder } from "../support/files.ts";

const names = (folder: string) => [...Deno.readDirSync(folder)].map((entry) => entry.name).sort();

Deno.test("a file appears whole, from bytes, text or pieces", async () => {
  await withTempFolder(async (folder) => {
    const path = join(folder, "a");
    await writeFileAtomic(path, Uint8Array.of(1, 2));
    assert.deepEqual([...Deno.readFileSync(path)], [1, 2]);
    await writeFileAtomic(path, "grün");
    assert.equal(Deno.readTextFileSync(path), "grün");
    await writeFileAtomic(path, async (write) => {
      await write("x");
      await write(Uint16Array.of(0x4241));
      assert.equal(Deno.readTextFileSync(path), "grün", "the old file stays until the end");
    });
    assert.equal(Deno.readTextFileSync(path), "xAB");
    assert.deepEqual(names(folder), ["a"]);
  });
});

Deno.test("a failure while writing keeps the old file and leaves no temporary one", async () => {
  await withTempFolder(async (folder) => {
    const path = join(folder, "a");
    await writeFileAtomic(path, "old");
    await assert.rejects(
      writeFileAtomic(path, async (write) => {
        await write("half of the new");
        throw new Error("the disk is full");
      }),
      /the disk is full/,
    );
    assert.equal(Deno.readTextFileSync(path), "old");
    assert.deepEqual(names(folder), ["a"]);
  });
});

Deno.test("a link stays a link and its target is replaced", async () => {
  await withTempFolder(async (folder) => {
    Deno.writeTextFileSync(join(folder, "target"), "old");
    Deno.symlinkSync("target", join(folder, "link"));
    await writeFileAtomic(join(folder, "link"), "new");
    assert(Deno.lstatSync(join(folder, "link")).isSymlink);
    assert.equal(Deno.readTextFileSync(join(folder, "target")), "new");
  });
});

Deno.test({
  name: "a device is written to, not replaced by a file",
  ignore: Deno.build.os === "windows",
  async fn() {
    await writeFileAtomic("/dev/null", "gone");
    assert(Deno.statSync("/dev/null").isCharDevice);
  },
});

Deno.test("a missing folder and a folder in place of the file are told in a sentence", async () => {
  await withTempFolder(async (folder) => {
    await assertFormatError(
      () => writeFileAtomic(join(folder, "no", "a"), ""),
      /cannot be written: the folder .*no does not exist/,
    );
    await assertFormatError(() => writeFileAtomic(folder, ""), /is a folder/);
  });
});
