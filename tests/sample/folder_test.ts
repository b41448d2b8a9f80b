/** A folder of pictures is one set. */

import assert from "node:assert/strict";
import { join } from "jsr:@std/path@1.0.8";
import { ImmError, UsageError } from "../../lib/base/errors.ts";
import { FileLock } from "../../lib/files/file_lock.ts";
import { checkFolder, type FolderContent, PictureFolder } from "../../lib/sample/output/folder.ts";
import { RunFolder } from "../../lib/train/run/folder.ts";
import type { TrainConfig } from "../../lib/train/config/config.ts";
import { withTempFolder } from "../support/files.ts";

function content(model: string, more: Partial<FolderContent> = {}): FolderContent {
  return {
    record: { version: 1, model },
    names: ["000000.png", "000001.png"],
    overwrite: false,
    ...more,
  };
}

async function fill(folder: string, ...names: string[]): Promise<void> {
  for (const name of names) {
    await Deno.mkdir(join(folder, name, ".."), { recursive: true });
    await Deno.writeTextFile(join(folder, name), "picture");
  }
}

async function names(folder: string): Promise<string[]> {
  return (await Array.fromAsync(Deno.readDir(folder), ({ name }) => name)).sort();
}

function saying(message: RegExp, kind: typeof ImmError = UsageError) {
  return (error: unknown) => {
    assert.match((error as Error).message, message);
    return error instanceof kind;
  };
}

Deno.test("of two programs that begin a folder at once with different models, one goes on", () =>
  withTempFolder(async (folder) => {
    for (let round = 0; round < 10; round++) {
      const path = join(folder, String(round));
      const models = ["a", "b", "a", "b", "a"];
      const opened = await Promise.allSettled(
        models.map((model) => PictureFolder.open(path, content(model))),
      );
      const won = models.filter((_, i) => opened[i].status === "fulfilled");
      const { model } = JSON.parse(await Deno.readTextFile(join(path, "samples.json")));
      assert.ok(won.length > 0 && won.every((name) => name === model), won.join());
      assert.equal(won.length, models.filter((name) => name === model).length);
      for (const one of opened) {
        if (one.status === "fulfilled") one.value[Symbol.dispose]();
        else assert.match(one.reason.message, /made differently \(by another model\)/);
      }
      assert.deepEqual(await names(path), ["samples.json"]);
    }
  }));

Deno.test("of training runs that begin in one folder at once, one goes on", () =>
  withTempFolder(async (folder) => {
    for (let round = 0; round < 10; round++) {
      const path = join(folder, String(round));
      const seeds = [0, 1, 2, 3];
      const begun = await Promise.allSettled(
        seeds.map((seed) => RunFolder.create(path, { train: { seed } } as TrainConfig)),
      );
      const won = seeds.filter((seed) => begun[seed].status === "fulfilled");
      const { train } = JSON.parse(await Deno.readTextFile(join(path, "config.json")));
      assert.deepEqual(won, [train.seed]);
      for (const one of begun) {
        if (one.status === "fulfilled") await one.value[Symbol.asyncDispose]();
        else assert.match(one.reason.message, /another process is writing|holds a training run/);
      }
    }
  }));

Deno.test("a set that others write is not replaced under their hands", () =>
  withTempFolder(async (folder) => {
    {
      using _ = await PictureFolder.open(folder, content("a"));
      await fill(folder, "000000.png");
      await assert.rejects(
        PictureFolder.open(folder, content("b", { overwrite: true })),
        saying(/another process writes samples to .* made differently \(by another model\)/),
      );
      using _part = await PictureFolder.open(folder, content("a", { overwrite: true }));
    }
    using _ = await PictureFolder.open(folder, content("b", { overwrite: true }));
    assert.deepEqual(await names(folder), [".lock", "samples.json"]);
  }));

Deno.test("--overwrite takes the pictures of the other set away, and nothing else", () =>
  withTempFolder(async (folder) => {
    (await PictureFolder.open(folder, content("a")))[Symbol.dispose]();
    await fill(folder, "000000.png", "000777.png", "000000/000003.png", "class-3.png");
    await fill(folder, "notes.txt", "000000/mine.txt", "photo.png", ".000002.png.0123abcd.tmp");
    await assert.rejects(
      checkFolder(folder, content("b")),
      saying(/by another model.*--overwrite/),
    );
    using opened = await PictureFolder.open(folder, content("b", { overwrite: true }));
    assert.equal(opened.removed, 4);
    const left = [".lock", "000000", "notes.txt", "photo.png", "samples.json"];
    assert.deepEqual(await names(folder), left);
    assert.deepEqual(await names(join(folder, "000000")), ["mine.txt"]);
  }));

Deno.test("pictures of nobody knows whom are not mixed with samples", () =>
  withTempFolder(async (folder) => {
    await fill(folder, "000000.png");
    const refused = saying(/holds 000000\.png already, but no samples\.json/);
    await assert.rejects(checkFolder(folder, content("a")), refused);
    await checkFolder(folder, content("a", { overwrite: true }));
    await fill(folder, "cat.jpg");
    const odd = saying(/holds cat\.jpg already.*choose another folder\.$/);
    await assert.rejects(checkFolder(folder, content("a", { overwrite: true })), odd);
  }));

Deno.test("one seed is never there twice, alone and in a folder of a thousand", () =>
  withTempFolder(async (folder) => {
    (await PictureFolder.open(folder, content("a")))[Symbol.dispose]();
    await fill(folder, "000000.png", "000009.png");
    const many = { names: ["000000/000000.png", "001000/001000.png"] };
    await assert.rejects(
      checkFolder(folder, content("a", many)),
      saying(/holds 000000\.png, of a set of at most 1,000 images; one of more has subfolders/),
    );
    using _ = await PictureFolder.open(folder, content("a", { ...many, overwrite: true }));
    assert.deepEqual(await names(folder), [".lock", "samples.json"]);
  }));

Deno.test("pictures and training runs do not share a folder, and wait for each other's lock", () =>
  withTempFolder(async (folder) => {
    const [run, pictures] = [join(folder, "run"), join(folder, "pictures")];
    const config = {} as TrainConfig;
    // What a run left that was killed before it had begun is no run.
    await fill(run, ".config.json.0123abcd.tmp", "samples/.a.png.0123abcd.tmp", ".lock");
    {
      await using _run = await RunFolder.create(run, config);
      assert.deepEqual(await names(join(run, "samples")), []);
      assert.deepEqual((await names(run)).filter((name) => name.endsWith("tmp")), []);
      await fill(run, "stats.jsonl");
      await assert.rejects(checkFolder(run, content("a")), saying(/holds a training run/));
      await assert.rejects(
        PictureFolder.open(run, content("a")),
        saying(/holds a training run/),
      );
    }
    (await PictureFolder.open(pictures, content("a")))[Symbol.dispose]();
    await assert.rejects(
      RunFolder.create(pictures, config),
      saying(/holds pictures of imm sample/),
    );
    await Deno.mkdir(join(folder, "new"));
    using _lock = await FileLock.take(join(folder, "new", ".lock"), "shared");
    await assert.rejects(
      RunFolder.create(join(folder, "new"), config),
      saying(/another process is writing/, ImmError),
    );
  }));
