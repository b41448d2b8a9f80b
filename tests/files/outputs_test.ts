/** Where commands may write. */

import assert from "node:assert/strict";
import { join } from "jsr:@std/path@1.0.8";
import { filesOf } from "../../lib/convert/foreign_file.ts";
import { pathRead } from "../../lib/data/spec.ts";
import { ImmError, UsageError, WriteError } from "../../lib/base/errors.ts";
import { writeFileAtomic } from "../../lib/formats/atomic.ts";
import { pngText, withPngText } from "../../lib/formats/image/png_text.ts";
import { decodePng, encodePng } from "../../lib/formats/image/png.ts";
import { openFileSource } from "../../lib/formats/source.ts";
import { claimOutputs, type OutputFile, refuseInside } from "../../lib/files/outputs.ts";
import { main } from "../../cli/main.ts";
import { memorySink } from "../support/cli/sink.ts";
import { exists, withTempFolder } from "../support/files.ts";

async function refuses(
  message: RegExp,
  outputs: readonly Partial<OutputFile>[],
  inputs: readonly string[] = [],
  kind: typeof ImmError = UsageError,
) {
  const all = outputs.map((output) => ({ option: "--out", ...output }) as OutputFile);
  await assert.rejects(claimOutputs(all, inputs), (error) => {
    assert.match((error as Error).message, message);
    return error instanceof kind;
  });
}

async function names(folder: string): Promise<string[]> {
  return (await Array.fromAsync(Deno.readDir(folder), ({ name }) => name)).sort();
}

Deno.test("an output is never an input, under no name and with no option", () =>
  withTempFolder(async (folder) => {
    const at = (name: string) => join(folder, name);
    await Deno.writeTextFile(at("data.zip"), "pictures");
    await Deno.symlink("data.zip", at("link.zip"));
    await Deno.link(at("data.zip"), at("hard.zip"));
    await Deno.symlink(folder, at("elsewhere"));
    await Deno.mkdir(at("photos"));
    await Deno.writeTextFile(at("photos/a.png"), "a picture");
    await Deno.writeTextFile(at("photos/report.html"), "a report");
    const replace = true;
    const same = ["data.zip", "link.zip", "hard.zip", "elsewhere/data.zip", "photos/../data.zip"];
    for (const name of same) {
      const path = name.startsWith("photos") ? `${folder}/${name}` : at(name);
      await refuses(/is (the same file as .*, )?what is read; give/, [{ path, replace }], [
        at("data.zip"),
      ]);
      await refuses(/what is read/, [{ path: at("data.zip"), replace }], [path]);
    }
    await refuses(/photos\/a\.png is one of the files of .*photos/, [
      { path: at("photos/a.png"), replace },
    ], [at("photos")]);
    using _ = await claimOutputs([
      { option: "--html", path: at("photos/report.html"), replace },
      { option: "--out", path: at("photos/new.npz") },
    ], [at("photos"), "digits"]);
    assert.equal(await Deno.readTextFile(at("data.zip")), "pictures");
  }));

Deno.test("what is read is found behind names and parts of data, and lists of a model's parts", () =>
  withTempFolder(async (folder) => {
    const at = (name: string) => join(folder, name);
    assert.equal(await pathRead("digits"), null);
    assert.equal(await pathRead("dataset:digits"), null);
    assert.equal(await pathRead(at("a.npz#val")), at("a.npz"));
    assert.equal(await pathRead(at("a.npz#other")), at("a.npz#other"));
    const index = at("model.safetensors.index.json");
    const parts = ["model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"];
    const list = { weight_map: { a: parts[0], b: parts[1], c: parts[0] } };
    await Deno.writeTextFile(index, JSON.stringify(list));
    assert.deepEqual(await filesOf(index), [index, ...parts.map(at)]);
    assert.deepEqual(await filesOf(at("model.pt")), [at("model.pt")]);
  }));

Deno.test("no run and no pictures go into the folder of the data that are read", () =>
  withTempFolder(async (folder) => {
    const data = join(folder, "photos");
    await Deno.mkdir(data);
    await Deno.symlink(data, join(folder, "link"));
    for (const out of [data, join(data, "runs", "a"), join(folder, "link", "a")]) {
      await assert.rejects(refuseInside(out, "--out", data), (error) => {
        assert.match((error as Error).message, /is in the folder of the data, .*photos/);
        return error instanceof UsageError;
      });
    }
    for (const out of [folder, join(folder, "photos2"), join(folder, "a", "photos")]) {
      await refuseInside(out, "--out", data);
    }
    await refuseInside(data, "--out", null);

    for (const [i, name] of ["cat/a.png", "dog/b.png"].entries()) {
      await Deno.mkdir(join(data, name, ".."), { recursive: true });
      const image = { width: 8, height: 8, channels: 1, data: new Uint8Array(64).fill(99 * i) };
      await Deno.writeFile(join(data, name), encodePng(image));
    }
    const stderr = memorySink();
    const args = ["train", "--preset", "digits-small", "--data", data, "--device", "wasm", "-q"];
    assert.equal(await main([...args, "--out", join(data, "run")], { stderr }), 2);
    assert.match(stderr.text, /run is in the folder of the data/);
    assert.deepEqual(await names(data), ["cat", "dog"]);
  }));

Deno.test("what is there goes only when that was asked for", () =>
  withTempFolder(async (folder) => {
    const path = join(folder, "a.npz");
    await Deno.writeTextFile(path, "old");
    await refuses(/a\.npz is there already; give --overwrite/, [{ path }]);
    await refuses(/is there already/, [{ path, replace: () => false }]);
    for (const replace of [true, () => Promise.resolve(true)]) {
      using _ = await claimOutputs([{ option: "--out", path, replace }]);
    }
    // As mktemp makes them: nothing is lost.
    await Deno.writeTextFile(path, "");
    using _ = await claimOutputs([{ option: "--out", path }]);
    assert.deepEqual(await names(folder), [".a.npz.lock", "a.npz"]);
  }));

Deno.test("what cannot be written is found out before the work, and nothing is left", async (t) => {
  await withTempFolder(async (folder) => {
    const at = (name: string) => join(folder, name);
    await Deno.writeTextFile(at("file"), "");
    await refuses(/the folder .*no of --out does not exist; create it/, [{ path: at("no/a.npz") }]);
    await refuses(/file is a file and no folder/, [{ path: at("file/a.npz") }]);
    await refuses(/is a folder/, [{ path: folder }]);
    await refuses(/is a folder/, [{ path: at("new/") }]);
    await refuses(/--html and --junit both name/, [
      { option: "--html", path: at("a") },
      { option: "--junit", path: `${folder}/./a` },
    ]);
    await assert.rejects(
      openFileSource("~/x.npz"),
      /~\/x\.npz does not exist; the shell replaces ~/,
    );
    const stderr = memorySink();
    assert.equal(await main(["eval", "cache", "--cache=~/features"], { stderr }), 2);
    assert.match(stderr.text, /--cache is ~\/features, in which the shell has not replaced ~/);
    for (const path of ["~/x.png", "~"]) await refuses(/the shell has not replaced ~/, [{ path }]);
    await refuses(/--out .* cannot be written: /, [{ path: at(`${"n".repeat(300)}.png`) }]);
    assert.deepEqual(await names(folder), ["file"]);
  });
  await t.step({
    name: "in a folder that may not be written",
    // The system lets its administrator write everywhere, and Windows knows no such folders.
    ignore: Deno.build.os === "windows" || Deno.uid() === 0,
    fn: () =>
      withTempFolder(async (folder) => {
        await Deno.chmod(folder, 0o500);
        await refuses(/--out .*a\.png cannot be written: .*denied/, [{
          path: join(folder, "a.png"),
        }]);
        await Deno.chmod(folder, 0o700);
      }),
  });
});

Deno.test("a file is one program's while it writes it, and what killed ones left goes", () =>
  withTempFolder(async (folder) => {
    const path = join(folder, "a.npz");
    const left = [".a.npz.0123abcd.tmp", ".a.npz.lock"];
    for (const name of left) await Deno.writeTextFile(join(folder, name), "half");
    await Deno.writeTextFile(join(folder, ".b.npz.0123abcd.tmp"), "another's");
    {
      using _ = await claimOutputs([{ option: "--out", path }]);
      await refuses(/another process is writing .*a\.npz/, [{ path }], [], ImmError);
      await writeFileAtomic(path, "done");
    }
    assert.deepEqual(await names(folder), [".b.npz.0123abcd.tmp", "a.npz"]);
  }));

Deno.test("what a training run writes is not overwritten by anything else", () =>
  withTempFolder(async (folder) => {
    const at = (name: string) => join(folder, "run", name);
    for (const name of ["samples", "snapshots"]) await Deno.mkdir(at(name), { recursive: true });
    for (const name of ["config.json", "stats.jsonl"]) await Deno.writeTextFile(at(name), "{}");
    const own = [
      "model.safetensors",
      "model-sigma0.1.safetensors",
      "best.safetensors",
      "best-000012800.safetensors",
      "log.txt",
      "history.jsonl",
      "checkpoint-000001280.safetensors",
      "config.json",
      "snapshots/000001280-sigma0.1.safetensors",
      "samples/grid.png",
    ];
    for (const name of own) {
      await refuses(/belongs to the training run in .*run/, [{ path: at(name), replace: true }]);
    }
    using _ = await claimOutputs([{ option: "--out", path: at("grid.png") }]);
  }));

Deno.test("a device or a pipe is written as it is", {
  ignore: Deno.build.os === "windows",
}, async () => {
  using _ = await claimOutputs([{ option: "--out", path: "/dev/null" }]);
  assert.equal(await exists("/dev/.null.lock"), false);
});

Deno.test("a full disk is told with the name of the file", {
  ignore: Deno.build.os !== "linux", // only Linux has /dev/full
}, () =>
  assert.rejects(writeFileAtomic("/dev/full", "text"), (error) => {
    assert.match((error as Error).message, /^\/dev\/full could not be written: No space left/);
    return error instanceof WriteError;
  }));

Deno.test("a PNG file keeps a text, and stays the picture that it was", () => {
  const image = { width: 2, height: 1, channels: 1, data: Uint8Array.of(1, 200) };
  const png = encodePng(image);
  const noted = withPngText(png, "samples.json", '{"é": "猫"}');
  assert.deepEqual(decodePng(noted, "noted"), image);
  assert.equal(pngText(noted, "samples.json"), '{"é": "猫"}');
  for (const [bytes, name] of [[png, "samples.json"], [noted, "samples"]] as const) {
    assert.equal(pngText(bytes, name), null);
  }
  noted[png.length + 12] ^= 1;
  assert.equal(pngText(noted, "samples.json"), null);
  for (let end = 0; end < noted.length; end++) pngText(noted.subarray(0, end), "samples.json");
});
