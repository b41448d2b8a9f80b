/** What is understood of the classes in people's files, what is said of it, and what is refused. */

import assert from "node:assert/strict";
import { join } from "node:path";
import { ArrayDataset } from "../../lib/data/dataset.ts";
import { isLatents } from "../../lib/data/latents/dataset.ts";
import { describeClasses, labelNotes } from "../../lib/data/folders/labels.ts";
import { openDataset, openImagesOrLatents } from "../../lib/data/open.ts";
import { prepareDataset } from "../../lib/data/prepare/prepare.ts";
import { parseCsv } from "../../lib/formats/arrays/csv.ts";
import { writeFileAtomic } from "../../lib/formats/atomic.ts";
import type { ArrayToWrite } from "../../lib/formats/arrays/npy.ts";
import { writeNpz } from "../../lib/formats/arrays/npz.ts";
import { encodePng } from "../../lib/formats/image/png.ts";
import { writeSafetensors } from "../../lib/formats/safetensors/safetensors.ts";
import { ZipWriter } from "../../lib/formats/archive/zip_writer.ts";
import { assertFormatError, withTempFolder } from "../support/files.ts";
import { npy } from "../support/examples/latents.ts";

/** A picture that can be told by its color. */
const png = (value: number, channels = 3) =>
  encodePng({ width: 2, height: 2, channels, data: new Uint8Array(4 * channels).fill(value) });

type Files = Record<string, Uint8Array | string>;

/** Writes files below a folder, which is made. */
function write(folder: string, files: Files): string {
  for (const [path, content] of Object.entries(files)) {
    Deno.mkdirSync(join(folder, path, ".."), { recursive: true });
    const bytes = typeof content === "string" ? new TextEncoder().encode(content) : content;
    Deno.writeFileSync(join(folder, path), bytes);
  }
  return folder;
}

async function writeZip(path: string, files: Files): Promise<string> {
  await writeFileAtomic(path, async (write) => {
    const zip = new ZipWriter(write);
    for (const [name, content] of Object.entries(files)) {
      const bytes = typeof content === "string" ? new TextEncoder().encode(content) : content;
      await zip.add(name, [bytes], { size: bytes.length });
    }
    await zip.finish();
  });
  return path;
}

/** The labels, their names, what is said of the classes, and the notes. */
async function understood(spec: string) {
  using set = await openDataset(spec);
  const labels = Array.from({ length: set.length }, (_, i) => set.label(i));
  const notes = [...set.notes ?? [], ...labelNotes(set)].join("\n");
  return { labels, classes: describeClasses(set), notes };
}

/** Runs a check on files as a folder, and as a zip archive with all of them below one folder. */
async function inBothForms(files: Files, check: (spec: string) => Promise<void>) {
  await withTempFolder(async (folder) => {
    await check(write(join(folder, "pets"), files));
    const below = Object.fromEntries(Object.entries(files).map(([key, v]) => [`pets/${key}`, v]));
    await check(await writeZip(join(folder, "pets.zip"), below));
  });
}

Deno.test("a zip of a folder has the classes of the folder", async () => {
  await inBothForms(
    { "cat/1.png": png(1), "dog/2.png": png(2), "dog/x/3.png": png(3) },
    async (spec) => {
      const { labels, classes, notes } = await understood(spec);
      assert.deepEqual(labels, [0, 1, 1]);
      assert.equal(classes, "2 classes from folders: cat 1, dog 2");
      assert.equal(notes, "");
    },
  );
});

Deno.test("pictures in one folder have no class of that folder", async () => {
  await inBothForms({ "1.png": png(1), "2.png": png(2) }, async (spec) => {
    assert.deepEqual(await understood(spec), {
      labels: [null, null],
      classes: "no labels",
      notes: "",
    });
  });
});

Deno.test("dataset.json is found with what it labels, in a folder or an archive", async () => {
  const json = JSON.stringify({
    labels: [["b.png", 0], ["a.png", 1], ["./b.png", 0]],
    label_names: ["cat", "dog"],
  });
  const files = { "data/a.png": png(1), "data/b.png": png(2), "data/dataset.json": json };
  await inBothForms({ ...files, "readme.txt": "" }, async (spec) => {
    const { labels, classes } = await understood(spec);
    assert.deepEqual([labels, classes], [[1, 0], "2 classes from dataset.json: cat 1, dog 1"]);
  });
  await inBothForms({ ...files, "other/c.png": png(3) }, async (spec) => {
    await assertFormatError(() => openDataset(spec), /outside of data\/, too; give that folder/);
  });
});

Deno.test("dataset.json that contradicts itself is refused", async () => {
  const refuses = async (json: unknown, pattern: RegExp) =>
    await withTempFolder(async (folder) => {
      write(folder, { "a.png": png(1), "dataset.json": JSON.stringify(json) });
      await assertFormatError(() => openDataset(folder), /dataset\.json/, pattern);
    });
  await refuses({ labels: [["a.png", 0], ["a.png", 1]] }, /gives a\.png two labels, 0 and 1/);
  await refuses({ labels: [["a.png", 2]], label_names: ["cat"] }, /label 2, but names 1 class;/);
  await refuses(
    { labels: [["a.png", 0]], label_names: [3] },
    /label_names must be a list of texts/,
  );
  await refuses({ labels: [["a.png", 2 ** 32]] }, /has the label 4294967296/);
});

Deno.test("of train and val the pictures for training are taken, which is said; others on request", async () => {
  const files = {
    "train/cat/1.png": png(1),
    "train/dog/2.png": png(2),
    "val/cat/3.png": png(3),
    "val/dog/4.png": png(4),
    "val/dog/5.png": png(5),
  };
  await inBothForms(files, async (spec) => {
    const { classes, notes } = await understood(spec);
    assert.equal(classes, "2 classes from folders: cat 1, dog 1");
    assert.match(
      notes,
      /is divided: the 2 files of train\/ are taken, not the 3 of val\/ \(.*#val\)/,
    );
    using val = await openDataset(`${spec}#val`);
    assert.equal(val.name, `${spec}#val`);
    const other = await understood(`${spec}#val`);
    assert.deepEqual([other.labels, other.notes], [[0, 1, 1], ""]);
    await assertFormatError(() => openDataset(`${spec}#test`), /divided in train\/, val\//);
  });
  await withTempFolder(async (folder) => {
    write(folder, { "validation/1.png": png(1), "testing/2.png": png(1) });
    await assertFormatError(
      () => openDataset(folder),
      /none of which is for training; give one of/,
    );
    write(folder, { "cat/1.png": png(1) });
    assert.match((await understood(folder)).notes, /testing, validation are taken as classes like/);
    await assertFormatError(() => openDataset(`${folder}#val`), /is not divided/);
    // A folder may be called like a part of another.
    write(`${folder}/a#val`, { "1.png": png(1) });
    assert.deepEqual((await understood(`${folder}/a#val`)).labels, [null]);
  });
});

Deno.test("labels beside train and test are those of both; one part is taken all the same", async () => {
  const rows = ["train/1.png", "test/2.png"].map((file_name, label) => ({ file_name, label }));
  const files = {
    "train/1.png": png(1),
    "test/2.png": png(2),
    "metadata.jsonl": rows.map((row) => JSON.stringify(row)).join("\n"),
  };
  await inBothForms(files, async (spec) => {
    const { labels, notes } = await understood(spec);
    assert.deepEqual(labels, [0]);
    assert.match(notes, /the 1 files of train\/ are taken, not the 1 of test\//);
    assert.deepEqual((await understood(`${spec}#test`)).labels, [1]);
  });
});

Deno.test("letters with accents are the same however a file system composes them", async () => {
  await withTempFolder(async (folder) => {
    const [composed, apart] = ["caf\u00e9.png", "cafe\u0301.png"];
    const json = JSON.stringify({ labels: [[composed, 1]] });
    const path = await writeZip(join(folder, "a.zip"), { [apart]: png(1), "dataset.json": json });
    assert.deepEqual((await understood(path)).labels, [1]);
    const folders = { "cafe\u0301/1.png": png(1), "tea/1.png": png(1) };
    using set = await openDataset(await writeZip(path, folders));
    assert.deepEqual(set.labelNames, ["caf\u00e9", "tea"]);
  });
});

Deno.test("metadata.jsonl and metadata.csv give labels where they have some", async () => {
  const pictures = { "a.png": png(1), "b/c.png": png(2), "b/d.png": png(3) };
  const rows = [["b/d.png", "dog, large"], ["a.png", "cat"], ["b/c.png", "cat"]];
  const jsonl = rows.map(([file_name, label]) => JSON.stringify({ file_name, label })).join("\n");
  const csv = `file_name,label\r\n${rows.map(([file, l]) => `${file},"${l}"`).join("\r\n")}\r\n`;
  for (const [name, content] of [["metadata.jsonl", jsonl], ["metadata.csv", csv]]) {
    await inBothForms({ ...pictures, [name]: content }, async (spec) => {
      const { labels, classes } = await understood(spec);
      assert.deepEqual(labels, [0, 0, 1]);
      assert.equal(classes, `2 classes from ${name}: cat 2, "dog, large" 1`);
    });
  }
  const numbered = "file_name,label\na.png,1\nb/c.png,0\nb/d.png,1\n";
  await withTempFolder(async (folder) => {
    write(folder, { ...pictures, "metadata.csv": numbered });
    assert.deepEqual((await understood(folder)).labels, [1, 0, 1]);
    write(folder, { "metadata.csv": numbered.replace("b/c.png,0", "b/c.png,cat") });
    assert.deepEqual((await understood(folder)).labels, [0, 1, 0]); // three names
    write(folder, { "metadata.csv": numbered.replace("b/c.png,0\n", "") });
    await assertFormatError(() => openDataset(folder), /metadata\.csv has no label for b\/c\.png/);
    write(folder, { "metadata.csv": numbered.replace("a.png,1", "a.png") });
    await assertFormatError(() => openDataset(folder), /gives a\.png the label nothing; expected/);
    write(folder, { "metadata.csv": numbered.replace("b/c.png", "") });
    await assertFormatError(() => openDataset(folder), /line without file_name, number 2 of 3\.$/);
    write(folder, { "metadata.csv": "file,label\na.png,1\n" });
    assert.match((await understood(folder)).notes, /: metadata\.csv is not read/);
    write(folder, { "metadata.csv": "file_name,text\na.png,a cat\n", "more/labels.csv": "" });
    const { labels, notes } = await understood(folder);
    assert.deepEqual(labels, [null, null, null]);
    assert.match(notes, /: metadata\.csv, more\/labels\.csv are not read; labels are taken from/);
    assert.match(notes, /no classes, because pictures lie beside the folders b\/: a\.png\./);
  });
});

Deno.test("CSV files are read with quotes, and refused where a quote is odd", () => {
  assert.deepEqual(parseCsv('\uFEFFa,b\n"1,\n""x""",2\n\n3\n4,', "x.csv"), [
    { a: '1,\n"x"', b: "2" },
    { a: "3" },
    { a: "4", b: "" },
  ]);
  assert.throws(() => parseCsv('a\n"1', "x.csv"), /x\.csv is not valid CSV: a quote in line 2/);
  assert.throws(() => parseCsv("a\n1,2", "x.csv"), /x\.csv has 2 fields in line 2, but 1 names/);
  assert.deepEqual(parseCsv("", "x.csv"), []);
});

Deno.test("folders that are numbers say which class they are, where it is another number", async () => {
  await withTempFolder(async (folder) => {
    for (const n of [1, 2, 10]) write(folder, { [`${n}/x.png`]: png(n) });
    const { classes, notes } = await understood(folder);
    assert.equal(classes, '3 classes from folders: "1" 1, "10" 1, "2" 1');
    assert.match(
      notes,
      /sorted as text.*class 0 is folder 1, class 1 is folder 10, class 2 is folder 2/,
    );
  });
  await withTempFolder(async (folder) => {
    for (const n of ["00", "01"]) write(folder, { [`${n}/x.png`]: png(1) });
    assert.equal((await understood(folder)).notes, "");
  });
});

const pixels = (count: number, shape = [2, 2]): ArrayToWrite => {
  const all = [count, ...shape];
  return { type: "u8", shape: all, data: new Uint8Array(all.reduce((a, b) => a * b)) };
};
const i64 = (shape: number[], ...values: (number | bigint)[]): ArrayToWrite => ({
  type: "i64",
  shape,
  data: BigInt64Array.from(values, BigInt),
});

Deno.test("classes without images are named, and labels that are counted from 1", async () => {
  await withTempFolder(async (folder) => {
    const path = join(folder, "a.npz");
    const notes = async (...labels: number[]) => {
      await writeNpz(path, [["arr_0", pixels(3)], ["arr_1", i64([3], ...labels)]]);
      return (await understood(path)).notes;
    };
    assert.match(
      await notes(1, 3, 2),
      /labels run from 1 to 3, so class 0 has no images.*subtract 1/,
    );
    assert.match(await notes(0, 3, 3), /no images of class 1, 2, which a network would never see/);
    assert.equal(await notes(0, 1, 1), "");
  });
});

Deno.test("many classes are summed up, and so are many without images", () => {
  const set = (labels: number[]) =>
    new ArrayDataset("a", [1, 1, 1], new Uint8Array(labels.length), Int32Array.from(labels));
  const counts = Array.from({ length: 30 }, (_, i) => i);
  assert.match(
    describeClasses(set([...counts, 25, 25])),
    /^30 classes: 0: 1, 1: 1, .*, 19: 1, and 10 more of 1 to 3$/,
  );
  assert.equal(describeClasses(set([0])), "1 class: 0: 1");
  assert.match(
    labelNotes(set([0, 9])).join(),
    /^a: no images of class 1, 2, 3, 4, 5 and 3 more, which a network would never see, of 10\.$/,
  );
});

Deno.test("a label that is no class is refused whatever file it comes from", async () => {
  await withTempFolder(async (folder) => {
    const at = (name: string) => join(folder, name);
    const bad = 4294967296n;
    const far = /has the label 4294967296 \(number 1 of 2\); expected integers from 0 to/;
    const latents = { type: "f32", shape: [2, 4, 2, 2], data: new Float32Array(32) } as const;
    await writeNpz(at("pixels.npz"), [["arr_0", pixels(2)], ["arr_1", i64([2], 0, bad)]]);
    await writeNpz(at("latents.npz"), [["latents", latents], ["labels", i64([2], 0, bad)]]);
    await writeSafetensors(at("latents.safetensors"), [
      ["latents", { dtype: "F32", shape: latents.shape, data: latents.data }],
      ["labels", { dtype: "I64", shape: [2], data: BigInt64Array.of(0n, bad) }],
    ]);
    write(at("jsonl"), {
      "a.png": png(1),
      "b.png": png(2),
      "metadata.jsonl": `{"file_name":"a.png","label":0}\n{"file_name":"b.png","label":${bad}}`,
    });
    for (const name of ["pixels.npz", "latents.npz", "latents.safetensors", "jsonl"]) {
      await assertFormatError(() => openImagesOrLatents(at(name)), far);
    }
    // -1 in an IDX file of int8, and an npz of the largest unsigned number.
    write(at("idx"), {
      "train-images-idx3-ubyte": Uint8Array.of(0, 0, 8, 3, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 1, 7),
      "train-labels-idx1-ubyte": Uint8Array.of(0, 0, 9, 1, 0, 0, 0, 1, 255),
    });
    await assertFormatError(() => openDataset(at("idx")), /has the label -1 \(number 0 of 1\)/);
    const huge = { type: "u64", shape: [1], data: BigUint64Array.of(2n ** 64n - 1n) } as const;
    await writeNpz(at("u64.npz"), [["arr_0", pixels(1)], ["arr_1", huge]]);
    await assertFormatError(() => openDataset(at("u64.npz")), /has the label 1844674407370955/);
    await writeNpz(at("f.npz"), [["arr_0", pixels(1)], ["arr_1", {
      type: "f32",
      shape: [1],
      data: new Float32Array(1),
    }]]);
    await assertFormatError(
      () => openDataset(at("f.npz")),
      /expected integers of shape.*found f32/,
    );
  });
});

Deno.test("the arrays of Keras and MedMNIST are found, with labels in a column", async () => {
  await withTempFolder(async (folder) => {
    const keras = join(folder, "keras.npz");
    await writeNpz(keras, [
      ["x_test", pixels(1, [2, 2, 3])],
      ["x_train", pixels(2, [2, 2, 3])],
      ["y_train", i64([2, 1], 1, 0)],
      ["y_test", i64([1, 1], 0)],
    ]);
    const train = await understood(keras);
    assert.deepEqual(train.labels, [1, 0]);
    assert.equal(train.classes, "2 classes from y_train: 0: 1, 1: 1");
    assert.match(train.notes, /x_train is taken, x_test \(.*keras\.npz#test\) left aside/);
    assert.deepEqual((await understood(`${keras}#test`)).labels, [0]);
    await assertFormatError(
      () => openDataset(`${keras}#val`),
      /no x_val; it is divided in .*#train/,
    );

    const med = join(folder, "pathmnist.npz");
    await writeNpz(med, [
      ["train_images", pixels(2)],
      ["val_images", pixels(1)],
      ["train_labels", i64([2, 1], 0, 1)],
      ["val_labels", i64([1, 1], 1)],
    ]);
    assert.deepEqual((await understood(med)).labels, [0, 1]);
    assert.deepEqual((await understood(`${med}#val`)).labels, [1]);
    await writeNpz(med, [["images", pixels(1)], ["labels", i64([1, 1], 0)]]);
    assert.deepEqual((await understood(med)).labels, [0]);
    await assertFormatError(() => openDataset(`${med}#train`), /is not divided/);
    await writeNpz(med, [["arr_0", pixels(1)], ["label", i64([1], 0)]]);
    assert.deepEqual((await understood(med)).labels, [0]);
    await writeNpz(med, [["arr_0", pixels(1)], ["targets", i64([1], 0)]]);
    assert.match((await understood(med)).notes, /no labels; of targets none belongs to the images/);
  });
});

Deno.test("an IDX folder has its images for testing as #test", async () => {
  await withTempFolder(async (folder) => {
    const one = (value: number) =>
      Uint8Array.of(0, 0, 8, 3, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 1, value);
    write(folder, { "train-images-idx3-ubyte": one(1), "t10k-images-idx3-ubyte": one(2) });
    for (const [spec, value] of [["", 1], ["#train", 1], ["#test", 2]] as const) {
      using set = await openDataset(folder + spec);
      assert.deepEqual([...set.image(0)], [value]);
    }
    await assertFormatError(() => openDataset(`${folder}#val`), /has no images for val: found/);
    const emnist = write(join(folder, "emnist"), {
      "emnist-letters-train-images.idx3-ubyte": one(3),
      "emnist-letters-train-labels-idx1-ubyte": Uint8Array.of(0, 0, 8, 1, 0, 0, 0, 1, 1),
      "emnist-letters-test-images-idx3-ubyte": one(4),
    });
    const { labels, notes } = await understood(emnist);
    assert.deepEqual(labels, [1]);
    assert.match(notes, /labels run from 1 to 1, so class 0 has no images/);
  });
});

Deno.test("transparency is dropped from any file, and grey stays grey", async () => {
  await withTempFolder(async (folder) => {
    write(join(folder, "rgba"), { "a.png": png(7, 4), "b.png": png(8, 3) });
    write(join(folder, "la"), { "a.png": png(7, 2), "b.png": png(8, 1) });
    await writeNpz(join(folder, "rgba.npz"), [["arr_0", {
      ...pixels(1, [1, 1, 4]),
      data: Uint8Array.of(1, 2, 3, 4),
    }]]);
    await writeNpz(join(folder, "la.npz"), [["arr_0", {
      ...pixels(1, [1, 2, 2]),
      data: Uint8Array.of(1, 2, 3, 4),
    }]]);
    const open = async (name: string) => {
      using set = await openDataset(join(folder, name));
      assert.match(set.notes!.join(), /1 of [12] pictures have an alpha channel, which is dropped/);
      return [set.imageShape, [...set.image(0)]];
    };
    assert.deepEqual(await open("rgba"), [[2, 2, 3], new Array(12).fill(7)]);
    assert.deepEqual(await open("la"), [[2, 2, 1], new Array(4).fill(7)]);
    assert.deepEqual(await open("rgba.npz"), [[1, 1, 3], [1, 2, 3]]);
    assert.deepEqual(await open("la.npz"), [[1, 2, 1], [1, 3]]);
    const notes: string[] = [];
    const out = join(folder, "out.zip");
    const rgba = join(folder, "rgba");
    await prepareDataset(rgba, out, { workers: 1, onNote: (note) => notes.push(note) });
    assert.match(notes.join(), /: 1 of 2 pictures have an alpha channel, which is dropped/);
  });
});

Deno.test("images in Fortran order are read as what they are", async () => {
  await withTempFolder(async (folder) => {
    // [2, 1, 2] of 0 to 3 in C order, as numpy stores np.asfortranarray of it.
    const header = "{'descr': '|u1', 'fortran_order': True, 'shape': (2, 1, 2), }".padEnd(117) +
      "\n";
    const head = new TextEncoder().encode(header);
    const file = Uint8Array.of(0x93, 78, 85, 77, 80, 89, 1, 0, head.length, 0, ...head, 0, 2, 1, 3);
    const path = await writeZip(join(folder, "f.npz"), { "arr_0.npy": file });
    using set = await openDataset(path);
    assert.deepEqual([[...set.image(0)], [...set.image(1)]], [[0, 1], [2, 3]]);
  });
});

Deno.test("folders of latents have their classes as folders of pictures have them", async () => {
  const one = await npy([4, 2, 2], new Float32Array(16));
  await inBothForms({ "cat/1.npy": one, "dog/2.npy": one }, async (spec) => {
    using set = await openImagesOrLatents(spec);
    assert(isLatents(set));
    assert.equal(describeClasses(set), "2 classes from folders: cat 1, dog 1");
  });
});

Deno.test("imm dataset prepare understands the same of the same files, and says it", async () => {
  const files = { "train/a/1.png": png(1), "train/b/2.png": png(2), "test/a/3.png": png(3) };
  await inBothForms(files, async (spec) => {
    const notes: string[] = [];
    const out = `${spec}.out.zip`;
    const made = await prepareDataset(spec, out, {
      workers: 1,
      onNote: (note) => notes.push(note),
    });
    assert.deepEqual([made.count, made.classes], [2, 2]);
    assert.match(notes.join(), /is divided: the 2 files of train\/ are taken, not the 1 of test\//);
    assert.equal((await understood(out)).classes, "2 classes from dataset.json: a 1, b 1");
    assert.equal((await prepareDataset(`${spec}#test`, out, { workers: 1 })).count, 1);
  });
});
