/** The compiled module of wasm/kernels. */
export const kernels: WebAssembly.Module;
