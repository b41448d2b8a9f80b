import { deepStrictEqual, match, ok, strictEqual } from "node:assert/strict";
import { join } from "jsr:@std/path@1.0.8";
import { main } from "../../cli/main.ts";
import { openDigits } from "../../lib/data/images/digits.ts";
import { openDataset } from "../../lib/data/open.ts";
import type { Evaluation } from "../../lib/eval/evaluate.ts";
import { readReference } from "../../lib/eval/references/files.ts";
import type { GateOutcome } from "../../lib/eval/gate.ts";
import { encodePng } from "../../lib/formats/image/png.ts";
import { NpzFile, writeNpz } from "../../lib/formats/arrays/npz.ts";
import { saveModel } from "../../lib/models/model_file.ts";
import { hostUniform } from "../../lib/random/threefry.ts";
import { openDevice } from "../../lib/device/open.ts";
import { availableDevices } from "../support/devices/devices.ts";
import { withTempFolder } from "../support/files.ts";
import { tinyModel } from "../support/examples/models.ts";
import { memorySink } from "../support/cli/sink.ts";

// What GitHub Actions is told when it runs these tests has tests of its own.
Deno.env.delete("GITHUB_ACTIONS");

async function runEval(...args: string[]) {
  const [stdout, stderr] = [memorySink(), memorySink()];
  const code = await main(["eval", ...args], { stdout, stderr });
  return { code, stdout: stdout.text, stderr: stderr.text };
}

type Report = Evaluation & {
  readonly inputs: Readonly<Record<"samples" | "reference", Record<string, unknown>>>;
  readonly gate?: GateOutcome;
};

/** Runs with `--json` and returns the report. */
async function report(...args: string[]): Promise<Report> {
  const { code, stdout, stderr } = await runEval("--json", ...args);
  strictEqual(code, 0, stderr);
  return JSON.parse(stdout);
}

/** Writes digits of a choice of numbers, labelled, as other programs' samples come. */
async function writeDigits(path: string, chosen: (index: number) => boolean): Promise<void> {
  using digits = await openDigits();
  const indices = Array.from({ length: digits.length }, (_, i) => i).filter(chosen);
  const data = Uint8Array.from(indices.flatMap((i) => [...digits.image(i)]));
  await writeNpz(path, [
    ["arr_0", { type: "u8", shape: [indices.length, 8, 8, 1], data }],
    ["arr_1", {
      type: "i64",
      shape: [indices.length],
      data: BigInt64Array.from(indices, (i) => BigInt(digits.label(i)!)),
    }],
  ]);
}

/** Images and labels of an npz file, as bytes. */
async function arraysOf(path: string): Promise<Uint8Array[]> {
  using file = await NpzFile.open(path);
  return await Promise.all(
    ["arr_0", "arr_1"].map(async (name) => (await file.array(name)).read().bytes.slice()),
  );
}

async function writeNoise(path: string, count: number, side: number): Promise<void> {
  const shape = [count, side, side, 1];
  const data = Uint8Array.from(hostUniform([1, 2], shape, 0), (x) => 256 * x);
  await writeNpz(path, [["arr_0", { type: "u8", shape, data }]]);
}

Deno.test("imm eval: the digits are at no distance from themselves", async () => {
  const { values, floor, extractor, samples, inputs } = await report(
    "digits",
    "--reference",
    "digits",
  );
  deepStrictEqual(Object.keys(values), ["fd", "nn_accuracy", "class_accuracy"]);
  ok(Math.abs(values.fd) < 1e-9, `${values.fd}`);
  strictEqual(values.nn_accuracy, 1);
  ok(floor!.fd > 0.1 && floor!.fd < 0.4, `${floor!.fd}`);
  ok(floor!.nn_accuracy > 0.95 && floor!.nn_accuracy < 1);
  strictEqual(extractor.id, "digit-classifier");
  deepStrictEqual(samples, { name: "digits", count: 1797, skipped: 0 });
  using digits = await openDigits();
  const origin = { kind: "images", sha256: digits.contentHash() };
  deepStrictEqual(inputs, { samples: origin, reference: origin });
});

Deno.test("imm eval: unseen digits are near, noise is far", async () => {
  await withTempFolder(async (folder) => {
    const [odd, noise] = [join(folder, "odd.npz"), join(folder, "noise.npz")];
    await writeDigits(odd, (i) => i % 2 === 1);
    await writeNoise(noise, 300, 8);
    const near = await report(odd, "--reference", "dataset:digits", "--extractor", "pixels");
    ok(near.values.fd > 0 && near.values.fd < 0.3, `${near.values.fd}`);
    strictEqual(near.extractor.id, "pixels-8x8x1");
    strictEqual(near.values.nn_accuracy, 1);
    const far = await report(noise, "--reference", "dataset:digits", "--extractor", "pixels");
    ok(far.values.fd > 20, `${far.values.fd}`);
    deepStrictEqual(Object.keys(far.values), ["fd"], "noise has no labels");
    deepStrictEqual(
      (await report(noise, "--reference", "dataset:digits", "--no-floor")).floor,
      null,
    );
  });
});

Deno.test("imm eval: a table on stdout, progress on stderr", async () => {
  // By the name that means the same wherever the tests run.
  const same = ["dataset:digits", "--reference", "dataset:digits"];
  const { code, stdout, stderr } = await runEval(...same);
  strictEqual(code, 0);
  const [head, distance] = stdout.split("\n");
  match(head, /^ +samples +real$/);
  match(distance, /^fd +-?\S+ +0\.\d+ +Fréchet distance \(lower is better\)$/);
  match(stdout, /\nreference +digits, 1797 images\n/);
  match(stderr, /^samples: done/);
  match(stderr, /\nreference: done/);
  match(stdout, /\nwarning: dataset:digits and dataset:digits are the same images: /);
  strictEqual((await runEval(...same, "--quiet")).stderr, "");
});

Deno.test("imm eval --fail-if: exit code 3, with the report all the same", async () => {
  const gate = (...bounds: string[]) =>
    runEval(
      ...["dataset:digits", "--reference", "dataset:digits", "--metrics", "fd", "--json", "-q"],
      ...bounds.flatMap((bound) => ["--fail-if", bound]),
    );
  const passed = await gate("fd>5", "nn_accuracy<0.9");
  strictEqual(passed.code, 0, passed.stderr);
  const { gate: outcome, values } = JSON.parse(passed.stdout) as Report;
  ok(outcome!.passed);
  deepStrictEqual(
    outcome!.thresholds.map(({ metric, relation, limit }) => `${metric}${relation}${limit}`),
    ["fd<=5", "nn_accuracy>=0.9"],
  );
  deepStrictEqual(Object.keys(values), ["fd", "nn_accuracy"], "bounds add their metrics");

  const failed = await gate("fd>-1", "nn_accuracy<0.9");
  strictEqual(failed.code, 3);
  strictEqual((JSON.parse(failed.stdout) as Report).gate!.passed, false);
  match(failed.stderr, /^error: fd is \S+, required <= -1\.\n$/);
});

Deno.test("imm eval --save-stats: statistics stand for their images, and know what made them", async () => {
  await withTempFolder(async (folder) => {
    const [odd, stats, again] = ["odd.npz", "stats.npz", "again.npz"].map((n) => join(folder, n));
    await writeDigits(odd, (i) => i % 2 === 1);
    const saved = await runEval("stats", "dataset:digits", "--out", stats);
    strictEqual(saved.code, 0, saved.stderr);
    match(saved.stdout, /^statistics of 1797 images in the 64 features of digit-classifier: /);
    const images = await report(odd, "--reference", "dataset:digits", "--save-stats", again);
    const statistics = await report(odd, "--reference", stats);
    strictEqual(statistics.extractor.id, "digit-classifier", "chosen by the file");
    ok(Math.abs(statistics.values.fd - images.values.fd) < 1e-9);
    strictEqual(statistics.floor, null);
    const [a, b] = [await readReference(again), await readReference(stats)];
    deepStrictEqual({ ...a, name: "", provenance: null }, { ...b, name: "", provenance: null });

    const other = await runEval(odd, "--reference", stats, "--extractor", "pixels");
    strictEqual(other.code, 2);
    match(other.stderr, /was made by the extractor digit-classifier/);
    const forced = await report(odd, "--reference", stats, "--extractor", "pixels", "--force");
    match(forced.warnings[0], /was forced/);
    const needy = await runEval(odd, "--reference", stats, "--metrics", "kd");
    strictEqual(needy.code, 2);
    match(needy.stderr, /kd needs reference images/);
    const circular = await runEval(odd, "--reference", stats, "--save-stats", again);
    strictEqual(circular.code, 2);
  });
});

Deno.test("imm eval --baseline: a value may not become worse than before", async () => {
  await withTempFolder(async (folder) => {
    const [odd, last] = [join(folder, "odd.npz"), join(folder, "last.json")];
    await writeDigits(odd, (i) => i % 2 === 1);
    const run = (...args: string[]) => runEval("--reference", "dataset:digits", "-q", ...args);
    const before = await run(odd, "--json");
    await Deno.writeTextFile(last, before.stdout);
    const same = await run(odd, "--baseline", last, "--json");
    strictEqual(same.code, 0, same.stderr);
    const { gate } = JSON.parse(same.stdout) as Report;
    deepStrictEqual(gate!.baseline.map(({ metric }) => metric), [
      "fd",
      "nn_accuracy",
      "class_accuracy",
    ]);
    const { values } = JSON.parse(before.stdout) as Report;
    await Deno.writeTextFile(last, JSON.stringify({ values: { fd: values.fd / 1.05 } }));
    const worse = await run(odd, "--baseline", last, "--tolerance", "fd=4%");
    strictEqual(worse.code, 3);
    match(worse.stderr, /^error: fd is \S+, required <= \S+ \(\S+ before, 4% tolerated\)\.\n$/);
    strictEqual((await run(odd, "--baseline", last, "--tolerance", "6%")).code, 0);
    await Deno.writeTextFile(last, before.stdout.replace('"count":898', '"count":900'));
    const other = await run(odd, "--baseline", last);
    strictEqual(other.code, 2);
    match(other.stderr, /made with 900 samples, not 898/);
    strictEqual((await run(odd, "--baseline", last, "--force")).code, 0);
  });
});

Deno.test("imm eval writes reports for CI, also when it fails", async () => {
  await withTempFolder(async (folder) => {
    const at = (name: string) => join(folder, name);
    const args = ["--reference", "dataset:digits", "--fail-if", "fd>-1", "-q"];
    const files = ["--junit", at("j.xml"), "--markdown", at("m.md"), "--html", at("h.html")];
    strictEqual((await runEval("dataset:digits", "--num", "300", ...args, ...files)).code, 3);
    match(await Deno.readTextFile(at("j.xml")), /tests="1" failures="1" errors="0"/);
    match(await Deno.readTextFile(at("m.md")), /^### imm eval: failed/);
    const html = await Deno.readTextFile(at("h.html"));
    match(html, /Failed: 1 of 1 requirements is not met/);
    // A sample is its own nearest real image.
    strictEqual(html.match(/<figcaption>class \d, 0<\/figcaption>/g)?.length, 10);

    // Tomorrow's run of the same job replaces them; nothing else is replaced.
    const again = await runEval("dataset:digits", "--num", "300", ...args, ...files);
    strictEqual(again.code, 3, again.stderr);
    for (const option of ["--junit", "--markdown", "--html", "--save-stats"]) {
      const notes = option === "--save-stats" ? at("notes.npz") : at("notes.txt");
      await Deno.writeTextFile(notes, "my notes");
      const refused = await runEval("dataset:digits", ...args, option, notes);
      strictEqual(refused.code, 2);
      match(refused.stderr, /notes.* is there already; give --overwrite to replace it/);
      strictEqual(await Deno.readTextFile(notes), "my notes");
      // Nothing may be written to what is read, not even that it was refused.
      const samples = at("own.npz");
      await writeDigits(samples, (i) => i < 80);
      const before = await Deno.readFile(samples);
      const input = await runEval(samples, ...args, option, samples, "--overwrite");
      match(input.stderr, /what is read; give another name/);
      deepStrictEqual(await Deno.readFile(samples), before);
      const nowhere = await runEval("dataset:digits", ...args, option, at("no/such.npz"));
      match(nowhere.stderr, /the folder .*no of --.* does not exist/);
    }

    const broken = await runEval("digts", ...args, "--junit", at("e.xml"));
    strictEqual(broken.code, 1);
    match(await Deno.readTextFile(at("e.xml")), /errors="1"[^]*did you mean &#34;digits&#34;/);
  });
});

Deno.test("imm eval under GitHub Actions: annotations on stderr, a summary in its file", async () => {
  await withTempFolder(async (folder) => {
    const summary = join(folder, "summary.md");
    await Deno.writeTextFile(summary, "before\n");
    Deno.env.set("GITHUB_ACTIONS", "true");
    Deno.env.set("GITHUB_STEP_SUMMARY", summary);
    try {
      const args = [
        "dataset:digits",
        "--num",
        "60",
        "--reference",
        "dataset:digits",
        "--metrics",
        "fd",
      ];
      const { code, stdout, stderr } = await runEval(...args, "--fail-if", "fd>-1", "--json", "-q");
      strictEqual(code, 3);
      JSON.parse(stdout);
      match(stderr, /^::error title=imm eval::fd is \S+, required <= -1\n/);
      match(stderr, /\n::warning title=imm eval::digits has 60 images for 64 features/);
      match(await Deno.readTextFile(summary), /^before\n### imm eval: failed\n/);
      match((await runEval("dataset:digits")).stderr, /^::error title=imm eval::imm eval needs/);
    } finally {
      Deno.env.delete("GITHUB_ACTIONS");
      Deno.env.delete("GITHUB_STEP_SUMMARY");
    }
  });
});

Deno.test("imm eval stats --shard and merge: the parts together are the whole", async () => {
  await withTempFolder(async (folder) => {
    const at = (name: string) => join(folder, name);
    const stats = async (...args: string[]) => {
      const { code, stderr } = await runEval("stats", ...args, "-q");
      strictEqual(code, 0, stderr);
    };
    for (const i of [1, 2, 3]) {
      await stats("dataset:digits", "--shard", `${i}/3`, "--out", at(`${i}.stats`));
    }
    await stats("dataset:digits", "--out", at("whole.npz"));
    const merge = (...parts: string[]) =>
      runEval("merge", ...parts.map((name) => at(name)), "--out", at("all.npz"), "--overwrite");
    const merged = await merge("3.stats", "1.stats", "2.stats");
    strictEqual(merged.code, 0, merged.stderr);
    match(merged.stdout, /^statistics of 1797 images of 3 parts: /);
    const first = await Deno.readFile(at("all.npz"));
    await merge("1.stats", "2.stats", "3.stats");
    deepStrictEqual(await Deno.readFile(at("all.npz")), first, "in any order");
    const same = await report(at("all.npz"), "--reference", at("whole.npz"));
    ok(Math.abs(same.values.fd) < 1e-9, `${same.values.fd}`);
    deepStrictEqual([same.samples.count, same.reference!.count], [1797, 1797]);
    await writeNpz(at("unknown.npz"), [
      ["mu", { type: "f64", shape: [3], data: new Float64Array(3) }],
      ["sigma", { type: "f64", shape: [3, 3], data: new Float64Array(9) }],
    ]);
    const mixed = await runEval(at("unknown.npz"), "--reference", at("whole.npz"));
    match(mixed.stderr, /unknown.npz holds statistics of 3 features, but the extractor .* has 64/);

    const missing = await merge("1.stats", "3.stats");
    strictEqual(missing.code, 2);
    match(missing.stderr, /part 2 is missing/);
    for (
      const args of [
        ["stats", "dataset:digits", "--out", at("all.npz")],
        ["merge", at("1.stats"), at("2.stats"), at("3.stats"), "--out", at("all.npz")],
      ]
    ) {
      const refused = await runEval(...args);
      match(refused.stderr, /all\.npz is there already; give --overwrite/);
      deepStrictEqual(await Deno.readFile(at("all.npz")), first);
    }
  });
});

Deno.test("imm eval --skip-corrupt: unreadable pictures are named, counted, and left out", async () => {
  await withTempFolder(async (folder) => {
    using digits = await openDigits();
    for (let i = 0; i < 70; i++) {
      const png = encodePng({ width: 8, height: 8, channels: 1, data: digits.image(i) });
      const name = `${i}`.padStart(3, "0") + ".png";
      await Deno.writeFile(join(folder, name), i === 20 || i === 65 ? png.slice(0, 60) : png);
    }
    await Deno.writeTextFile(join(folder, "040.png"), "no picture");
    const args = [folder, "--reference", "dataset:digits"];
    const failed = await runEval(...args);
    strictEqual(failed.code, 1);
    match(failed.stderr, /has 3 images that cannot be read \(.*040.png .*020.png .*065.png /);
    match(failed.stderr, /--skip-corrupt\.\n$/);
    const html = join(folder, "report.html");
    const skipped = await report(...args, "--skip-corrupt", "--html", html);
    deepStrictEqual(skipped.samples, { name: folder, count: 67, skipped: 3 });
    match(skipped.warnings.at(-1)!, /3 images cannot be read and were left out/);
    strictEqual((skipped.inputs.samples.corrupt as string[]).length, 3);
    // Samples and their nearest real images are still those that belong together.
    strictEqual((await Deno.readTextFile(html)).match(/>(class \d, )?0</g)?.length, 8);
  });
});

Deno.test("imm eval --cache: a second run computes nothing again", async () => {
  await withTempFolder(async (folder) => {
    const cache = join(folder, "cache");
    const args = [
      "dataset:digits",
      "--num",
      "200",
      "--reference",
      "dataset:digits",
      "--cache",
      cache,
    ];
    const first = await report(...args);
    strictEqual(first.cached, 0);
    const second = await report(...args);
    strictEqual(second.cached, 200 + 1797);
    deepStrictEqual(second.values, first.values);
    deepStrictEqual(second.inputs, first.inputs);

    const of = async (...args: string[]) => {
      const { code, stdout, stderr } = await runEval("cache", "--cache", cache, ...args);
      strictEqual(code, 0, stderr);
      return stdout;
    };
    const { path: named, files, bytes, removed } = JSON.parse(await of("--json"));
    deepStrictEqual([named, removed.files], [cache, 0]);
    strictEqual(files, Math.ceil(200 / 64) + Math.ceil(1797 / 64));
    match(await of("--limit", String(bytes - 1)), /^removed \d files?, /);
    match(await of("--clear"), /^removed \d+ files, .*\n.*: 0 files, 0 B\n$/);
    deepStrictEqual(await Array.fromAsync(Deno.readDir(cache)), []);
  });
});

Deno.test("imm eval: mistakes are told in one sentence, before any work", async () => {
  await withTempFolder(async (folder) => {
    const at = (name: string) => join(folder, name);
    await Deno.mkdir(at("empty"));
    await Deno.mkdir(at("large"));
    await writeNoise(at("small.npz"), 4, 6);
    const large = { width: 32, height: 32, channels: 3, data: new Uint8Array(32 * 32 * 3) };
    for (const name of ["a.png", "b.png"]) {
      await Deno.writeFile(join(at("large"), name), encodePng(large));
    }
    await Deno.writeTextFile(at("text.onnx"), "no model");
    const reference = ["--reference", "dataset:digits"];
    const cases: [string[], number, RegExp][] = [
      [[], 2, /needs SAMPLES or --checkpoint/],
      [["dataset:digits"], 2, /needs --reference/],
      [["dataset:digits", "dataset:digits", ...reference], 2, /at most 1/],
      [["digts", ...reference], 1, /did you mean "digits"/],
      [[at("nothing"), ...reference], 1, /nothing/],
      [[at("empty"), ...reference], 1, /no pictures/],
      [[at("small.npz"), ...reference], 2, /images of 6x6 with 1 channel, but digits has .* 8x8/],
      [["dataset:digits", "--reference", at("none.npz")], 1, /none\.npz does not exist/],
      [
        [at("large"), "--reference", at("large"), "--weights", at("none.pth")],
        1,
        /none\.pth does not exist/,
      ],
      [["dataset:digits", ...reference, "--pipeline", "clean_fid"], 2, /did you mean "clean-fid"/],
      [["dataset:digits", ...reference, "--metrics", "fid"], 2, /fid needs Inception's features/],
      [
        ["dataset:digits", ...reference, "--pipeline", "fid", "--extractor", "pixels"],
        2,
        /--pipeline is for Inception's features/,
      ],
      [["dataset:digits", ...reference, "--metrics", "df"], 2, /found df; did you mean "f/],
      [["dataset:digits", ...reference, "--metrics", "fd,"], 2, /Metrics are/],
      [
        ["dataset:digits", ...reference, "--fail-if", "fodd>5"],
        2,
        /such as fd<=2.5; found "fodd>5"/,
      ],
      [["dataset:digits", ...reference, "--extractor", "pixel"], 2, /did you mean "pixels"/],
      [["dataset:digits", ...reference, "--extractor", at("text.onnx")], 1, /text\.onnx/],
      [["dataset:digits", ...reference, "--steps", "4"], 2, /give the model with --checkpoint/],
      [
        ["dataset:digits", ...reference, "--sampler", "restart"],
        2,
        /give the model with --checkpoint/,
      ],
      [["dataset:digits", "--checkpoint", "x", ...reference], 2, /either SAMPLES or --checkpoint/],
      [["--checkpoint", at("none"), ...reference], 1, /none does not exist/],
      [["--checkpoint", at("empty"), ...reference], 1, /has no model\.safetensors/],
      [["dataset:digits", ...reference, "--save-stats", at("no/s.npz")], 2, /no of --save-stats/],
      [["dataset:digits", ...reference, "--save-stats", at("s.txt")], 2, /ends in .npz/],
      [
        ["dataset:digits", ...reference, "--num", "2000"],
        2,
        /2000 images, but dataset:digits has 1797/,
      ],
      [
        ["dataset:digits", ...reference, "--save-samples", at("s.npz")],
        2,
        /give it with --checkpoint/,
      ],
      [["stats", "--out", at("s.npz")], 2, /needs either DATA or --checkpoint/],
      [["stats", "dataset:digits"], 2, /needs --out FILE/],
      [
        ["stats", "dataset:digits", "--out", at("s.npz"), "--shard", "1/2"],
        2,
        /write it as .stats/,
      ],
      [
        ["stats", "dataset:digits", "--out", at("s.stats"), "--shard", "3/2"],
        2,
        /part from 1\/2 to 2\/2/,
      ],
      [["stats", "dataset:digits", "--out", at("s.stats"), "--shard", "1/99"], 2, /is empty/],
      [["merge", "--out", at("s.npz")], 2, /needs PART/],
      [["merge", at("small.npz"), "--out", at("s.npz")], 1, /small.npz holds no sums/],
      [
        [at("large"), "--reference", at("large"), "--metrics", "nn", "--extractor", "pixels"],
        2,
        /label for every image, but .*large has none/,
      ],
    ];
    for (const [args, code, pattern] of cases) {
      const result = await runEval(...args);
      strictEqual(result.code, code, `imm eval ${args.join(" ")}: ${result.stderr}`);
      match(result.stderr, /^error: [^\n]+\n$/);
      match(result.stderr, pattern);
      strictEqual(result.stdout, "");
    }
    const names = Array.from(Deno.readDirSync(folder), ({ name }) => name).sort();
    deepStrictEqual(names, ["empty", "large", "small.npz", "text.onnx"], "nothing was written");
  });
});

Deno.test("imm eval: classes are compared by their names, not by their numbers", async () => {
  await withTempFolder(async (folder) => {
    using digits = await openDigits();
    const write = async (set: string, classes: Record<string, number>) => {
      for (const [name, first] of Object.entries(classes)) {
        const path = join(folder, set, name);
        await Deno.mkdir(path, { recursive: true });
        for (let i = first; i < first + 5; i++) {
          const png = encodePng({ width: 8, height: 8, channels: 1, data: digits.image(i) });
          await Deno.writeFile(join(path, `${i}.png`), png);
        }
      }
      return join(folder, set);
    };
    const pets = await write("pets", { cat: 0, dog: 10 });
    const zoo = await write("zoo", { ape: 20, cat: 0, dog: 10 });
    const { values } = await report(pets, "--reference", zoo);
    strictEqual(values.nn_accuracy, 1);
    const gate = ["--fail-if", "nn_accuracy<0.9", "--fail-if", "kd<-1", "-q"];
    const other = await runEval(zoo, "--reference", pets, ...gate);
    strictEqual(other.code, 2);
    match(other.stderr, /zoo has the class ape, which \S+pets has not: \S+ has ape, cat, dog, /);
    const left = await report(zoo, "--reference", pets);
    deepStrictEqual(Object.keys(left.values), ["fd"]);
    match(left.warnings.at(-1)!, /^nn was left out: \S+zoo has the class ape/);
    // The classifier of the digits knows no cats.
    const classified = await runEval(pets, "--reference", zoo, "--extractor", "digits", ...gate);
    strictEqual(classified.code, 0, classified.stderr);
    match(classified.stdout, /class was left out: .* which the classifier has not/);

    // Of 10 and 15 images no subset is all of both; of 10 and 10 every one would be.
    const kd = async (...args: string[]) => await report(...args, "--metrics", "kd", "--no-floor");
    ok((await kd(pets, "--reference", zoo)).values.kd_std > 0);
    deepStrictEqual(Object.keys((await kd(pets, "--reference", pets)).values), ["kd"]);
    const smaller = await kd(pets, "--reference", pets, "--kid-subset-size", "5");
    ok(smaller.values.kd_std > 0);
    const same = await runEval(pets, "--reference", pets, "--fail-if", "fd<0", "-q");
    strictEqual(same.code, 0, same.stderr);
    match(same.stdout, /\nfd +0 \(of 10 images\) /);
  });
});

Deno.test("imm eval: what is found of the images and the model is said before the first is looked at", async () => {
  await withTempFolder(async (folder) => {
    const at = (name: string) => join(folder, name);
    const png = (side: number) =>
      encodePng({ width: side, height: 8, channels: 1, data: new Uint8Array(8 * side) });
    for (const name of ["cat", "dog"]) {
      await Deno.mkdir(at(`pets/${name}`), { recursive: true });
      for (const i of [0, 1]) await Deno.writeFile(at(`pets/${name}/${i}.png`), png(8));
    }
    await Deno.mkdir(at("mixed"));
    for (const side of [8, 12]) await Deno.writeFile(at(`mixed/${side}.png`), png(side));
    const mixed = await runEval(at("mixed"), "--reference", at("pets"), "--extractor", "pixels");
    strictEqual(mixed.code, 2);
    match(mixed.stderr, /mixed has images of different sizes, of which pixels-8x12x1 takes one/);

    // Classes of a model have the names that its training data gave them.
    const model = tinyModel({ imgResolution: 8, labelDim: 2 });
    const file = at("model.safetensors");
    const run = async (classNames: string[], ...args: string[]) => {
      await saveModel(file, { ...model, classNames });
      const metrics = [
        "--metrics",
        "nn",
        "--extractor",
        "pixels",
        "--device",
        "wasm",
        "--no-floor",
      ];
      const options = ["--checkpoint", file, "--reference", at("pets"), "--num", "4", "--json"];
      return await runEval(...options, ...metrics, "--threads", "1", ...args);
    };
    const known = await run(["dog", "cat"]);
    strictEqual(known.code, 0, known.stderr);
    const unknown = await run(["dog", "ape"]);
    strictEqual(unknown.code, 2);
    match(
      unknown.stderr,
      /has the class ape, which \S+pets has not: \S+ in 2 steps has dog, ape, /,
    );
    strictEqual((await run(["dog", "ape"], "--classes", "0")).code, 0, "of what is not made");
  });
});

Deno.test("imm eval: the pipeline of foreign statistics is said, or asked for before any work", async () => {
  await withTempFolder(async (folder) => {
    const [stats, images, floats] = ["stats.npz", "images.npz", "floats.npz"].map((name) =>
      join(folder, name)
    );
    await writeNoise(images, 3, 32);
    const d = 2048;
    const sigma = Float32Array.from({ length: d * d }, (_, i) => Number(i % (d + 1) === 0));
    const write = (mu: Float32Array | Float64Array, compress: boolean) =>
      writeNpz(stats, [
        ["mu", { type: mu instanceof Float32Array ? "f32" : "f64", shape: [d], data: mu }],
        ["sigma", { type: "f32", shape: [d, d], data: sigma }],
      ], { compress });
    const run = (...args: string[]) =>
      runEval(images, "--reference", stats, "--weights", join(folder, "none.pth"), ...args);
    await write(new Float32Array(d), false);
    const unknown = await run();
    strictEqual(unknown.code, 2, unknown.stderr);
    match(
      unknown.stderr,
      /Nothing in \S+stats\.npz tells .*; say it with --pipeline fid, pytorch-/,
    );
    match((await run("--pipeline", "fid")).stderr, /none\.pth does not exist/, "then it goes on");
    await write(new Float64Array(d), true);
    match((await run()).stderr, /none\.pth does not exist/, "pytorch-fid writes such files");
    // Floats are no latents when they have the channels of images.
    await writeNpz(floats, [["arr_0", {
      type: "f32",
      shape: [2, 8, 8, 3],
      data: new Float32Array(384),
    }]]);
    const wrong = await runEval(floats, "--reference", "digits");
    match(wrong.stderr, /holds 8x8x3 floats; images are bytes from 0 to 255/);
  });
});

const devices = await availableDevices();
devices.forEach((device) => device.close());

Deno.test({
  name: "imm eval --checkpoint: as many samples of each class, as imm sample makes them",
  async fn() {
    await withTempFolder(async (folder) => {
      const file = join(folder, "model.safetensors");
      await saveModel(file, tinyModel({ imgResolution: 8, labelDim: 10 }));
      const sampling = ["--checkpoint", folder, "--schedule", "eta:1.4", "--guidance", "1.5"];
      const made = await report(
        ...sampling,
        ...["--num", "40", "--batch", "16", "--reference", "dataset:digits"],
        ...["--extractor", "pixels", "--metrics", "fd,nn"],
      );
      deepStrictEqual(made.samples, { name: `${folder} in 2 steps`, count: 40, skipped: 0 });
      ok(made.values.fd > 1 && Number.isFinite(made.values.fd), "random weights draw no digits");
      ok(made.values.nn_accuracy >= 0 && made.values.nn_accuracy < 0.5);
      match(made.warnings[0], /40 images for 64 features/);
      const { sha256, device, times, ...origin } = made.inputs.samples;
      match(sha256 as string, /^[0-9a-f]{64}$/);
      const automatic = await openDevice();
      automatic.close();
      strictEqual((device as { kind: string }).kind, automatic.kind);
      strictEqual((times as number[]).length, 3);
      deepStrictEqual(origin, {
        kind: "model",
        path: file,
        sampler: "pushforward",
        schedule: "eta:1.4",
        steps: 2,
        guidance: 1.5,
        classes: { kind: "cycle", classes: null },
        seeds: "0-39",
      });

      // The same seeds through files: the same bytes, so the same scores.
      const [samples, kept] = [join(folder, "samples.npz"), join(folder, "kept.npz")];
      await report(
        ...[...sampling, "--num", "40", "--reference", "dataset:digits", "--extractor", "pixels"],
        ...["--save-samples", kept],
      );
      const args = ["sample", ...sampling, "--seeds", "0-39", "--out", samples, "-q"];
      strictEqual(await main(args, { stdout: memorySink(), stderr: memorySink() }), 0);
      deepStrictEqual(await arraysOf(kept), await arraysOf(samples));
      const read = await report(samples, "--reference", "dataset:digits", "--extractor", "pixels");
      deepStrictEqual(read.values, made.values);
      const folderOut = join(folder, "pngs") + "/";
      const pngs = ["sample", ...sampling, "--seeds", "0-39", "--out", folderOut, "-q"];
      strictEqual(await main(pngs, { stdout: memorySink(), stderr: memorySink() }), 0);
      const viewed = await report(
        ...[folderOut, "--reference", "dataset:digits", "--extractor", "pixels"],
      );
      strictEqual(viewed.values.fd, made.values.fd);

      const other = await report(
        ...["--checkpoint", file, "--num", "20", "--seed", "7", "--classes", "none"],
        ...["--reference", "dataset:digits"],
      );
      strictEqual(other.inputs.samples.seeds, "7-26");
      deepStrictEqual(Object.keys(other.values), ["fd"], "without classes there is no accuracy");
    });
  },
});

Deno.test("imm eval --pad-to: a model of padded images is compared with the images as they come", async () => {
  await withTempFolder(async (folder) => {
    const path = join(folder, "padded.npz");
    using digits = await openDataset("digits", { padTo: 10 });
    const data = Uint8Array.from(
      Array.from({ length: 200 }, (_, i) => i).flatMap((i) => [...digits.image(i)]),
    );
    await writeNpz(path, [["arr_0", { type: "u8", shape: [200, 10, 10, 1], data }]]);
    const args = [path, "--reference", "dataset:digits", "--extractor", "pixels", "--no-floor"];
    const refused = await runEval(...args);
    strictEqual(refused.code, 2);
    match(refused.stderr, /8x8.*one size/);
    const { values } = await report(...args, "--pad-to", "10");
    ok(values.fd < 2, `${values.fd}`);
  });
});
