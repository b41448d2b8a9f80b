/**
 * Finding a Python with PyTorch.
 *
 * @module
 */

/** The given one, or `IMM_PYTHON`, or `python3`, if it has PyTorch and numpy; else null. */
export async function findPython(given?: string): Promise<string | null> {
  const python = given ?? Deno.env.get("IMM_PYTHON") ?? "python3";
  try {
    const { success } = await new Deno.Command(python, {
      args: ["-c", "import torch, numpy"],
      stdout: "null",
      stderr: "null",
    }).output();
    return success ? python : null;
  } catch {
    return null;
  }
}

/**
 * The environment for a number of threads, without variables that tie its BLAS to another kind of
 * processor.
 */
export function pythonEnvironment(
  threads: number,
): { clearEnv: true; env: Record<string, string> } {
  const { OPENBLAS_CORETYPE: _type, OPENBLAS_L2_SIZE: _size, ...env } = Deno.env.toObject();
  return {
    clearEnv: true,
    env: { ...env, OMP_NUM_THREADS: String(threads), MKL_NUM_THREADS: String(threads) },
  };
}
