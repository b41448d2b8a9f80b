// moments: 32 x 1 x 1 workgroups
// 0: buffer 0 [0, 131072)
// 1: buffer 1 [0, 128) writable
// 2: buffer 2 [0, 128) writable
@group(0) @binding(0) var<storage, read> b0: array<vec4<f32>>;
@group(0) @binding(1) var<storage, read_write> b1: array<f32>;
@group(0) @binding(2) var<storage, read_write> b2: array<f32>;
var<workgroup> sums: array<f32, 128>;

@compute @workgroup_size(128)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) local: u32) {
let lane = local / 128u; let row = local % 128u;
let unit = group.x * 1u + lane;
let point = min(unit, 31u);
var v0 = vec4<f32>(0.0); var v1 = vec4<f32>(0.0);
var sum = vec4<f32>(0.0);
{
let element = (row + 0u) * 4u;
let ei0 = point / 8u;
let ei1 = (point) % 8u;
let ei2 = element / 4u;
let ei3 = (element) % 4u;
let e0 = b0[(ei0 * 8192u + ei1 * 4u + ei2 * 32u + ei3) / 4u];
v0 = e0; sum += e0;
}
{
let element = (row + 128u) * 4u;
let ei0 = point / 8u;
let ei1 = (point) % 8u;
let ei2 = element / 4u;
let ei3 = (element) % 4u;
let e0 = b0[(ei0 * 8192u + ei1 * 4u + ei2 * 32u + ei3) / 4u];
v1 = e0; sum += e0;
}
var t = (sum.x + sum.y) + (sum.z + sum.w);
sums[local] = t;
workgroupBarrier();
if (row < 64u) {
t = t + sums[local + 64u];
sums[local] = t;
}
workgroupBarrier();
if (row < 32u) {
t = t + sums[local + 32u];
}
t = t + subgroupShuffleDown(t, 16u);
t = t + subgroupShuffleDown(t, 8u);
t = t + subgroupShuffleDown(t, 4u);
t = t + subgroupShuffleDown(t, 2u);
t = t + subgroupShuffleDown(t, 1u);
if (row == 0u) { sums[local] = t; }
workgroupBarrier();
t = sums[local - row * 1u];
let mean = t / 1024.0;
var squares = vec4<f32>(0.0);
{ let d = v0 - mean; squares += d * d; }
{ let d = v1 - mean; squares += d * d; }
t = (squares.x + squares.y) + (squares.z + squares.w);
workgroupBarrier();
sums[local] = t;
workgroupBarrier();
if (row < 64u) {
t = t + sums[local + 64u];
sums[local] = t;
}
workgroupBarrier();
if (row < 32u) {
t = t + sums[local + 32u];
}
t = t + subgroupShuffleDown(t, 16u);
t = t + subgroupShuffleDown(t, 8u);
t = t + subgroupShuffleDown(t, 4u);
t = t + subgroupShuffleDown(t, 2u);
t = t + subgroupShuffleDown(t, 1u);
if (row == 0u) { sums[local] = t; }
workgroupBarrier();
t = sums[local - row * 1u];
let rstd = inverseSqrt(t / 1024.0 + 0.000009999999747378752);
if (row == 0u && unit < 32u) {
b1[point] = mean;
b2[point] = rstd;
}
}
