// bias gradient: 32 x 1 x 1 workgroups
// 0: buffer 0 [0, 1048576)
// 1: scratch [0, 8192) writable
@group(0) @binding(0) var<storage, read> b0: array<vec4<f32>>;
@group(0) @binding(1) var<storage, read_write> b1: array<vec4<f32>>;
var<workgroup> s0: array<vec4<f32>, 256>;
@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) local: u32) {
let number = group.x;
let part = number / 1u;
let lane = local % 16u; let row = local / 16u;
let unit = (number % 1u) * 16u + lane;
let point = min(unit, 15u) * 4u;
var a0 = vec4<f32>(0.0);
let end = min((part + 1u) * 128u, 4096u);
for (var step = part * 128u + row; step < end; step += 16u) {
let element = step;
let e0 = b0[(point + element * 64u) / 4u];
a0 = a0 + e0;
}
var r0 = a0;
s0[local] = r0;
workgroupBarrier();
if (row < 8u) {
r0 = r0 + s0[local + 128u];
s0[local] = r0;
}
workgroupBarrier();
if (row < 4u) {
r0 = r0 + s0[local + 64u];
s0[local] = r0;
}
workgroupBarrier();
if (row < 2u) {
r0 = r0 + s0[local + 32u];
s0[local] = r0;
}
workgroupBarrier();
if (row < 1u) {
r0 = r0 + s0[local + 16u];
}
if (row == 0u && unit < 16u && part < 32u) {
b1[(part * 64u + point) / 4u] = r0;
}
}

// bias gradient (combine): 1 x 1 x 1 workgroups
// 0: scratch [0, 8192)
// 1: buffer 0 [0, 256) writable
@group(0) @binding(0) var<storage, read> b0: array<vec4<f32>>;
@group(0) @binding(1) var<storage, read_write> b1: array<vec4<f32>>;
var<workgroup> s0: array<vec4<f32>, 128>;
@compute @workgroup_size(128)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) local: u32) {
let number = group.x;
let part = number / 1u;
let lane = local % 16u; let row = local / 16u;
let unit = (number % 1u) * 16u + lane;
let point = min(unit, 15u) * 4u;
var a0 = vec4<f32>(0.0);
let end = min((part + 1u) * 32u, 32u);
for (var step = part * 32u + row; step < end; step += 8u) {
let element = step;
let e0 = b0[(point + element * 64u) / 4u];
a0 = a0 + e0;
}
var r0 = a0;
s0[local] = r0;
workgroupBarrier();
if (row < 4u) {
r0 = r0 + s0[local + 64u];
s0[local] = r0;
}
workgroupBarrier();
if (row < 2u) {
r0 = r0 + s0[local + 32u];
s0[local] = r0;
}
workgroupBarrier();
if (row < 1u) {
r0 = r0 + s0[local + 16u];
}
if (row == 0u && unit < 16u && part < 1u) {
let f0 = r0;
b1[(point) / 4u] = f0;
}
}
