import { deepStrictEqual, match, ok, strictEqual } from "node:assert/strict";
import {
  checkBaseline,
  checkThresholds,
  joinGates,
  parseBaseline,
  parseThreshold,
  parseTolerances,
} from "../../lib/eval/gate.ts";
import {
  githubAnnotations,
  githubCommand,
  junitError,
  junitReport,
  markdownReport,
} from "../../lib/eval/reports/ci.ts";
import { htmlReport } from "../../lib/eval/reports/html.ts";
import { jsonReport, textReport } from "../../lib/eval/reports/text.ts";
import { EVALUATION } from "../support/examples/evaluation.ts";

Deno.test("textReport shows values, spreads, what was compared and warnings", () => {
  strictEqual(
    textReport(EVALUATION),
    `fd           2.77454             Fréchet distance (lower is better)
kd           0.0044862 ± 0.0018  Kernel distance (lower is better)
nn_accuracy  0.92                Label of the nearest reference image is the condition (higher is better)

samples    samples.npz, 1000 images
reference  digits, 1797 images
features   pixels-8x8x1, 64 (sha256 0123456789ab)
time       1.3 s features, 0.5 s metrics
warning: few images
`,
  );
});

Deno.test("textReport puts the floor beside the values", () => {
  const floor = { fd: 0.25, kd: 0, kd_std: 0.001, nn_accuracy: 0.98 };
  strictEqual(
    textReport({ ...EVALUATION, floor, floorCounts: [500, 1297], warnings: [] }),
    `             samples             real
fd           2.77454             0.25       Fréchet distance (lower is better)
kd           0.0044862 ± 0.0018  0 ± 0.001  Kernel distance (lower is better)
nn_accuracy  0.92                0.98       Label of the nearest reference image is the condition (higher is better)

samples    samples.npz, 1000 images
reference  digits, 1797 images
real       500 random images of the reference against its other 1297
features   pixels-8x8x1, 64 (sha256 0123456789ab)
time       1.3 s features, 0.5 s metrics
`,
  );
});

Deno.test("reports show beside a Fréchet distance that its images are few, and what failed", () => {
  const few = {
    ...EVALUATION,
    values: { fid: 203.44 },
    samples: { ...EVALUATION.samples, count: 200 },
    extractor: { id: "inception-fid", hash: "0123456789abcdef", dimension: 2048 },
    failed: { kid: "The subsets | are too large." },
  };
  match(textReport(few), /^fid {2}203.44 \(of 200 images\) {2}FID/);
  match(textReport(few), /\nnot computed: kid: The subsets \| are too large\.\n/);
  match(markdownReport(few), /\*\*203\.44 \(of 200 images\)\*\*/);
  match(markdownReport(few), /`kid` was not computed: The subsets \\\| are/);
  match(junitReport(few), /tests="2" failures="0" errors="1"/);
  match(htmlReport(few), /203\.44 \(of 200 images\)[^]*kid was not computed/);
  const many = { ...few.samples, count: 50_000 };
  match(textReport({ ...few, samples: many }), /\(of 1797 images\)/, "the reference is small");
  const reference = { ...EVALUATION.reference!, count: 10_000 };
  match(textReport({ ...few, samples: many, reference }), /^fid {2}203.44 {2}FID/);
});

function gate() {
  const baseline = parseBaseline('{"values": {"fd": 2.7, "nn_accuracy": 0.9}}', "last.json");
  return joinGates(
    checkThresholds(EVALUATION, [parseThreshold("fd<=2.5")]),
    checkBaseline(EVALUATION, baseline, parseTolerances(["fd=10%"])),
  );
}

Deno.test("textReport lists what was required and jsonReport holds everything", () => {
  const required = textReport(EVALUATION, gate()).split("\n\n")[1];
  strictEqual(
    required,
    `FAILED  fd is 2.77454, required <= 2.5
ok      fd is 2.77454, required <= 2.97 (2.7 before, 10% tolerated)
ok      nn_accuracy is 0.92, required >= 0.9 (0.9 before, 0% tolerated)`,
  );
  deepStrictEqual(JSON.parse(jsonReport(EVALUATION, gate())), { ...EVALUATION, gate: gate() });
  deepStrictEqual(JSON.parse(jsonReport(EVALUATION)), EVALUATION);
});

Deno.test("textReport tells what was left out, cached, and what the extractor tells", () => {
  const text = textReport({
    ...EVALUATION,
    samples: { name: "photos", count: null, skipped: 2 },
    cached: 64,
    extractor: { ...EVALUATION.extractor, details: { pipeline: "fid", threads: 2 } },
  });
  match(text, /^samples +photos, unknown number of images \(2 left out\)$/m);
  match(text, /^features .*\), pipeline fid, threads 2$/m);
  match(text, /; the features of 64 images were in the cache$/m);
});

Deno.test("junitReport has a test for everything that was required", () => {
  const xml = junitReport({ ...EVALUATION, warnings: ['a < b & "c"\x00'] }, gate());
  match(xml, /^<\?xml version="1.0" encoding="UTF-8"\?>\n<testsuites /);
  match(xml, /<testsuite name="imm eval" tests="3" failures="1" errors="0" time="1.750"/);
  strictEqual(xml.match(/<testcase /g)?.length, 3);
  strictEqual(xml.match(/<failure /g)?.length, 1);
  match(xml, /name="fd &#60;= 2.5"><failure message="fd is 2.77454: FAILED, required &#60;= 2.5"/);
  match(xml, /<property name="warning" value="a &#60; b &#38; &#34;c&#34;\\x00"\/>/);
  match(xml, /<property name="fd" value="2.774541837"\/>/);
});

Deno.test("junitReport without requirements has a test for every value; junitError has one", () => {
  const xml = junitReport(EVALUATION);
  match(xml, /tests="3" failures="0"/);
  match(xml, /name="kd = 0.0044862 ± 0.0018"\/>/);
  match(junitError("no such <file>"), /errors="1"[^]*<error message="no such &#60;file&#62;"/);
});

Deno.test("markdownReport is a table whose cells cannot break it", () => {
  const text = markdownReport({
    ...EVALUATION,
    samples: { ...EVALUATION.samples, name: "a|b\nc" },
  });
  match(text, /^### imm eval\n\n\| metric \| samples \| {2}\|\n\| --- \| ---: \| --- \|\n/);
  match(text, /\n\| `fd` \| \*\*2.77454\*\* \| Fréchet distance \(lower is better\) \|\n/);
  match(text, /\n- samples: a\\\|b\\\\nc, 1000 images\n/);
  match(text, /\n- ⚠️ few images\n/);
  match(markdownReport(EVALUATION, gate()), /^### imm eval: failed\n/);
});

Deno.test("githubAnnotations are commands, escaped", () => {
  deepStrictEqual(githubAnnotations(EVALUATION, gate()), [
    "::error title=imm eval::fd is 2.77454, required <= 2.5",
    "::warning title=imm eval::few images",
  ]);
  strictEqual(
    githubCommand("error", "100%\r\n::set-output"),
    "::error title=imm eval::100%25\\r\\n::set-output",
  );
});

Deno.test("htmlReport is one page that loads nothing and runs nothing", () => {
  const image = (value: number) => ({
    image: { width: 2, height: 2, channels: 1, data: new Uint8Array(4).fill(value) },
    label: value,
  });
  const html = htmlReport(
    { ...EVALUATION, samples: { ...EVALUATION.samples, name: "<script>alert(1)</script>" } },
    {
      gate: gate(),
      gallery: {
        samples: [image(1), image(2), image(3)],
        neighbours: [
          {
            sample: { ...image(1), className: "<cat>" },
            nearest: [{ ...image(7), distance: 0.12345 }],
          },
        ],
        classesLeftOut: { shown: 24, all: 1000 },
      },
    },
  );
  ok(!html.includes("<script"));
  match(html, /<title>imm eval: &#60;script&#62;/);
  match(html, /Failed: 1 of 3 requirements is not met\./);
  const sources = [...html.matchAll(/src="([^"]{0,22})/g)].map(([, source]) => source);
  deepStrictEqual(sources, new Array(3).fill("data:image/png;base64,"), "grid, sample, neighbour");
  ok(!/(?:href|url\()/.test(html));
  match(html, /<figcaption>class 7, 0.123<\/figcaption>/);
  match(html, /<figcaption>&#60;cat&#62;<\/figcaption>/);
  match(html, /They are of 24 of the 1000 classes\./);
  // Every element that is opened is closed, in order.
  const open: string[] = [];
  for (const [, close, tag] of html.matchAll(/<(\/?)([a-z][a-z0-9]*)\b[^>]*>/g)) {
    if (["meta", "img", "br"].includes(tag)) continue;
    if (close) strictEqual(open.pop(), tag);
    else open.push(tag);
  }
  deepStrictEqual(open, []);
});
