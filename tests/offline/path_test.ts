/** What `@std/path` documents, for the functions that this project uses. */

import assert from "node:assert/strict";
import {
  basename,
  DELIMITER,
  dirname,
  extname,
  format,
  fromFileUrl,
  isAbsolute,
  join,
  normalize,
  parse,
  relative,
  resolve,
  SEPARATOR,
  toFileUrl,
} from "jsr:@std/path@1.0.8";

const posix = { ignore: Deno.build.os === "windows" };

Deno.test("path functions split and join POSIX paths", posix, () => {
  assert.equal(basename("/runs/digits/last.safetensors"), "last.safetensors");
  assert.equal(basename("last.safetensors", ".safetensors"), "last");
  assert.equal(basename("runs/digits//"), "digits");
  assert.equal(dirname("/runs/digits/log"), "/runs/digits");
  assert.equal(dirname("log"), ".");
  assert.equal(extname("images.idx3.gz"), ".gz");
  assert.equal(extname(".profile"), "");
  assert.equal(join("runs", "..", "data", "./x"), "data/x");
  assert.equal(join(), ".");
  assert.equal(normalize("/a//b/../c/"), "/a/c/");
  assert.deepEqual(parse("/a/b.png"), {
    root: "/",
    dir: "/a",
    base: "b.png",
    ext: ".png",
    name: "b",
  });
  assert.equal(format({ dir: "/a", base: "b.png" }), "/a/b.png");
  assert.equal(isAbsolute("/a"), true);
  assert.equal(isAbsolute("a"), false);
  assert.equal(relative("/runs/a", "/runs/b/c"), "../b/c");
  assert.equal(resolve("/runs", "a", "../b"), "/runs/b");
  assert.equal(SEPARATOR, "/");
  assert.equal(DELIMITER, ":");
});

Deno.test("toFileUrl() and fromFileUrl() are each other's inverse", posix, () => {
  assert.equal(toFileUrl("/my runs/100%/é").href, "file:///my%20runs/100%25/%C3%A9");
  assert.equal(fromFileUrl("file:///my%20runs/100%25/%C3%A9"), "/my runs/100%/é");
  assert.equal(fromFileUrl(toFileUrl("/a b#c?d")), "/a b#c?d");
});

Deno.test("toFileUrl() and fromFileUrl() refuse what is not a file's address", () => {
  assert.throws(() => toFileUrl("relative/path"), TypeError);
  assert.throws(() => fromFileUrl("https://example.com/"), TypeError);
});
