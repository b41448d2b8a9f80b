import assert from "node:assert/strict";
import { colourDepth, renderImage } from "../../lib/formats/terminal.ts";

const grey = (width: number, ...values: number[]) => ({
  width,
  height: values.length / width,
  channels: 1,
  data: Uint8Array.from(values),
});

Deno.test("two rows of pixels are one line of half blocks, in 24 bits", () => {
  const image = {
    width: 1,
    height: 2,
    channels: 3,
    data: Uint8Array.of(255, 0, 1, 2, 3, 4),
  };
  assert.equal(
    renderImage(image, { depth: "truecolor" }),
    "\x1b[38;2;255;0;1;48;2;2;3;4m\u2580\x1b[0m\n",
  );
});

Deno.test("colours are not repeated, and an odd last row leaves the background alone", () => {
  assert.equal(
    renderImage(grey(2, 7, 7), { depth: "truecolor" }),
    "\x1b[38;2;7;7;7m\x1b[49m\u2580\u2580\x1b[0m\n",
  );
});

Deno.test("256 colours are the nearest of xterm's cube and greys", () => {
  const index = (...rgb: number[]) => {
    const image = { width: 1, height: 1, channels: 3, data: Uint8Array.from(rgb) };
    return Number(/38;5;(\d+)m/.exec(renderImage(image, { depth: "256" }))![1]);
  };
  assert.equal(index(0, 0, 0), 16);
  assert.equal(index(255, 255, 255), 231);
  assert.equal(index(255, 0, 0), 196);
  assert.equal(index(95, 135, 175), 67);
  assert.equal(index(128, 128, 128), 244);
  assert.equal(index(8, 8, 8), 232);
  assert.equal(index(240, 240, 240), 255);
});

Deno.test("without colours brightness becomes characters, dark to bright", () => {
  assert.equal(renderImage(grey(3, 0, 130, 255, 0, 130, 255), { depth: "none" }), " +@\n");
  assert.equal(renderImage(grey(2, 255, 0, 255, 0), { depth: "none" }), "@\n");
});

Deno.test("a picture wider than the terminal is averaged down", () => {
  const wide = grey(4, 0, 200, 10, 30, 100, 100, 20, 20);
  assert.equal(
    renderImage(wide, { depth: "truecolor", columns: 2 }),
    "\x1b[38;2;100;100;100m\x1b[49m\u2580\x1b[38;2;20;20;20m\x1b[49m\u2580\x1b[0m\n",
  );
});

Deno.test("NO_COLOR, a pipe and a dumb terminal get no colours", () => {
  const depth = (isTerminal: boolean, variables: Record<string, string>) =>
    colourDepth({ isTerminal, get: (name) => variables[name] });
  assert.equal(depth(true, { COLORTERM: "truecolor", TERM: "xterm" }), "truecolor");
  assert.equal(depth(true, { COLORTERM: "24bit" }), "truecolor");
  assert.equal(depth(true, { TERM: "xterm-256color" }), "256");
  assert.equal(depth(true, { TERM: "dumb" }), "none");
  assert.equal(depth(true, {}), "none");
  assert.equal(depth(false, { COLORTERM: "truecolor" }), "none");
  assert.equal(depth(true, { COLORTERM: "truecolor", NO_COLOR: "1" }), "none");
  assert.equal(depth(true, { COLORTERM: "truecolor", NO_COLOR: "" }), "truecolor");
});
