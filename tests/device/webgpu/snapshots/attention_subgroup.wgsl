// attention: 16 x 1 x 1 workgroups
// 0: buffer 0 [0, 115200)
// 1: buffer 1 [0, 115200)
// 2: buffer 2 [0, 115200)
// 3: buffer 41 [0, 115200) writable
// 4: buffer 42 [0, 1600) writable
@group(0) @binding(0) var<storage, read> b0: array<vec4<f32>>;
@group(0) @binding(1) var<storage, read> b1: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read> b2: array<vec4<f32>>;
@group(0) @binding(3) var<storage, read_write> b3: array<vec4<f32>>;
@group(0) @binding(4) var<storage, read_write> b4: array<f32>;
fn loadQ(batch: u32, row: u32, head: u32, vector: u32) -> vec4<f32> {
if (vector >= 18u) { return vec4<f32>(0.0); }
return b0[(batch * 14400u + row * 144u + head * 72u + vector * 4u) / 4u];
}
fn loadK(batch: u32, row: u32, head: u32, vector: u32) -> vec4<f32> {
if (vector >= 18u) { return vec4<f32>(0.0); }
return b1[(batch * 14400u + row * 144u + head * 72u + vector * 4u) / 4u];
}
fn loadV(batch: u32, row: u32, head: u32, vector: u32) -> vec4<f32> {
if (vector >= 18u) { return vec4<f32>(0.0); }
return b2[(batch * 14400u + row * 144u + head * 72u + vector * 4u) / 4u];
}
fn storeOut(batch: u32, row: u32, head: u32, vector: u32, value: vec4<f32>) {
if (vector >= 18u) { return; }
let at = ((batch * 100u + row) * 2u + head) * 72u + vector * 4u;
b3[(at) / 4u] = value;
}

var<workgroup> tileX: array<vec4<f32>, 160>;
var<workgroup> tileY: array<vec4<f32>, 160>;

@compute @workgroup_size(128)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) local: u32) {
let number = group.x;
let head = number / 4u % 2u;
let batch = number / 8u;
let lane = local % 4u;
let first = local - lane;
let own = number % 4u * 32u + local / 4u;
let row = min(own, 99u);
let q0 = loadQ(batch, row, head, lane + 0u) * 0.125;
let q1 = loadQ(batch, row, head, lane + 4u) * 0.125;
let q2 = loadQ(batch, row, head, lane + 8u) * 0.125;
let q3 = loadQ(batch, row, head, lane + 12u) * 0.125;
let q4 = loadQ(batch, row, head, lane + 16u) * 0.125;
var o0 = vec4<f32>(0.0);
var o1 = vec4<f32>(0.0);
var o2 = vec4<f32>(0.0);
var o3 = vec4<f32>(0.0);
var o4 = vec4<f32>(0.0);
var top = -3.0e38;
var total = 0.0;
for (var start = 0u; start < 100u; start += 8u) {
for (var i = local; i < 160u; i += 128u) {
let other = start + i / 20u;
if (other < 100u) {
tileX[i] = loadK(batch, other, head, i % 20u);
tileY[i] = loadV(batch, other, head, i % 20u);
} else {
tileX[i] = vec4<f32>(0.0);
tileY[i] = vec4<f32>(0.0);
}
}

workgroupBarrier();
var x0 = dot(q0, tileX[lane + 0u]) + dot(q1, tileX[lane + 4u]) + dot(q2, tileX[lane + 8u]) + dot(q3, tileX[lane + 12u]) + dot(q4, tileX[lane + 16u]);
var x1 = dot(q0, tileX[lane + 20u]) + dot(q1, tileX[lane + 24u]) + dot(q2, tileX[lane + 28u]) + dot(q3, tileX[lane + 32u]) + dot(q4, tileX[lane + 36u]);
var x2 = dot(q0, tileX[lane + 40u]) + dot(q1, tileX[lane + 44u]) + dot(q2, tileX[lane + 48u]) + dot(q3, tileX[lane + 52u]) + dot(q4, tileX[lane + 56u]);
var x3 = dot(q0, tileX[lane + 60u]) + dot(q1, tileX[lane + 64u]) + dot(q2, tileX[lane + 68u]) + dot(q3, tileX[lane + 72u]) + dot(q4, tileX[lane + 76u]);
var x4 = dot(q0, tileX[lane + 80u]) + dot(q1, tileX[lane + 84u]) + dot(q2, tileX[lane + 88u]) + dot(q3, tileX[lane + 92u]) + dot(q4, tileX[lane + 96u]);
var x5 = dot(q0, tileX[lane + 100u]) + dot(q1, tileX[lane + 104u]) + dot(q2, tileX[lane + 108u]) + dot(q3, tileX[lane + 112u]) + dot(q4, tileX[lane + 116u]);
var x6 = dot(q0, tileX[lane + 120u]) + dot(q1, tileX[lane + 124u]) + dot(q2, tileX[lane + 128u]) + dot(q3, tileX[lane + 132u]) + dot(q4, tileX[lane + 136u]);
var x7 = dot(q0, tileX[lane + 140u]) + dot(q1, tileX[lane + 144u]) + dot(q2, tileX[lane + 148u]) + dot(q3, tileX[lane + 152u]) + dot(q4, tileX[lane + 156u]);
x0 = subgroupShuffle(x0, first % 32u + 0u) + subgroupShuffle(x0, first % 32u + 1u) + subgroupShuffle(x0, first % 32u + 2u) + subgroupShuffle(x0, first % 32u + 3u);
x1 = subgroupShuffle(x1, first % 32u + 0u) + subgroupShuffle(x1, first % 32u + 1u) + subgroupShuffle(x1, first % 32u + 2u) + subgroupShuffle(x1, first % 32u + 3u);
x2 = subgroupShuffle(x2, first % 32u + 0u) + subgroupShuffle(x2, first % 32u + 1u) + subgroupShuffle(x2, first % 32u + 2u) + subgroupShuffle(x2, first % 32u + 3u);
x3 = subgroupShuffle(x3, first % 32u + 0u) + subgroupShuffle(x3, first % 32u + 1u) + subgroupShuffle(x3, first % 32u + 2u) + subgroupShuffle(x3, first % 32u + 3u);
x4 = subgroupShuffle(x4, first % 32u + 0u) + subgroupShuffle(x4, first % 32u + 1u) + subgroupShuffle(x4, first % 32u + 2u) + subgroupShuffle(x4, first % 32u + 3u);
x5 = subgroupShuffle(x5, first % 32u + 0u) + subgroupShuffle(x5, first % 32u + 1u) + subgroupShuffle(x5, first % 32u + 2u) + subgroupShuffle(x5, first % 32u + 3u);
x6 = subgroupShuffle(x6, first % 32u + 0u) + subgroupShuffle(x6, first % 32u + 1u) + subgroupShuffle(x6, first % 32u + 2u) + subgroupShuffle(x6, first % 32u + 3u);
x7 = subgroupShuffle(x7, first % 32u + 0u) + subgroupShuffle(x7, first % 32u + 1u) + subgroupShuffle(x7, first % 32u + 2u) + subgroupShuffle(x7, first % 32u + 3u);
let s0 = select(-3.0e38, x0, start + 0u < 100u);
let s1 = select(-3.0e38, x1, start + 1u < 100u);
let s2 = select(-3.0e38, x2, start + 2u < 100u);
let s3 = select(-3.0e38, x3, start + 3u < 100u);
let s4 = select(-3.0e38, x4, start + 4u < 100u);
let s5 = select(-3.0e38, x5, start + 5u < 100u);
let s6 = select(-3.0e38, x6, start + 6u < 100u);
let s7 = select(-3.0e38, x7, start + 7u < 100u);
let higher = max(max(max(max(max(max(max(max(top, s0), s1), s2), s3), s4), s5), s6), s7);
let shrink = exp(top - higher);
top = higher;
let p0 = exp(s0 - higher);
let p1 = exp(s1 - higher);
let p2 = exp(s2 - higher);
let p3 = exp(s3 - higher);
let p4 = exp(s4 - higher);
let p5 = exp(s5 - higher);
let p6 = exp(s6 - higher);
let p7 = exp(s7 - higher);
total = total * shrink + (p0 + p1 + p2 + p3 + p4 + p5 + p6 + p7);
o0 = o0 * shrink + (p0 * tileY[lane + 0u] + p1 * tileY[lane + 20u] + p2 * tileY[lane + 40u] + p3 * tileY[lane + 60u] + p4 * tileY[lane + 80u] + p5 * tileY[lane + 100u] + p6 * tileY[lane + 120u] + p7 * tileY[lane + 140u]);
o1 = o1 * shrink + (p0 * tileY[lane + 4u] + p1 * tileY[lane + 24u] + p2 * tileY[lane + 44u] + p3 * tileY[lane + 64u] + p4 * tileY[lane + 84u] + p5 * tileY[lane + 104u] + p6 * tileY[lane + 124u] + p7 * tileY[lane + 144u]);
o2 = o2 * shrink + (p0 * tileY[lane + 8u] + p1 * tileY[lane + 28u] + p2 * tileY[lane + 48u] + p3 * tileY[lane + 68u] + p4 * tileY[lane + 88u] + p5 * tileY[lane + 108u] + p6 * tileY[lane + 128u] + p7 * tileY[lane + 148u]);
o3 = o3 * shrink + (p0 * tileY[lane + 12u] + p1 * tileY[lane + 32u] + p2 * tileY[lane + 52u] + p3 * tileY[lane + 72u] + p4 * tileY[lane + 92u] + p5 * tileY[lane + 112u] + p6 * tileY[lane + 132u] + p7 * tileY[lane + 152u]);
o4 = o4 * shrink + (p0 * tileY[lane + 16u] + p1 * tileY[lane + 36u] + p2 * tileY[lane + 56u] + p3 * tileY[lane + 76u] + p4 * tileY[lane + 96u] + p5 * tileY[lane + 116u] + p6 * tileY[lane + 136u] + p7 * tileY[lane + 156u]);
workgroupBarrier();
}
if (own < 100u) {
storeOut(batch, row, head, lane + 0u, o0 / total);
storeOut(batch, row, head, lane + 4u, o1 / total);
storeOut(batch, row, head, lane + 8u, o2 / total);
storeOut(batch, row, head, lane + 12u, o3 / total);
storeOut(batch, row, head, lane + 16u, o4 / total);
if (lane == 0u) {
b4[(batch * 2u + head) * 100u + row] = top + log(total);
}
}
}
