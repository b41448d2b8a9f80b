// max: 25 x 1 x 1 workgroups
// 0: buffer 0 [0, 80000)
// 1: buffer 1 [0, 208) writable
@group(0) @binding(0) var<storage, read> b0: array<vec4<f32>>;
@group(0) @binding(1) var<storage, read_write> b1: array<f32>;
var<workgroup> s0: array<f32, 64>;
@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) local: u32) {
let number = group.x;
let part = number / 25u;
let lane = local / 32u; let row = local % 32u;
let unit = (number % 25u) * 2u + lane;
let point = min(unit, 49u);
var a0 = vec4<f32>(bitcast<f32>(0xff800000u));
let end = min((part + 1u) * 100u, 100u);
for (var step = part * 100u + row; step < end; step += 32u) {
let element = step * 4u;
let e0 = b0[(point * 400u + element) / 4u];
a0 = max(a0, e0);
}
var r0 = max((max(a0.x, a0.y)), (max(a0.z, a0.w)));
s0[local] = r0;
workgroupBarrier();
if (row < 16u) {
r0 = max(r0, s0[local + 16u]);
s0[local] = r0;
}
workgroupBarrier();
if (row < 8u) {
r0 = max(r0, s0[local + 8u]);
s0[local] = r0;
}
workgroupBarrier();
if (row < 4u) {
r0 = max(r0, s0[local + 4u]);
s0[local] = r0;
}
workgroupBarrier();
if (row < 2u) {
r0 = max(r0, s0[local + 2u]);
s0[local] = r0;
}
workgroupBarrier();
if (row < 1u) {
r0 = max(r0, s0[local + 1u]);
}
if (row == 0u && unit < 50u && part < 1u) {
let f0 = r0;
b1[point] = f0;
}
}
