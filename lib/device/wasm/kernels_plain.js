// @ts-self-types="./kernels.d.ts"
// See kernels.js.
import source kernels from "../../../wasm/kernels-plain.wasm";

export { kernels };
