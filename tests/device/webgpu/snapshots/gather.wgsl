// embedding: 32 x 1 x 1 workgroups
// 0: buffer 0 [0, 256)
// 1: buffer 1 [0, 1280)
// 2: buffer 2 [0, 8192) writable
@group(0) @binding(0) var<storage, read> b0: array<i32>;
@group(0) @binding(1) var<storage, read> b1: array<f32>;
@group(0) @binding(2) var<storage, read_write> b2: array<f32>;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) local: u32) {
let point = group.x * 64u + local;
if (point >= 2048u) { return; }
let row = point / 32u;
let column = point % 32u;
let entry = b0[row];
var value = 0.0;
if (entry >= 0 && entry < 10) {
value = b1[u32(entry) * 32u + column];
}
b2[point] = value;
}
