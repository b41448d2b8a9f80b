import assert from "node:assert/strict";
import { UsageError } from "../../lib/base/errors.ts";
import {
  formatBytes,
  formatDuration,
  formatRanges,
  formatSize,
  parseRanges,
  parseSize,
} from "../../lib/base/units.ts";

Deno.test("parseSize() reads counts with and without binary suffixes", () => {
  const cases = {
    "0": 0,
    "500": 500,
    "64Ki": 65536,
    "1.5Mi": 1572864,
    "8Mi": 8388608,
    "2Gi": 2 ** 31,
  };
  for (const [text, size] of Object.entries(cases)) {
    assert.equal(parseSize(text, "--n"), size, text);
  }
});

Deno.test("parseSize() refuses what is not a whole number and names the option", () => {
  for (
    const text of ["", "-1", "1e3", "8M", "8mi", "1.3", "0.0001Ki", "Ki", "9007199254740993", " 1"]
  ) {
    assert.throws(() => parseSize(text, "--images"), {
      name: "UsageError",
      message: `--images expects a whole number, as in 500, 64Ki, 1.5Mi or 2Gi, but got "${text}".`,
    }, text);
  }
});

Deno.test("formatSize() writes the shortest exact text", () => {
  const cases = { "0": 0, "1000": 1000, "1Ki": 1024, "3Ki": 3072, "8Mi": 8 * 2 ** 20 };
  for (const [text, size] of Object.entries(cases)) {
    assert.equal(formatSize(size), text);
    assert.equal(parseSize(formatSize(size), "--n"), size);
  }
});

Deno.test("parseRanges() reads numbers and inclusive ranges in the order written", () => {
  assert.deepEqual(parseRanges("0-3,70", "--seeds"), [0, 1, 2, 3, 70]);
  assert.deepEqual(parseRanges("5", "--seeds"), [5]);
  assert.deepEqual(parseRanges("9, 2-2", "--seeds"), [9, 2]);
});

Deno.test("parseRanges() refuses backward, negative, empty and enormous lists", () => {
  for (const text of ["", "3-1", "-1", "1-", "1,,2", "a", "1.5", "0-99999999"]) {
    assert.throws(() => parseRanges(text, "--seeds"), UsageError, text);
  }
});

Deno.test("formatRanges() is read back by parseRanges()", () => {
  assert.equal(formatRanges([0, 1, 2, 3, 70]), "0-3,70");
  assert.equal(formatRanges([4, 3]), "4,3");
  assert.equal(formatRanges([7]), "7");
});

Deno.test("formatDuration() names the two largest units", () => {
  const cases: [number, string][] = [
    [0.2, "0 s"],
    [59.4, "59 s"],
    [60, "1 min"],
    [200, "3 min 20 s"],
    [7500, "2 h 5 min"],
    [273600, "3 d 4 h"],
  ];
  for (const [seconds, text] of cases) assert.equal(formatDuration(seconds), text);
});

Deno.test("formatBytes() uses binary units", () => {
  const cases: [number, string][] = [
    [0, "0 B"],
    [1023, "1023 B"],
    [1536, "1.5 KiB"],
    [128 * 2 ** 20, "128 MiB"],
    [2 ** 31, "2.0 GiB"],
  ];
  for (const [bytes, text] of cases) assert.equal(formatBytes(bytes), text);
});
