// up: 64 x 1 x 1 workgroups
// 0: buffer 0 [0, 16384)
// 1: buffer 1 [0, 65536) writable
@group(0) @binding(0) var<storage, read> b0: array<vec4<f32>>;
@group(0) @binding(1) var<storage, read_write> b1: array<vec4<f32>>;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) local: u32) {
let thread = group.x * 64u + local;
if (thread >= 4096u) { return; }
let point = thread * 4u;
let c = point % 16u;
let x = point / 16u % 16u;
let y = point / 256u % 16u;
let n = point / 4096u;
var value = vec4<f32>(0.0);
let y0_t = i32(y) + 1; let y0 = y0_t / 2; let y0_in = y0_t >= 0 && y0_t % 2 == 0 && y0 < 8;
let x0_t = i32(x) + 1; let x0 = x0_t / 2; let x0_in = x0_t >= 0 && x0_t % 2 == 0 && x0 < 8;
let y1_t = i32(y) + 0; let y1 = y1_t / 2; let y1_in = y1_t >= 0 && y1_t % 2 == 0 && y1 < 8;
let x1_t = i32(x) + 0; let x1 = x1_t / 2; let x1_in = x1_t >= 0 && x1_t % 2 == 0 && x1 < 8;
let y2_t = i32(y) + -1; let y2 = y2_t / 2; let y2_in = y2_t >= 0 && y2_t % 2 == 0 && y2 < 8;
let x2_t = i32(x) + -1; let x2 = x2_t / 2; let x2_in = x2_t >= 0 && x2_t % 2 == 0 && x2 < 8;
let y3_t = i32(y) + -2; let y3 = y3_t / 2; let y3_in = y3_t >= 0 && y3_t % 2 == 0 && y3 < 8;
let x3_t = i32(x) + -2; let x3 = x3_t / 2; let x3_in = x3_t >= 0 && x3_t % 2 == 0 && x3 < 8;
if (y0_in && x0_in) { value += 0.0625 * b0[(((n * 8u + u32(y0)) * 8u + u32(x0)) * 16u + c) / 4u]; }
if (y0_in && x1_in) { value += 0.1875 * b0[(((n * 8u + u32(y0)) * 8u + u32(x1)) * 16u + c) / 4u]; }
if (y0_in && x2_in) { value += 0.1875 * b0[(((n * 8u + u32(y0)) * 8u + u32(x2)) * 16u + c) / 4u]; }
if (y0_in && x3_in) { value += 0.0625 * b0[(((n * 8u + u32(y0)) * 8u + u32(x3)) * 16u + c) / 4u]; }
if (y1_in && x0_in) { value += 0.1875 * b0[(((n * 8u + u32(y1)) * 8u + u32(x0)) * 16u + c) / 4u]; }
if (y1_in && x1_in) { value += 0.5625 * b0[(((n * 8u + u32(y1)) * 8u + u32(x1)) * 16u + c) / 4u]; }
if (y1_in && x2_in) { value += 0.5625 * b0[(((n * 8u + u32(y1)) * 8u + u32(x2)) * 16u + c) / 4u]; }
if (y1_in && x3_in) { value += 0.1875 * b0[(((n * 8u + u32(y1)) * 8u + u32(x3)) * 16u + c) / 4u]; }
if (y2_in && x0_in) { value += 0.1875 * b0[(((n * 8u + u32(y2)) * 8u + u32(x0)) * 16u + c) / 4u]; }
if (y2_in && x1_in) { value += 0.5625 * b0[(((n * 8u + u32(y2)) * 8u + u32(x1)) * 16u + c) / 4u]; }
if (y2_in && x2_in) { value += 0.5625 * b0[(((n * 8u + u32(y2)) * 8u + u32(x2)) * 16u + c) / 4u]; }
if (y2_in && x3_in) { value += 0.1875 * b0[(((n * 8u + u32(y2)) * 8u + u32(x3)) * 16u + c) / 4u]; }
if (y3_in && x0_in) { value += 0.0625 * b0[(((n * 8u + u32(y3)) * 8u + u32(x0)) * 16u + c) / 4u]; }
if (y3_in && x1_in) { value += 0.1875 * b0[(((n * 8u + u32(y3)) * 8u + u32(x1)) * 16u + c) / 4u]; }
if (y3_in && x2_in) { value += 0.1875 * b0[(((n * 8u + u32(y3)) * 8u + u32(x2)) * 16u + c) / 4u]; }
if (y3_in && x3_in) { value += 0.0625 * b0[(((n * 8u + u32(y3)) * 8u + u32(x3)) * 16u + c) / 4u]; }
b1[(point) / 4u] = value;
}
