import assert from "node:assert/strict";
import { join } from "node:path";
import { writeFileAtomic } from "../../lib/formats/atomic.ts";
import { NpzFile, writeNpz } from "../../lib/formats/arrays/npz.ts";
import type { NpyReader } from "../../lib/formats/arrays/npy.ts";
import { bytesSource } from "../../lib/formats/source.ts";
import { openZip, zipFrom } from "../../lib/formats/archive/zip.ts";
import { ZipWriter } from "../../lib/formats/archive/zip_writer.ts";
import { assertFormatError, patched, withTempFolder } from "../support/files.ts";
import { fuzz } from "../support/formats/fuzz.ts";
import { fixtures } from "./fixtures.ts";

const name = "a.zip";
const text = (value: string) => new TextEncoder().encode(value);
const open = (bytes: Uint8Array) => zipFrom(bytesSource(bytes, name));

/** An archive made by ZipWriter, in memory. */
async function zipOf(
  members: Record<string, Uint8Array>,
  compress = false,
): Promise<Uint8Array<ArrayBuffer>> {
  const pieces: Uint8Array[] = [];
  const zip = new ZipWriter((piece) => {
    pieces.push((piece as Uint8Array).slice());
    return Promise.resolve();
  });
  for (const [key, content] of Object.entries(members)) {
    await zip.add(key, [content], { size: content.length, compress });
  }
  await zip.finish();
  return new Uint8Array(await new Blob(pieces as BlobPart[]).arrayBuffer());
}

/** Where a directory entry or end record starts. */
function find(bytes: Uint8Array, ...signature: number[]): number {
  for (let at = bytes.length - 4; at >= 0; at--) {
    if (signature.every((byte, i) => bytes[at + i] === byte)) return at;
  }
  throw new Error("signature not found");
}
const directoryOf = (bytes: Uint8Array) => find(bytes, 0x50, 0x4B, 1, 2);
const endOf = (bytes: Uint8Array) => find(bytes, 0x50, 0x4B, 5, 6);

/** `hello.txt` in an archive whose sizes and positions are all in ZIP64 records. */
function zip64Archive(): Uint8Array {
  const content = text("hello");
  const bytes: number[] = [];
  const put = (size: number, ...values: number[]) => {
    for (const value of values) {
      for (let i = 0; i < size; i++) bytes.push(Math.floor(value / 256 ** i) % 256);
    }
  };
  const ones = 0xFFFFFFFF;
  const crc = 0x3610A686; // of "hello"
  const key = text("hello.txt");
  put(4, 0x04034B50), put(2, 45, 0, 0, 0, 0x21), put(4, crc, ones, ones);
  put(2, key.length, 20), bytes.push(...key), put(2, 1, 16), put(8, 5, 5), bytes.push(...content);
  const directory = bytes.length;
  put(4, 0x02014B50), put(2, 45, 45, 0, 0, 0, 0x21), put(4, crc, ones, ones);
  put(2, key.length, 4 + 3 + 28, 0, 0, 0), put(4, 0, ones), bytes.push(...key);
  put(2, 0x7777, 3), bytes.push(1, 2, 3); // an extra field that means nothing here
  put(2, 1, 24), put(8, 5, 5, 0);
  const end = bytes.length;
  put(4, 0x06064B50), put(8, 44), put(2, 45, 45), put(4, 0, 0);
  put(8, 1, 1, end - directory, directory);
  put(4, 0x07064B50, 0), put(8, end), put(4, 1);
  put(4, 0x06054B50), put(2, 0xFFFF, 0xFFFF, 0xFFFF, 0xFFFF), put(4, ones, ones), put(2, 0);
  return Uint8Array.from(bytes);
}

Deno.test("numpy's npz files are read, stored and compressed", async () => {
  using statistics = await NpzFile.from(bytesSource(fixtures.npzStored, "stats.npz"));
  assert.deepEqual(statistics.names, ["mu", "sigma"]);
  const sigma = await statistics.array("sigma");
  assert.deepEqual(sigma.shape, [2, 2]);
  assert.deepEqual([...(await statistics.array("mu")).read().toFloat64()], [0, 1, 2]);
  assert.deepEqual([...sigma.read().toFloat64()], [0, 1, 2, 3]);
  await assertFormatError(
    () => statistics.array("ref_mu"),
    /stats\.npz has no array named "ref_mu"; it has mu, sigma/,
  );

  using samples = await NpzFile.from(bytesSource(fixtures.npzDeflated, "samples.npz"));
  const images = await samples.array("arr_0");
  assert.deepEqual(images.shape, [2, 4, 4, 3]);
  assert.deepEqual([...images.rows(1, 1).bytes.subarray(0, 4)], [100, 101, 102, 100]);
  assert.deepEqual([...(await samples.array("arr_1")).read().toFloat64()], [5, 7]);
});

Deno.test("a written npz is read back, and is the same bytes every time", async () => {
  await withTempFolder(async (folder) => {
    for (const compress of [false, true]) {
      const arrays = [
        ["arr_0", {
          type: "u8",
          shape: [2, 3],
          *data() {
            yield Uint8Array.of(1, 2, 3);
            yield Uint8Array.of(4, 5, 6);
          },
        }],
        ["mu", { type: "f64", shape: [2], data: Float64Array.of(0.1, -1e300) }],
      ] as const;
      const path = join(folder, "a.npz");
      await writeNpz(path, arrays, { compress });
      const first = await Deno.readFile(path);
      await writeNpz(path, arrays, { compress });
      assert.deepEqual(await Deno.readFile(path), first);
      using file = await NpzFile.open(path);
      assert.deepEqual([...(await file.array("arr_0")).read().bytes], [1, 2, 3, 4, 5, 6]);
      assert.deepEqual([...(await file.array("mu")).read().toFloat64()], [0.1, -1e300]);
    }
  });
});

Deno.test("a producer may reuse the memory of its pieces", async () => {
  await withTempFolder(async (folder) => {
    const path = join(folder, "a.npz");
    const piece = new Uint8Array(100_000);
    const data = function* () {
      for (let i = 1; i <= 5; i++) yield piece.fill(i);
    };
    for (const compress of [false, true]) {
      await writeNpz(path, [["arr_0", { type: "u8", shape: [5, 100_000], data }]], { compress });
      using file = await NpzFile.open(path);
      const array = await file.array("arr_0");
      for (let i = 0; i < 5; i++) assert(array.rows(i, 1).bytes.every((byte) => byte === i + 1));
    }
  });
});

Deno.test("members of an archive on disk are read at random, empty ones and folders included", async () => {
  await withTempFolder(async (folder) => {
    const path = join(folder, name);
    const long = text("abc".repeat(100_000));
    const members = { "a/": new Uint8Array(), "a/long": long, "a/empty": new Uint8Array() };
    for (const compress of [false, true]) {
      await writeFileAtomic(path, await zipOf(members, compress));
      using zip = await openZip(path);
      assert.deepEqual([...zip.members.keys()], ["a/long", "a/empty"]);
      assert.equal(zip.members.get("a/long")!.method, compress ? "deflate" : "stored");
      assert.deepEqual(await zip.read("a/empty"), new Uint8Array());
      assert.deepEqual(await zip.read("a/long"), long);
      const member = await zip.open("a/long");
      assert.deepEqual(await member.read(299_999, 1), text("c"));
      await assertFormatError(() => member.read(299_999, 2), /a\.zip:a\/long is truncated/);
      await assertFormatError(() => zip.read("b"), /a\.zip has no member named "b"/);
      await assertFormatError(() => zip.read("a/long", 1000), /more than the 1000 that are/);
    }
  });
});

Deno.test("an archive whose sizes are all in ZIP64 records is read", async () => {
  const bytes = zip64Archive();
  assert.deepEqual(await (await open(bytes)).read("hello.txt"), text("hello"));
  const commented = Uint8Array.from([...bytes, ...text("PK\x05\x06 comment")]);
  commented[bytes.length - 2] = 12;
  assert.deepEqual(await (await open(commented)).read("hello.txt"), text("hello"));
});

Deno.test("damaged archives are refused with a sentence that names them", async () => {
  const bytes = await zipOf({ "x.txt": text("hello hello hello") });
  const directory = directoryOf(bytes);
  const end = endOf(bytes);
  const refuses = (damaged: Uint8Array, pattern: RegExp) =>
    assertFormatError(async () => await (await open(damaged)).read("x.txt"), pattern, /a\.zip/);
  await refuses(new Uint8Array(), /not a zip archive/);
  await refuses(bytes.subarray(0, bytes.length - 1), /end record is missing/);
  await refuses(bytes.subarray(20), /truncated|corrupt/);
  await refuses(patched(bytes, 40, 0x21), /expected the checksum [0-9a-f]{8}, found/);
  await refuses(patched(bytes, 0, 0), /expected its header at byte 0/);
  await refuses(patched(bytes, directory, 0), /expected a directory entry/);
  await refuses(patched(bytes, directory + 8, 1), /encrypted/);
  await refuses(patched(bytes, directory + 10, 12), /compression method 12/);
  await refuses(patched(bytes, directory + 24, 99), /stored as it is, but in 17 bytes/);
  await refuses(patched(bytes, directory + 24, 255, 255, 255, 255), /ZIP64 sizes are missing/);
  await refuses(patched(bytes, end + 10, 9, 0), /9 members do not fit/);
  await refuses(patched(bytes, end + 4, 1), /split archive/);
  await refuses(patched(bytes, end + 12, 255, 255, 255, 0), /directory would have 16777215 bytes/);
});

Deno.test("names that lead out of a folder are refused", async () => {
  for (const bad of ["../x", "/etc/x", "a/../../x", "C:/x", "a\\x", "a\0"]) {
    await assertFormatError(
      async () => await open(await zipOf({ [bad]: text("x") })),
      /a\.zip: member 0 has the unsafe name/,
    );
  }
  await assertFormatError(
    async () => await open(await zipOf({ "": text("x") })),
    /unsafe name ""/,
  );
});

Deno.test("bombs are refused before memory is taken for them", async () => {
  const bytes = await zipOf({ "x.txt": new Uint8Array(100_000) }, true);
  const directory = directoryOf(bytes);
  const claim = (size: number) =>
    patched(bytes, directory + 24, ...[0, 8, 16, 24].map((shift) => (size >>> shift) & 255));
  const refuses = (damaged: Uint8Array, pattern: RegExp) =>
    assertFormatError(async () => await (await open(damaged)).read("x.txt"), pattern, /a\.zip/);
  await refuses(claim(2 ** 31), /compressed bytes cannot hold 2147483648 bytes/);
  await refuses(claim(99_999), /more than 99999 bytes/);
  await refuses(claim(100_001), /expected 100001 decompressed bytes, found 100000/);

  // Two entries of the directory that share one member's data.
  const twice = await zipOf({ "x.txt": text("x"), "y.txt": text("y") });
  const second = directoryOf(twice);
  await refuses(patched(twice, second + 42, 0, 0, 0, 0), /overlaps another/);
  const same = await zipOf({ "x.txt": text("x"), "y.txt": text("y") });
  await assertFormatError(
    () => open(patched(same, directoryOf(same) + 46, 0x78)),
    /two members named "x\.txt"/,
  );
});

Deno.test("compressed data that is no compressed data is refused", async () => {
  const bytes = await zipOf({ "x.txt": text("hello hello hello hello") }, true);
  const dataAt = 30 + "x.txt".length;
  await assertFormatError(
    async () => await (await open(patched(bytes, dataAt, 0xFF, 0xFF))).read("x.txt"),
    /a\.zip:x\.txt is truncated or corrupt: it cannot be decompressed/,
  );
});

Deno.test("no mutation of an archive brings out anything but a FormatError", async () => {
  for (const bytes of [fixtures.npzStored, fixtures.npzDeflated, zip64Archive()]) {
    await fuzz(bytes, name, 250, async (damaged) => {
      using zip = await open(damaged);
      for (const member of zip.members.keys()) await zip.read(member);
    });
    await fuzz(bytes, name, 100, async (damaged) => {
      using npz = await NpzFile.from(bytesSource(damaged, name));
      for (const array of npz.names) (await npz.array(array)).read().toFloat64();
    });
  }
});

Deno.test("members are read at once, too, compressed or not, and damage is noticed", async () => {
  for (const compress of [false, true]) {
    const bytes = await zipOf({ "a.txt": text("hello hello hello"), "b.txt": text("") }, compress);
    using archive = await open(bytes);
    assert.deepEqual(archive.readSync("a.txt"), text("hello hello hello"));
    assert.deepEqual(archive.readSync("b.txt"), text(""));
    await assertFormatError(() => archive.readSync("a.txt", 5), /17 bytes, more than the 5/);
    const damaged = patched(bytes, 30 + 5 + 3, 0xFF);
    using broken = await open(damaged);
    await assertFormatError(() => broken.readSync("a.txt"), /a\.zip:a\.txt is corrupt/);
  }
  // A size in the directory that is too small is not believed.
  const bytes = await zipOf({ "a.txt": text("hello hello hello") }, true);
  using archive = await open(patched(bytes, directoryOf(bytes) + 24, 5));
  await assertFormatError(() => archive.readSync("a.txt"), /decompresses to more than 5 bytes/);
});

Deno.test("large compressed members lie in a temporary file that is gone afterwards", async () => {
  const content = Uint8Array.from({ length: 1 << 20 }, (_, i) => (i * i) >> 7);
  const bytes = await zipOf({ "a.bin": content, "b.bin": content }, true);
  const archive = await zipFrom(bytesSource(bytes, name), { maxMemory: 1 << 19 });
  const source = await archive.open("a.bin");
  assert.equal(source.size, content.length);
  assert.deepEqual(await source.read(700_000, 5), content.slice(700_000, 700_005));
  archive.close();
  assert.throws(() => source.readSync(0, 1), "closed with the archive");

  const damaged = patched(bytes, find(bytes, 0x50, 0x4B, 7, 8) + 4, 0, 0); // not looked at
  using fine = await zipFrom(bytesSource(damaged, name), { maxMemory: 1 << 19 });
  await fine.open("a.bin");
  using wrong = await zipFrom(bytesSource(patched(bytes, directoryOf(bytes) + 16, 1, 2), name), {
    maxMemory: 1 << 19,
  });
  await assertFormatError(async () => {
    await wrong.open("a.bin");
    await wrong.open("b.bin");
  }, /is corrupt: expected the checksum/);
});

Deno.test("a flipped bit in a stored member is noticed, however it is read", async () => {
  const values = Float64Array.from({ length: 4096 }, (_, i) => i);
  const folder = await Deno.makeTempDir();
  try {
    const path = join(folder, "a.npz");
    await writeNpz(path, [["mu", { type: "f64", shape: [8, 512], data: values }]]);
    const bytes = await Deno.readFile(path);
    const damaged = patched(bytes, bytes.length - 4000, 1);
    const array = async (bytes: Uint8Array) => {
      using npz = await NpzFile.from(bytesSource(bytes, "a.npz"));
      return await npz.array("mu");
    };
    assert.deepEqual((await array(bytes)).read().toFloat64(), values);
    for (
      const [way, read] of Object.entries({
        whole: (mu: NpyReader) => mu.read(),
        "in order": (mu: NpyReader) => Array.from({ length: 8 }, (_, i) => mu.rows(i, 1)),
        "the last first": (mu: NpyReader) => mu.rows(7, 1),
        "from the middle": (mu: NpyReader) => mu.rows(4, 1),
      })
    ) {
      read(await array(bytes));
      const mu = await array(damaged);
      await assertFormatError(() => read(mu), /a\.npz:mu\.npy is corrupt: expected the checksum/);
      await assertFormatError(() => mu.rows(0, 1), /is corrupt/, /mu/); // and not forgotten
      assert.ok(way);
    }
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

Deno.test("files of PyTorch whose checksums were switched off are read, other zeros are damage", async () => {
  const bytes = await zipOf({ "x.txt": text("hello") });
  const crc = directoryOf(bytes) + 16;
  const zero = patched(bytes, crc, 0, 0, 0, 0);
  await assertFormatError(async () => await (await open(zero)).read("x.txt"), /checksum 00000000/);
  const archive = await zipFrom(bytesSource(zero, name), { zeroIsUnknown: true });
  assert.deepEqual(await archive.read("x.txt"), text("hello"));
  assert.deepEqual(await (await archive.open("x.txt")).read(0, 5), text("hello"));
  const wrong = await zipFrom(bytesSource(patched(bytes, crc, 1), name), { zeroIsUnknown: true });
  await assertFormatError(() => wrong.readSync("x.txt"), /is corrupt/);
});

Deno.test("archives behind a program that unpacks them, and before zeros, are read", async () => {
  const program = Uint8Array.from({ length: 5000 }, (_, i) => i);
  for (const plain of [await zipOf({ "hello.txt": text("hello") }), zip64Archive()]) {
    for (const [before, zeros] of [[0, 1], [0, 100_000], [5000, 0], [5000, 700]]) {
      const bytes = Uint8Array.from([
        ...program.subarray(0, before),
        ...plain,
        ...new Uint8Array(zeros),
      ]);
      const archive = await open(bytes);
      assert.deepEqual(await archive.read("hello.txt"), text("hello"), `${before}, ${zeros}`);
      assert.equal(archive.place("hello.txt").offset, before + 30 + 9 + (plain[28] ?? 0));
    }
    // Something else behind it is not passed over.
    await assertFormatError(
      () => open(Uint8Array.from([...plain, 0, 0, 7])),
      /end record is missing/,
    );
  }
});
