// sum: 25 x 1 x 1 workgroups
// 0: buffer 0 [0, 80000)
// 1: buffer 1 [0, 208) writable
@group(0) @binding(0) var<storage, read> b0: array<vec4<f32>>;
@group(0) @binding(1) var<storage, read_write> b1: array<f32>;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) local: u32) {
let number = group.x;
let part = number / 25u;
let lane = local / 32u; let row = local % 32u;
let unit = (number % 25u) * 2u + lane;
let point = min(unit, 49u);
var a0 = vec4<f32>(0.0);
let end = min((part + 1u) * 100u, 100u);
for (var step = part * 100u + row; step < end; step += 32u) {
let element = step * 4u;
let e0 = b0[(point * 400u + element) / 4u];
a0 = a0 + e0;
}
var r0 = (a0.x + a0.y) + (a0.z + a0.w);
r0 = r0 + subgroupShuffleDown(r0, 16u);
r0 = r0 + subgroupShuffleDown(r0, 8u);
r0 = r0 + subgroupShuffleDown(r0, 4u);
r0 = r0 + subgroupShuffleDown(r0, 2u);
r0 = r0 + subgroupShuffleDown(r0, 1u);
if (row == 0u && unit < 50u && part < 1u) {
let f0 = r0;
b1[point] = f0;
}
}
