/**
 * What some tests need and a machine need not have. Where it is missing they are ignored, never
 * failed; their names then end in what is missing, and the test run ends with a list of them and
 * of the commands that would bring it (`tools/test.ts`). Tests for another system than this one say
 * `ignore: Deno.build.os === …` and need no reason.
 *
 * This module only has words: it looks for nothing, so that the runner can import it.
 *
 * @module
 */

/** What can be missing: what it is, and how to get it. */
const NEEDS = {
  "bash": { what: "the shell bash", get: "apt-get install bash" },
  "chromium": { what: "a browser, Chromium or Chrome", get: "apt-get install chromium" },
  "fish": { what: "the shell fish", get: "apt-get install fish" },
  "zsh": { what: "the shell zsh", get: "apt-get install zsh" },
  "float16": {
    what: "a WebGPU adapter with shader-f16",
    get: "a driver that offers it; ./imm doctor lists the features of the one in use",
  },
  "graphics processor": {
    what: "a graphics processor; on a driver that computes on the processor they take minutes",
    get: "IMM_TEST_FULL=1 ./imm test",
  },
  "env --block-signal": {
    what: "an env that can block signals (GNU coreutils 8.32 or newer), and a free port 9229",
    get: "apt-get install coreutils",
  },
  "pseudo terminals": {
    what: "/dev/ptmx with /dev/pts, to run a shell as at a terminal",
    get: "mount -t devpts devpts /dev/pts",
  },
  "PyTorch": {
    what: "Python with PyTorch, named by IMM_PYTHON or first on PATH",
    get: "pip install torch numpy",
  },
  "mounting": {
    what: "the right to mount a file system, to fill it",
    get: "run the tests as root under Linux, in a container with CAP_SYS_ADMIN",
  },
  "published Inception weights": {
    what: "IMM_TEST_INCEPTION, the path of inception-2015-12-05.pt",
    get: "IMM_TEST_INCEPTION=FILE ./imm test tests/eval",
  },
  "WebGPU": {
    what: "a WebGPU adapter",
    get: "apt-get install mesa-vulkan-drivers libvulkan1",
  },
} as const;

/** One of the things that can be missing: of the table, or a file of expected values. */
export type Need = keyof typeof NEEDS | `fixture ${string}`;

/** What is missing, and how to get it. */
export function describeNeed(need: Need): { readonly what: string; readonly get: string } {
  return need in NEEDS ? NEEDS[need as keyof typeof NEEDS] : {
    what: `${need} in the folder of expected values`,
    get: "IMM_GOLDEN=DIR ./imm test, with a folder that has it",
  };
}

/** A test that is ignored where what it needs is missing, and says so in its name. */
export function needing(
  need: Need,
  available: boolean,
  test: Deno.TestDefinition,
): Deno.TestDefinition {
  return available ? test : { ...test, name: `${test.name} [needs ${need}]`, ignore: true };
}

/** What an ignored test needs, from its name; null for one that does not say. */
export function needOf(name: string): Need | null {
  const [, need] = / \[needs ([^\]]+)\]$/.exec(name) ?? [];
  const isKnown = need !== undefined && (Object.hasOwn(NEEDS, need) || need.startsWith("fixture "));
  return isKnown ? need as Need : null;
}

/** Whether a program is on the PATH; nothing is started. */
export function isInstalled(program: string): boolean {
  const separator = Deno.build.os === "windows" ? ";" : ":";
  return (Deno.env.get("PATH") ?? "").split(separator).filter((folder) => folder !== "").some(
    (folder) => {
      try {
        return Deno.statSync(`${folder}/${program}`).isFile;
      } catch {
        return false;
      }
    },
  );
}
