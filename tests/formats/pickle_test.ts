import assert from "node:assert/strict";
import { FormatError } from "../../lib/base/errors.ts";
import {
  bytesOfPickle,
  PickleBytes,
  PickleGlobal,
  type PickleGlobals,
  PickleObject,
  readPickle,
} from "../../lib/formats/torch/pickle.ts";
import { inert, PickleArray, PYTHON_GLOBALS } from "../../lib/formats/torch/pickle_globals.ts";
import { toFloat64 } from "../../lib/formats/arrays/numeric.ts";
import { bytesSource } from "../../lib/formats/source.ts";
import { fuzz } from "../support/formats/fuzz.ts";
import { fixtures } from "./torch_fixtures.ts";

const NAME = "data.pkl";

function read(bytes: Uint8Array, globals: PickleGlobals = PYTHON_GLOBALS): unknown {
  return readPickle(bytesSource(bytes, NAME), { globals }).value;
}

/** A pickle in text, with \\x escapes as JavaScript has them. */
function pickle(text: string): Uint8Array {
  return Uint8Array.from(text, (character) => character.charCodeAt(0));
}

function refuses(bytes: Uint8Array, message: RegExp): void {
  assert.throws(() => read(bytes), (error) => {
    assert(error instanceof FormatError, String(error));
    assert.match(error.message, message);
    assert.match(error.message, /data\.pkl/);
    return true;
  });
}

/** Replaces lazily read bytes by what they are, so that values can be compared. */
function plain(value: unknown): unknown {
  if (value instanceof PickleBytes) return [...value.read()];
  if (Array.isArray(value)) return value.map(plain);
  if (value instanceof Map) return new Map([...value].map(([k, v]) => [k, plain(v)]));
  return value;
}

for (const protocol of [0, 1, 2, 3, 4, 5] as const) {
  Deno.test(`protocol ${protocol}: every plain value of Python is read`, () => {
    const value = read(fixtures[`plain${protocol}`]) as Map<string, unknown>;
    const shared = [1];
    assert.deepEqual(
      plain(value),
      new Map<string, unknown>([
        ["none", null],
        ["yes", true],
        ["no", false],
        ["int", -5],
        ["word", 70000],
        ["long", 2 ** 40],
        ["big", -(2n ** 70n)],
        ["float", -0.1],
        ["inf", Infinity],
        ["text", "é\n\u{1f600}"],
        ["long text", "ab".repeat(200)],
        ["bytes", [0, 255]],
        ["many bytes", Array.from({ length: 512 }, (_, i) => i % 256)],
        ["list", [1, [2, [3]], []]],
        ["tuples", [[], [1], [1, 2], [1, 2, 3], [1, 2, 3, 4]]],
        ["dict", new Map<unknown, unknown>([[1, 2], ["k", new Map([["deep", [null]]])]])],
        ["ordered", new Map([["a", 1], ["b", 2]])],
        ["set", new Set([1, 2, 3])],
        ["frozen", new Set([4])],
        ["twice", [shared, shared]],
      ]),
    );
    const [first, second] = value.get("twice") as unknown[];
    assert.equal(first, second, "one object that is used twice stays one");
  });
}

Deno.test("protocol 5: a bytearray is read", () => {
  assert.deepEqual(bytesOfPickle(read(fixtures.bytearray5)), Uint8Array.of(97, 98, 99));
});

for (const fixture of ["numpy0", "numpy1", "numpy2", "numpy4", "numpy5"] as const) {
  Deno.test(`arrays of ${fixture} have their shapes, types and byte orders`, () => {
    const arrays = read(fixtures[fixture]) as Map<string, unknown>;
    const values = (name: string) => {
      const array = arrays.get(name);
      assert(array instanceof PickleArray, name);
      return [array.type, array.shape, [...toFloat64(array.read(), array.type!)]];
    };
    assert.deepEqual(values("f4"), ["f32", [2, 3], [0, 0.5, 1, 1.5, 2, 2.5]]);
    assert.deepEqual(values("big"), ["i32", [3], [0, 1, 2]]);
    assert.deepEqual(values("fortran"), ["f64", [2, 3], [0, 1, 2, 3, 4, 5]]);
    assert.deepEqual(values("u1"), ["u8", [4], [0, 1, 2, 3]]);
    assert.deepEqual(values("half"), ["f16", [2], [1.5, -2]]);
    assert.deepEqual(values("bool"), ["bool", [2], [1, 0]]);
    assert.deepEqual(values("zero-d"), ["i16", [], [7]]);
    assert.equal(arrays.get("scalar"), 1.5);
    assert.equal(arrays.get("count"), -3);
    const objects = arrays.get("objects") as PickleArray;
    assert.equal(objects.type, null);
    assert.throws(() => objects.read(), /does not hold numbers/);
  });
}

Deno.test("a batch of CIFAR-10, as Python 2 wrote it, is read with its strings as latin1", () => {
  const batch = read(fixtures.cifar) as Map<string, unknown>;
  assert.equal(batch.get("batch_label"), "training batch 1 of 5");
  assert.deepEqual(batch.get("labels"), [6, 9]);
  assert.deepEqual(batch.get("filenames"), ["frog_é.png", "truck.png"]);
  const data = batch.get("data") as PickleArray;
  assert.deepEqual(data.shape, [2, 768]);
  assert.deepEqual([...data.read().subarray(0, 30)], Array.from({ length: 30 }, (_, i) => i % 24));
});

Deno.test("several pickles in one file are read one after the other", () => {
  const source = bytesSource(pickle("K\x01.I2\n.\x80\x02X\x03\0\0\0end.rest"), NAME);
  const values: unknown[] = [];
  let end = 0;
  while (values.length < 3) {
    const next = readPickle(source, { globals: PYTHON_GLOBALS }, end);
    values.push(next.value);
    end = next.end;
  }
  assert.deepEqual(values, [1, 2, "end"]);
  assert.equal(end, source.size - "rest".length);
});

Deno.test("objects keep their class, arguments and state, whatever the opcode that made them", () => {
  const globals: PickleGlobals = (name) =>
    name === "lib.Thing" ? inert(name) : PYTHON_GLOBALS(name);
  const ways = {
    reduce: "clib\nThing\n(K\x07tR}U\x01aK\x01sb.",
    newobj: "clib\nThing\n(K\x07t\x81}U\x01aK\x01sb.",
    newobjEx: "clib\nThing\n(K\x07t}\x92}U\x01aK\x01sb.",
    inst: "(K\x07ilib\nThing\n}U\x01aK\x01sb.",
    obj: "(clib\nThing\nK\x07o}U\x01aK\x01sb.",
    stackGlobal: "\x8c\x03lib\x8c\x05Thing\x93K\x07\x85R}U\x01aK\x01sb.",
  };
  for (const [way, text] of Object.entries(ways)) {
    const object = read(pickle(text), globals);
    assert(object instanceof PickleObject, way);
    assert.deepEqual([object.type, object.args, object.attribute("a")], ["lib.Thing", [7], 1], way);
  }
  const old = read(
    pickle("ccopy_reg\n_reconstructor\n(clib\nThing\nc__builtin__\nobject\nNtR}U\x01aK\x01sb."),
    globals,
  );
  assert(old instanceof PickleObject);
  assert.equal(old.attribute("a"), 1);
});

Deno.test("a name that is not in the table is an error that names it, and nothing is called", () => {
  refuses(
    pickle("cos\nsystem\n(U\x02lstR."),
    /needs "os\.system", which does things when Python opens/,
  );
  refuses(pickle("clib\nThing\n."), /needs "lib\.Thing", which is not among the names/);
  refuses(pickle("c__builtin__\neval\n(U\x011tR."), /"builtins\.eval"/);
  refuses(pickle("cbuiltins\ngetattr\n."), /"builtins\.getattr"/);
  refuses(pickle("\x8c\x02os\x8c\x06system\x93."), /"os\.system"/);
  refuses(pickle("(U\x02lsios\nsystem\n."), /"os\.system"/);
  refuses(pickle("cnumpy.core.multiarray\ntoString\n."), /toString/);
  refuses(pickle("c__proto__\nconstructor\n."), /"__proto__\.constructor"/);
});

Deno.test("names that are values cannot be called, and values are no functions", () => {
  assert((read(pickle("cnumpy\nndarray\n.")) as PickleGlobal) instanceof PickleGlobal);
  refuses(pickle("cnumpy\nndarray\n)R."), /it calls numpy\.ndarray/);
  refuses(pickle("K\x01)R."), /calls what is no function/);
  refuses(pickle("ccollections\nOrderedDict\nK\x01R."), /arguments of a call are no tuple/);
  refuses(pickle("c_codecs\nencode\n(U\x01aU\x05rot13tR."), /_codecs\.encode: expected a text/);
});

Deno.test("hostile pickles end in an error, not in memory", () => {
  refuses(pickle("\x8d\xff\xff\xff\xff\xff\xff\x0f\0."), /more than the/);
  refuses(pickle("\x8d\xff\xff\xff\xff\xff\xff\xff\xff."), /no possible length/);
  refuses(pickle("X\xff\xff\xff\x0fabc."), /truncated or corrupt/);
  refuses(pickle("\x8b\xff\xff\xff\xff."), /more than the/);
  refuses(pickle("\x8e\xff\xff\xff\xff\0\0\0\0."), /truncated or corrupt/);
  refuses(pickle("L" + "9".repeat(5000) + "L\n."), /is no number/);
  refuses(pickle("I" + "9".repeat(2 ** 20 + 2)), /does not end/);
  assert.throws(
    () =>
      readPickle(bytesSource(pickle("N0".repeat(600)), NAME), {
        globals: PYTHON_GLOBALS,
        maxInstructions: 1000,
      }),
    /data\.pkl has a pickle of more than 1000 instructions/,
  );
  // A list in itself, and lists of lists that double 40 times: both stay as small as they are.
  const self = read(pickle("]q\0h\0a.")) as unknown[];
  assert.equal(self[0], self);
  const laughs = read(pickle("]q\0" + "0(h\0h\0lq\0".repeat(40) + ".")) as unknown[][];
  assert.equal(laughs[0], laughs[1]);
});

Deno.test("damaged pickles say what is wrong", () => {
  refuses(pickle("."), /takes more objects than it made/);
  refuses(pickle("K\x01K\x02."), /ends with objects that belong to nothing/);
  refuses(pickle("(K\x01."), /ends with objects that belong to nothing/);
  refuses(pickle("t."), /a mark that it did not set/);
  refuses(pickle("K\x01h\x05."), /recalls object 5/);
  refuses(pickle("N}a."), /appends to what is no list/);
  refuses(pickle("}(K\x01u."), /a key has no value/);
  refuses(pickle("]K\x01K\x02s."), /items of what is no dictionary/);
  refuses(pickle("\x80\x06N."), /protocol 6; known are 0 to 5/);
  refuses(pickle("\xff"), /0xff at byte 0 is no instruction/);
  refuses(pickle("\x82\x01."), /extension registry/);
  refuses(pickle("\x97."), /outside of its pickle/);
  refuses(pickle("K\x01Q."), /refers to objects outside/);
  refuses(pickle("Sabc\n."), /has no quotes/);
  refuses(pickle("V\\UFFFFFFFF\n."), /beyond the last/);
  refuses(new Uint8Array(0), /truncated or corrupt/);
  const array = (state: string) =>
    pickle(
      "cnumpy.core.multiarray\n_reconstruct\n(cnumpy\nndarray\n(K\0tU\x01btR(K\x01" + state + "tb.",
    );
  const dtype = "cnumpy\ndtype\n(U\x02u1K\0K\x01tR";
  refuses(array("(K\x09t" + dtype + "\x89U\x03abc"), /needs 9 bytes, found 3/);
  refuses(array("(J\xff\xff\xff\xfft" + dtype + "\x89U\x03abc"), /no tuple of lengths/);
  refuses(array("(K\x03tN\x89U\x03abc"), /no element type/);
});

Deno.test("randomly damaged pickles are read or refused in an orderly way", async () => {
  for (const fixture of ["plain0", "plain2", "plain5", "numpy2", "numpy5"] as const) {
    const { refused } = await fuzz(fixtures[fixture], NAME, 300, (bytes) => {
      readPickle(bytesSource(bytes, NAME), { globals: PYTHON_GLOBALS, maxInstructions: 10_000 });
    });
    assert(refused > 0);
  }
});
