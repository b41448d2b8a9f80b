// @ts-self-types="./kernels.d.ts"
// TypeScript does not know this kind of import yet: the module itself, compiled, so that every
// thread can instantiate it with a memory that all share.
import source kernels from "../../../wasm/kernels.wasm";

export { kernels };
