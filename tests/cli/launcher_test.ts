/**
 * The launcher, run with a PATH that holds only what each test puts there: stand-ins for deno,
 * npm, curl and apt-get that write down how they were called.
 */

import assert from "node:assert/strict";
import { fromFileUrl, join } from "jsr:@std/path@1.0.8";

const launcher = fromFileUrl(import.meta.resolve("../../imm"));
const options = { ignore: Deno.build.os === "windows" };

/** What the launcher itself calls, apart from the programs under test. */
const TOOLS = [
  "sh",
  "sed",
  "dirname",
  "readlink",
  "mkdir",
  "mv",
  "rm",
  "date",
  "mktemp",
  "chmod",
  "uname",
  "ln",
  "cat",
  "cksum",
  "env",
];

const deno = (version: string) =>
  `#!/bin/sh
echo "deno $*" >> "$LOG"
case $1 in
  --version) echo "deno ${version} (stable, release, a-test)" ;;
  eval) case "$*" in *--cached-only*) [ "$JSR_CACHED" = 1 ] ;; *) [ "$JSR_ANSWERS" = 1 ] ;; esac ;;
  *) echo "runs $0"; pwd; for a in "$@"; do echo "[$a]"; done; echo "XDG=$XDG_RUNTIME_DIR"
    echo "called $IMM_PROGRAM" ;;
esac
`;
const npm = `#!/bin/sh
echo "npm $*" >> "$LOG"
mkdir -p "$3/node_modules/@deno/some-platform"
ln "$GOOD_DENO" "$3/node_modules/@deno/some-platform/deno"
`;
const record = (name: string, exit = 0) => `#!/bin/sh\necho "${name} $*" >> "$LOG"\nexit ${exit}\n`;

interface World {
  /** A copy of the launcher's project, in a folder with a space in its name. */
  readonly project: string;
  /** Puts an executable on the PATH. */
  add(name: string, script: string): void;
  /** Runs the launcher, or another name for it. */
  run(args: string[], more?: { env?: Record<string, string>; cwd?: string; as?: string }): Run;
}

interface Run {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
  /** The calls of the stand-ins. */
  readonly log: string;
}

function withWorld(test: (world: World) => void): () => void {
  return () => {
    const root = Deno.makeTempDirSync({ prefix: "imm launcher " });
    try {
      const [project, bin, icd] = ["a project", "bin", "icd"].map((name) => join(root, name));
      for (const folder of [project, bin, icd]) Deno.mkdirSync(folder);
      Deno.copyFileSync(launcher, join(project, "imm"));
      Deno.writeTextFileSync(join(project, "deno.json"), "{}");
      Deno.writeTextFileSync(join(icd, "some.json"), "{}");
      const add = (name: string, script: string, folder = bin) => {
        Deno.writeTextFileSync(join(folder, name), script);
        Deno.chmodSync(join(folder, name), 0o755);
      };
      for (const tool of TOOLS) add(tool, `#!/bin/sh\nexec ${which(tool)} "$@"\n`);
      Deno.removeSync(join(bin, "sh"));
      Deno.symlinkSync("/bin/sh", join(bin, "sh"));
      add("id", "#!/bin/sh\necho 1000\n");
      add("good-deno", deno("2.9.6"), root);
      const log = join(root, "log");
      const run: World["run"] = (
        args,
        { env = {}, cwd = root, as = join(project, "imm") } = {},
      ) => {
        Deno.writeTextFileSync(log, "");
        const result = new Deno.Command(as, {
          args,
          cwd,
          clearEnv: true,
          env: {
            PATH: bin,
            HOME: root,
            LOG: log,
            GOOD_DENO: join(root, "good-deno"),
            IMM_VULKAN_ICD_DIRS: icd,
            LD_LIBRARY_PATH: icd,
            ...env,
          },
        }).outputSync();
        const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes);
        return {
          code: result.code,
          stdout: text(result.stdout),
          stderr: text(result.stderr),
          log: Deno.readTextFileSync(log),
        };
      };
      // The loader's library, where LD_LIBRARY_PATH finds it.
      Deno.writeTextFileSync(join(icd, "libvulkan.so.1"), "");
      test({ project, add, run });
    } finally {
      Deno.removeSync(root, { recursive: true });
    }
  };
}

function which(tool: string): string {
  for (const folder of (Deno.env.get("PATH") ?? "").split(":")) {
    try {
      if (Deno.statSync(join(folder, tool)).isFile) return join(folder, tool);
    } catch {
      // the next folder may have it
    }
  }
  throw new Error(`this test needs ${tool}`);
}

const test = (name: string, body: (world: World) => void) =>
  Deno.test({ name: `the launcher ${name}`, fn: withWorld(body), ...options });

test("runs a new enough Deno from PATH and passes arguments unchanged", (world) => {
  world.add("deno", deno("2.9.0"));
  const { code, stdout, stderr } = world.run(["sample", "two words", "*", ""], {
    env: { IMM_OFFLINE: "0" },
  });
  assert.equal(code, 0);
  assert.equal(stderr, "");
  assert.match(stdout, /\[.*a project\/cli\/main\.ts\]\n\[sample\]\n\[two words\]\n\[\*\]\n\[\]\n/);
  assert.doesNotMatch(stdout, /import-map|allow-net|allow-run|allow-ffi|allow-all/);
});

test("allows eval, and nothing else, to fetch weights from GitHub", (world) => {
  world.add("deno", deno("2.9.0"));
  const { stdout } = world.run(["eval", "samples"], { env: { IMM_OFFLINE: "0" } });
  assert.match(
    stdout,
    /\[--allow-net=github\.com,[a-z.,-]*\]\n\[.*main\.ts\]\n\[eval\]\n\[samples\]\n/,
  );
});

test("allows a run with --dashboard, and no other, to serve this machine", (world) => {
  world.add("deno", deno("2.9.0"));
  const allowed = (...args: string[]) =>
    /--allow-net[^\]]*/.exec(world.run(args, { env: { IMM_OFFLINE: "0" } }).stdout)?.[0];
  assert.equal(allowed("train", "--dashboard", "0"), "--allow-net=127.0.0.1");
  assert.equal(allowed("train", "--preset", "digits", "--dashboard=80"), "--allow-net=127.0.0.1");
  assert.equal(allowed("train", "--out", "my--dashboard"), undefined);
  assert.equal(allowed("sample", "--dashboard", "0"), undefined);
});

test("stays in the folder of the caller and gives Deno a private run-time folder", (world) => {
  world.add("deno", deno("2.10.1"));
  const { stdout } = world.run(["train"], { cwd: world.project, env: { IMM_OFFLINE: "0" } });
  assert.equal(stdout.split("\n")[1], Deno.realPathSync(world.project));
  const folder = /^XDG=(.+)$/m.exec(stdout)![1];
  assert.equal(Deno.statSync(folder).mode! & 0o777, 0o700);
  const kept = world.run(["train"], { env: { IMM_OFFLINE: "0", XDG_RUNTIME_DIR: "/mine" } });
  assert.match(kept.stdout, /^XDG=\/mine$/m);
});

test("finds its project through symbolic links, relative and absolute", (world) => {
  world.add("deno", deno("3.0.0"));
  const outer = join(world.project, "..");
  Deno.symlinkSync("a project/imm", join(outer, "relative"));
  Deno.symlinkSync(join(outer, "relative"), join(outer, "absolute link"));
  const { code, stdout } = world.run(["--help"], {
    as: join(outer, "absolute link"),
    env: { IMM_OFFLINE: "0" },
  });
  assert.equal(code, 0);
  assert.match(stdout, /\/a project\/cli\/main\.ts\]/);
});

test("passes over a Deno that is too old, and installs one from npm once", (world) => {
  for (const old of ["1.46.3", "2.8.9"]) {
    world.add("deno", deno(old));
    world.add("npm", npm);
    const first = world.run(["eval"], { env: { IMM_OFFLINE: "0" } });
    assert.equal(first.code, 0, first.stderr);
    assert.match(first.stderr, /bin\/deno is older than 2\.9/);
    assert.match(first.stdout, /^runs .*\.deno\/npm\/node_modules\/@deno\/some-platform\/deno$/m);
    const second = world.run(["eval"], { env: { IMM_OFFLINE: "0" } });
    assert.equal(second.code, 0);
    assert.doesNotMatch(second.log, /^npm /m);
    Deno.removeSync(join(world.project, ".deno"), { recursive: true });
  }
});

test("leaves no half installation when npm fails, and falls back on Deno's installer", (world) => {
  world.add("npm", `#!/bin/sh\nmkdir -p "$3/node_modules/@deno/half"\nexit 1\n`);
  world.add(
    "curl",
    `#!/bin/sh
while [ "$1" != -o ]; do shift; done
echo 'mkdir -p "$DENO_INSTALL/bin" && ln "$GOOD_DENO" "$DENO_INSTALL/bin/deno"' > "$2"
`,
  );
  const { code, stdout, stderr } = world.run(["eval"], { env: { IMM_OFFLINE: "0" } });
  assert.equal(code, 0, stderr);
  assert.match(stderr, /npm could not install/);
  assert.match(stdout, /^runs .*\.deno\/installer\/bin\/deno$/m);
  const left = [...Deno.readDirSync(join(world.project, ".deno"))].map(({ name }) => name).sort();
  assert.deepEqual(left, ["installer", "packages", "run"]);
});

test("says what to do when Deno cannot be installed", (world) => {
  const nothing = world.run(["eval"]);
  assert.equal(nothing.code, 1);
  assert.equal(nothing.stdout, "");
  assert.match(
    nothing.stderr,
    /^imm: Deno is missing and could not be installed.*npm install --global deno/m,
  );
});

test("installs nothing with IMM_NO_INSTALL=1", (world) => {
  world.add("npm", npm);
  world.add("curl", record("curl"));
  world.add("apt-get", record("apt-get"));
  world.add("id", "#!/bin/sh\necho 0\n");
  const missing = world.run(["eval"], { env: { IMM_NO_INSTALL: "1" } });
  assert.equal(missing.code, 1);
  assert.match(missing.stderr, /IMM_NO_INSTALL=1 forbids/);
  assert.equal(missing.log, "");
  world.add("deno", deno("2.9.6"));
  const env = { IMM_NO_INSTALL: "1", IMM_VULKAN_ICD_DIRS: "/nowhere", IMM_OFFLINE: "0" };
  const driverless = world.run(["test"], { env });
  assert.equal(driverless.code, 0);
  assert.doesNotMatch(driverless.log, /apt-get/);
});

const linux = { ignore: Deno.build.os !== "linux" };

Deno.test(
  "the launcher installs a Vulkan driver as root on Debian",
  linux,
  withWorld((world) => {
    world.add("deno", deno("2.9.6"));
    world.add("apt-get", record("apt-get"));
    world.add("id", "#!/bin/sh\necho 0\n");
    const env = { IMM_VULKAN_ICD_DIRS: "/nowhere", IMM_OFFLINE: "0" };
    const { code, stderr, log } = world.run(["eval", "--device", "webgpu"], { env });
    assert.equal(code, 0);
    assert.match(stderr, /no Vulkan driver.*mesa-vulkan-drivers libvulkan1/);
    assert.match(log, /^apt-get update.*\napt-get install .*mesa-vulkan-drivers libvulkan1$/m);
    assert.match(world.run(["test"], { env }).stderr, /no Vulkan driver/);
    // Nothing is needed where nobody asks for WebGPU.
    for (const args of [["--help"], ["eval"], ["doctor"], ["eval", "--device", "wasm"]]) {
      const { stderr, log } = world.run(args, { env });
      assert.equal(stderr, "");
      assert.doesNotMatch(log, /apt-get/);
    }
  }),
);

Deno.test(
  "the launcher goes on when apt-get fails",
  linux,
  withWorld((world) => {
    world.add("deno", deno("2.9.6"));
    world.add("apt-get", record("apt-get", 100));
    world.add("id", "#!/bin/sh\necho 0\n");
    const env = { IMM_VULKAN_ICD_DIRS: "/nowhere", IMM_OFFLINE: "0" };
    const { code, stdout, stderr } = world.run(["eval", "--device", "webgpu"], { env });
    assert.equal(code, 0);
    assert.match(stderr, /could not install them; going on without/);
    assert.match(stdout, /\[eval\]/);
  }),
);

Deno.test(
  "the launcher only names the packages to whoever is not root",
  linux,
  withWorld((world) => {
    world.add("deno", deno("2.9.6"));
    world.add("apt-get", record("apt-get"));
    const env = { IMM_VULKAN_ICD_DIRS: "/nowhere", IMM_OFFLINE: "0" };
    const { code, stderr, log } = world.run(["eval", "--device", "webgpu"], { env });
    assert.equal(code, 0);
    assert.match(stderr, /mesa-vulkan-drivers libvulkan1/);
    assert.doesNotMatch(log, /apt-get/);
  }),
);

Deno.test(
  "the launcher respects the loader's own variables",
  linux,
  withWorld((world) => {
    world.add("deno", deno("2.9.6"));
    const env = { IMM_VULKAN_ICD_DIRS: "/nowhere", IMM_OFFLINE: "0" };
    const own = join(world.project, "../icd/some.json");
    const found = world.run(["eval", "--device=webgpu"], {
      env: { ...env, VK_ICD_FILENAMES: own },
    });
    assert.equal(found.stderr, "");
    const wrong = world.run(["eval", "--device=webgpu"], {
      env: { ...env, VK_DRIVER_FILES: "/no/such.json" },
    });
    assert.match(wrong.stderr, /VK_DRIVER_FILES or VK_ICD_FILENAMES names no Vulkan driver/);
  }),
);

test("tells the program how it was called", (world) => {
  world.add("deno", deno("2.9.6"));
  const env = { IMM_OFFLINE: "0" };
  const full = world.run(["eval"], { env });
  assert.ok(full.stdout.includes(`called ${join(world.project, "imm")}\n`), full.stdout);
  const PATH = `${join(world.project, "../bin")}:${world.project}`;
  const typed = (command: string) => {
    const { stdout } = new Deno.Command("/bin/sh", {
      args: ["-c", command],
      cwd: world.project,
      clearEnv: true,
      env: { ...env, PATH, HOME: world.project, LOG: "/dev/null" },
    }).outputSync();
    return new TextDecoder().decode(stdout);
  };
  assert.match(typed("./imm eval"), /^called \.\/imm$/m);
  assert.match(typed("imm eval"), /^called imm$/m);
  assert.match(world.run(["test"], { env }).stdout, /^called $/m);
});

test("uses the import map only where JSR does not answer, and asks once", (world) => {
  world.add("deno", deno("2.9.6"));
  const asked = /--cached-only/;
  const offline = world.run(["eval"]);
  assert.match(offline.stdout, /\[--import-map\]\n\[.*a project\/offline\/import_map\.json\]/);
  assert.match(offline.log, asked);
  // The answer is remembered for this registry, and asked anew for another.
  const again = world.run(["eval"], { env: { JSR_ANSWERS: "1" } });
  assert.match(again.stdout, /import-map/);
  assert.doesNotMatch(again.log, asked);
  const other = world.run(["eval"], { env: { JSR_ANSWERS: "1", JSR_URL: "http://mirror/" } });
  assert.doesNotMatch(other.stdout, /import-map/);
  assert.match(other.log, asked);
});

test("asks again after some hours, and trusts what Deno has in its cache", (world) => {
  world.add("deno", deno("2.9.6"));
  world.run(["eval"]);
  const file = join(world.project, ".deno/jsr");
  const [answer, when, where] = Deno.readTextFileSync(file).trim().split(" ");
  assert.deepEqual([answer, where], ["missing", "https://jsr.io"]);
  Deno.writeTextFileSync(file, `missing ${Number(when) - 5 * 3600} ${where}\n`);
  const cached = world.run(["eval"], { env: { JSR_CACHED: "1" } });
  assert.doesNotMatch(cached.stdout, /import-map/);
  assert.match(Deno.readTextFileSync(file), /^answers /);
  Deno.writeTextFileSync(file, "damaged");
  assert.match(world.run(["eval"]).stdout, /import-map/);
});

test("obeys IMM_OFFLINE without asking", (world) => {
  world.add("deno", deno("2.9.6"));
  const offline = world.run(["eval"], { env: { IMM_OFFLINE: "1", JSR_ANSWERS: "1" } });
  assert.match(offline.stdout, /import-map/);
  const online = world.run(["eval"], { env: { IMM_OFFLINE: "0" } });
  assert.doesNotMatch(online.stdout, /import-map/);
  assert.doesNotMatch(offline.log + online.log, /deno eval/);
});

test("runs the tests in the project, with arguments for their runner", (world) => {
  world.add("deno", deno("2.9.6"));
  const { stdout } = world.run(["test", "tests/cli", "--filter", "a b"], {
    env: { IMM_OFFLINE: "1" },
  });
  assert.equal(stdout.split("\n")[1], Deno.realPathSync(world.project));
  assert.match(stdout, /^\[run\]\n\[--config\]\n.*\n\[--import-map\]\n/m);
  assert.match(
    stdout,
    /\[--no-check\]\n\[.*\/tools\/test\.ts\]\n\[tests\/cli\]\n\[--filter\]\n\[a b\]\n/,
  );
});

test("runs other commands of Deno with the project's configuration", (world) => {
  world.add("deno", deno("2.9.6"));
  const check = world.run(["deno", "check", "cli"], { env: { IMM_OFFLINE: "1" } }).stdout;
  assert.match(check, /^\[check\]\n\[--config\]\n.*\n\[--import-map\]\n.*\n\[cli\]\n/m);
  const fmt = world.run(["deno", "fmt", "--check"], { env: { IMM_OFFLINE: "1" } }).stdout;
  assert.match(fmt, /^\[fmt\]\n\[--check\]\n/m);
});

test("works in a project that cannot be written to", (world) => {
  world.add("deno", deno("2.9.6"));
  // A file in the way of the folder stops root, too.
  Deno.writeTextFileSync(join(world.project, ".deno"), "");
  const { code, stdout } = world.run(["eval"]);
  assert.equal(code, 0);
  const folder = /^XDG=(.+)$/m.exec(stdout)![1];
  assert.equal(Deno.statSync(folder).mode! & 0o777, 0o700);
  Deno.removeSync(folder);
});
