// attention gradient (delta): 50 x 1 x 1 workgroups
// 0: buffer 2 [0, 115200)
// 1: buffer 0 [0, 115200)
// 2: buffer 3 [0, 1600) writable
@group(0) @binding(0) var<storage, read> b0: array<vec4<f32>>;
@group(0) @binding(1) var<storage, read> b1: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read_write> b2: array<f32>;
var<workgroup> s0: array<f32, 64>;
@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) local: u32) {
let number = group.x;
let part = number / 50u;
let lane = local / 8u; let row = local % 8u;
let unit = (number % 50u) * 8u + lane;
let point = min(unit, 399u);
var a0 = vec4<f32>(0.0);
let end = min((part + 1u) * 18u, 18u);
for (var step = part * 18u + row; step < end; step += 8u) {
let element = step * 4u;
let ei0 = point / 200u;
let ei1 = (point / 100u) % 2u;
let ei2 = (point) % 100u;
let e0 = b0[(ei0 * 14400u + ei1 * 72u + ei2 * 144u + element) / 4u];
let e1 = b1[(ei0 * 14400u + ei1 * 72u + ei2 * 144u + element) / 4u];
let e2 = e0 * e1;
a0 = a0 + e2;
}
var r0 = (a0.x + a0.y) + (a0.z + a0.w);
s0[local] = r0;
workgroupBarrier();
if (row < 4u) {
r0 = r0 + s0[local + 4u];
s0[local] = r0;
}
workgroupBarrier();
if (row < 2u) {
r0 = r0 + s0[local + 2u];
s0[local] = r0;
}
workgroupBarrier();
if (row < 1u) {
r0 = r0 + s0[local + 1u];
}
if (row == 0u && unit < 400u && part < 1u) {
let f0 = r0;
b2[point] = f0;
}
}

// attention gradient (dk, dv): 16 x 1 x 1 workgroups
// 0: buffer 0 [0, 115200)
// 1: buffer 45 [0, 115200)
// 2: buffer 1 [0, 115200)
// 3: buffer 2 [0, 115200)
// 4: buffer 44 [0, 1600)
// 5: buffer 46 [0, 1600)
// 6: buffer 48 [0, 115200) writable
// 7: buffer 49 [0, 115200) writable
@group(0) @binding(0) var<storage, read> b0: array<vec4<f32>>;
@group(0) @binding(1) var<storage, read> b1: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read> b2: array<vec4<f32>>;
@group(0) @binding(3) var<storage, read> b3: array<vec4<f32>>;
@group(0) @binding(4) var<storage, read> b4: array<f32>;
@group(0) @binding(5) var<storage, read> b5: array<f32>;
@group(0) @binding(6) var<storage, read_write> b6: array<vec4<f32>>;
@group(0) @binding(7) var<storage, read_write> b7: array<vec4<f32>>;
fn loadQ(batch: u32, row: u32, head: u32, vector: u32) -> vec4<f32> {
if (vector >= 18u) { return vec4<f32>(0.0); }
return b0[(batch * 14400u + row * 144u + head * 72u + vector * 4u) / 4u];
}
fn loadDout(batch: u32, row: u32, head: u32, vector: u32) -> vec4<f32> {
if (vector >= 18u) { return vec4<f32>(0.0); }
return b1[(batch * 14400u + row * 144u + head * 72u + vector * 4u) / 4u];
}
fn loadK(batch: u32, row: u32, head: u32, vector: u32) -> vec4<f32> {
if (vector >= 18u) { return vec4<f32>(0.0); }
return b2[(batch * 14400u + row * 144u + head * 72u + vector * 4u) / 4u];
}
fn loadV(batch: u32, row: u32, head: u32, vector: u32) -> vec4<f32> {
if (vector >= 18u) { return vec4<f32>(0.0); }
return b3[(batch * 14400u + row * 144u + head * 72u + vector * 4u) / 4u];
}
fn storeDk(batch: u32, row: u32, head: u32, vector: u32, value: vec4<f32>) {
if (vector >= 18u) { return; }
let at = ((batch * 100u + row) * 2u + head) * 72u + vector * 4u;
b6[(at) / 4u] = value;
}
fn storeDv(batch: u32, row: u32, head: u32, vector: u32, value: vec4<f32>) {
if (vector >= 18u) { return; }
let at = ((batch * 100u + row) * 2u + head) * 72u + vector * 4u;
b7[(at) / 4u] = value;
}

var<workgroup> tileX: array<vec4<f32>, 96>;
var<workgroup> tileY: array<vec4<f32>, 96>;
var<workgroup> parts: array<f32, 2048>;
var<workgroup> rowX: array<f32, 4>;
var<workgroup> rowY: array<f32, 4>;

@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) local: u32) {
let number = group.x;
let head = number / 4u % 2u;
let batch = number / 8u;
let lane = local % 8u;
let first = local - lane;
let own = number % 4u * 32u + local / 8u;
let row = min(own, 99u);
let k0 = loadK(batch, row, head, lane + 0u);
let v0 = loadV(batch, row, head, lane + 0u);
var dk0 = vec4<f32>(0.0);
var dv0 = vec4<f32>(0.0);
let k1 = loadK(batch, row, head, lane + 8u);
let v1 = loadV(batch, row, head, lane + 8u);
var dk1 = vec4<f32>(0.0);
var dv1 = vec4<f32>(0.0);
let k2 = loadK(batch, row, head, lane + 16u);
let v2 = loadV(batch, row, head, lane + 16u);
var dk2 = vec4<f32>(0.0);
var dv2 = vec4<f32>(0.0);
for (var start = 0u; start < 100u; start += 4u) {
for (var i = local; i < 96u; i += 256u) {
let other = start + i / 24u;
if (other < 100u) {
tileX[i] = loadQ(batch, other, head, i % 24u);
tileY[i] = loadDout(batch, other, head, i % 24u);
} else {
tileX[i] = vec4<f32>(0.0);
tileY[i] = vec4<f32>(0.0);
}
}
if (local < 4u) {
let other = min(start + local, 99u);
let at = (batch * 2u + head) * 100u + other;
rowX[local] = b4[at];
rowY[local] = b5[at];
}
workgroupBarrier();
var x0 = dot(k0, tileX[lane + 0u]) + dot(k1, tileX[lane + 8u]) + dot(k2, tileX[lane + 16u]);
var x1 = dot(k0, tileX[lane + 24u]) + dot(k1, tileX[lane + 32u]) + dot(k2, tileX[lane + 40u]);
var x2 = dot(k0, tileX[lane + 48u]) + dot(k1, tileX[lane + 56u]) + dot(k2, tileX[lane + 64u]);
var x3 = dot(k0, tileX[lane + 72u]) + dot(k1, tileX[lane + 80u]) + dot(k2, tileX[lane + 88u]);
var y0 = dot(v0, tileY[lane + 0u]) + dot(v1, tileY[lane + 8u]) + dot(v2, tileY[lane + 16u]);
var y1 = dot(v0, tileY[lane + 24u]) + dot(v1, tileY[lane + 32u]) + dot(v2, tileY[lane + 40u]);
var y2 = dot(v0, tileY[lane + 48u]) + dot(v1, tileY[lane + 56u]) + dot(v2, tileY[lane + 64u]);
var y3 = dot(v0, tileY[lane + 72u]) + dot(v1, tileY[lane + 80u]) + dot(v2, tileY[lane + 88u]);
parts[local * 8u + 0u] = x0;
parts[local * 8u + 1u] = x1;
parts[local * 8u + 2u] = x2;
parts[local * 8u + 3u] = x3;
parts[local * 8u + 4u] = y0;
parts[local * 8u + 5u] = y1;
parts[local * 8u + 6u] = y2;
parts[local * 8u + 7u] = y3;
workgroupBarrier();
x0 = parts[first * 8u + 0u] + parts[first * 8u + 8u] + parts[first * 8u + 16u] + parts[first * 8u + 24u] + parts[first * 8u + 32u] + parts[first * 8u + 40u] + parts[first * 8u + 48u] + parts[first * 8u + 56u];
x1 = parts[first * 8u + 1u] + parts[first * 8u + 9u] + parts[first * 8u + 17u] + parts[first * 8u + 25u] + parts[first * 8u + 33u] + parts[first * 8u + 41u] + parts[first * 8u + 49u] + parts[first * 8u + 57u];
x2 = parts[first * 8u + 2u] + parts[first * 8u + 10u] + parts[first * 8u + 18u] + parts[first * 8u + 26u] + parts[first * 8u + 34u] + parts[first * 8u + 42u] + parts[first * 8u + 50u] + parts[first * 8u + 58u];
x3 = parts[first * 8u + 3u] + parts[first * 8u + 11u] + parts[first * 8u + 19u] + parts[first * 8u + 27u] + parts[first * 8u + 35u] + parts[first * 8u + 43u] + parts[first * 8u + 51u] + parts[first * 8u + 59u];
y0 = parts[first * 8u + 4u] + parts[first * 8u + 12u] + parts[first * 8u + 20u] + parts[first * 8u + 28u] + parts[first * 8u + 36u] + parts[first * 8u + 44u] + parts[first * 8u + 52u] + parts[first * 8u + 60u];
y1 = parts[first * 8u + 5u] + parts[first * 8u + 13u] + parts[first * 8u + 21u] + parts[first * 8u + 29u] + parts[first * 8u + 37u] + parts[first * 8u + 45u] + parts[first * 8u + 53u] + parts[first * 8u + 61u];
y2 = parts[first * 8u + 6u] + parts[first * 8u + 14u] + parts[first * 8u + 22u] + parts[first * 8u + 30u] + parts[first * 8u + 38u] + parts[first * 8u + 46u] + parts[first * 8u + 54u] + parts[first * 8u + 62u];
y3 = parts[first * 8u + 7u] + parts[first * 8u + 15u] + parts[first * 8u + 23u] + parts[first * 8u + 31u] + parts[first * 8u + 39u] + parts[first * 8u + 47u] + parts[first * 8u + 55u] + parts[first * 8u + 63u];
let p0 = exp(x0 * 0.125 - rowX[0]);
let d0 = p0 * (y0 - rowY[0]);
let p1 = exp(x1 * 0.125 - rowX[1]);
let d1 = p1 * (y1 - rowY[1]);
let p2 = exp(x2 * 0.125 - rowX[2]);
let d2 = p2 * (y2 - rowY[2]);
let p3 = exp(x3 * 0.125 - rowX[3]);
let d3 = p3 * (y3 - rowY[3]);
dv0 += p0 * tileY[lane + 0u] + p1 * tileY[lane + 24u] + p2 * tileY[lane + 48u] + p3 * tileY[lane + 72u];
dk0 += d0 * tileX[lane + 0u] + d1 * tileX[lane + 24u] + d2 * tileX[lane + 48u] + d3 * tileX[lane + 72u];
dv1 += p0 * tileY[lane + 8u] + p1 * tileY[lane + 32u] + p2 * tileY[lane + 56u] + p3 * tileY[lane + 80u];
dk1 += d0 * tileX[lane + 8u] + d1 * tileX[lane + 32u] + d2 * tileX[lane + 56u] + d3 * tileX[lane + 80u];
dv2 += p0 * tileY[lane + 16u] + p1 * tileY[lane + 40u] + p2 * tileY[lane + 64u] + p3 * tileY[lane + 88u];
dk2 += d0 * tileX[lane + 16u] + d1 * tileX[lane + 40u] + d2 * tileX[lane + 64u] + d3 * tileX[lane + 88u];
workgroupBarrier();
}
if (own < 100u) {
storeDk(batch, row, head, lane + 0u, dk0 * 0.125);
storeDv(batch, row, head, lane + 0u, dv0);
storeDk(batch, row, head, lane + 8u, dk1 * 0.125);
storeDv(batch, row, head, lane + 8u, dv1);
storeDk(batch, row, head, lane + 16u, dk2 * 0.125);
storeDv(batch, row, head, lane + 16u, dv2);
}
}

// attention gradient (dq): 16 x 1 x 1 workgroups
// 0: buffer 0 [0, 115200)
// 1: buffer 45 [0, 115200)
// 2: buffer 1 [0, 115200)
// 3: buffer 2 [0, 115200)
// 4: buffer 44 [0, 1600)
// 5: buffer 46 [0, 1600)
// 6: buffer 47 [0, 115200) writable
@group(0) @binding(0) var<storage, read> b0: array<vec4<f32>>;
@group(0) @binding(1) var<storage, read> b1: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read> b2: array<vec4<f32>>;
@group(0) @binding(3) var<storage, read> b3: array<vec4<f32>>;
@group(0) @binding(4) var<storage, read> b4: array<f32>;
@group(0) @binding(5) var<storage, read> b5: array<f32>;
@group(0) @binding(6) var<storage, read_write> b6: array<vec4<f32>>;
fn loadQ(batch: u32, row: u32, head: u32, vector: u32) -> vec4<f32> {
if (vector >= 18u) { return vec4<f32>(0.0); }
return b0[(batch * 14400u + row * 144u + head * 72u + vector * 4u) / 4u];
}
fn loadDout(batch: u32, row: u32, head: u32, vector: u32) -> vec4<f32> {
if (vector >= 18u) { return vec4<f32>(0.0); }
return b1[(batch * 14400u + row * 144u + head * 72u + vector * 4u) / 4u];
}
fn loadK(batch: u32, row: u32, head: u32, vector: u32) -> vec4<f32> {
if (vector >= 18u) { return vec4<f32>(0.0); }
return b2[(batch * 14400u + row * 144u + head * 72u + vector * 4u) / 4u];
}
fn loadV(batch: u32, row: u32, head: u32, vector: u32) -> vec4<f32> {
if (vector >= 18u) { return vec4<f32>(0.0); }
return b3[(batch * 14400u + row * 144u + head * 72u + vector * 4u) / 4u];
}
fn storeDq(batch: u32, row: u32, head: u32, vector: u32, value: vec4<f32>) {
if (vector >= 18u) { return; }
let at = ((batch * 100u + row) * 2u + head) * 72u + vector * 4u;
b6[(at) / 4u] = value;
}

var<workgroup> tileX: array<vec4<f32>, 96>;
var<workgroup> tileY: array<vec4<f32>, 96>;
var<workgroup> parts: array<f32, 2048>;

@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) local: u32) {
let number = group.x;
let head = number / 4u % 2u;
let batch = number / 8u;
let lane = local % 8u;
let first = local - lane;
let own = number % 4u * 32u + local / 8u;
let row = min(own, 99u);
let lse = b4[(batch * 2u + head) * 100u + row];
let delta = b5[(batch * 2u + head) * 100u + row];
let q0 = loadQ(batch, row, head, lane + 0u);
let g0 = loadDout(batch, row, head, lane + 0u);
var dq0 = vec4<f32>(0.0);
let q1 = loadQ(batch, row, head, lane + 8u);
let g1 = loadDout(batch, row, head, lane + 8u);
var dq1 = vec4<f32>(0.0);
let q2 = loadQ(batch, row, head, lane + 16u);
let g2 = loadDout(batch, row, head, lane + 16u);
var dq2 = vec4<f32>(0.0);
for (var start = 0u; start < 100u; start += 4u) {
for (var i = local; i < 96u; i += 256u) {
let other = start + i / 24u;
if (other < 100u) {
tileX[i] = loadK(batch, other, head, i % 24u);
tileY[i] = loadV(batch, other, head, i % 24u);
} else {
tileX[i] = vec4<f32>(0.0);
tileY[i] = vec4<f32>(0.0);
}
}

workgroupBarrier();
var x0 = dot(q0, tileX[lane + 0u]) + dot(q1, tileX[lane + 8u]) + dot(q2, tileX[lane + 16u]);
var x1 = dot(q0, tileX[lane + 24u]) + dot(q1, tileX[lane + 32u]) + dot(q2, tileX[lane + 40u]);
var x2 = dot(q0, tileX[lane + 48u]) + dot(q1, tileX[lane + 56u]) + dot(q2, tileX[lane + 64u]);
var x3 = dot(q0, tileX[lane + 72u]) + dot(q1, tileX[lane + 80u]) + dot(q2, tileX[lane + 88u]);
var y0 = dot(g0, tileY[lane + 0u]) + dot(g1, tileY[lane + 8u]) + dot(g2, tileY[lane + 16u]);
var y1 = dot(g0, tileY[lane + 24u]) + dot(g1, tileY[lane + 32u]) + dot(g2, tileY[lane + 40u]);
var y2 = dot(g0, tileY[lane + 48u]) + dot(g1, tileY[lane + 56u]) + dot(g2, tileY[lane + 64u]);
var y3 = dot(g0, tileY[lane + 72u]) + dot(g1, tileY[lane + 80u]) + dot(g2, tileY[lane + 88u]);
parts[local * 8u + 0u] = x0;
parts[local * 8u + 1u] = x1;
parts[local * 8u + 2u] = x2;
parts[local * 8u + 3u] = x3;
parts[local * 8u + 4u] = y0;
parts[local * 8u + 5u] = y1;
parts[local * 8u + 6u] = y2;
parts[local * 8u + 7u] = y3;
workgroupBarrier();
x0 = parts[first * 8u + 0u] + parts[first * 8u + 8u] + parts[first * 8u + 16u] + parts[first * 8u + 24u] + parts[first * 8u + 32u] + parts[first * 8u + 40u] + parts[first * 8u + 48u] + parts[first * 8u + 56u];
x1 = parts[first * 8u + 1u] + parts[first * 8u + 9u] + parts[first * 8u + 17u] + parts[first * 8u + 25u] + parts[first * 8u + 33u] + parts[first * 8u + 41u] + parts[first * 8u + 49u] + parts[first * 8u + 57u];
x2 = parts[first * 8u + 2u] + parts[first * 8u + 10u] + parts[first * 8u + 18u] + parts[first * 8u + 26u] + parts[first * 8u + 34u] + parts[first * 8u + 42u] + parts[first * 8u + 50u] + parts[first * 8u + 58u];
x3 = parts[first * 8u + 3u] + parts[first * 8u + 11u] + parts[first * 8u + 19u] + parts[first * 8u + 27u] + parts[first * 8u + 35u] + parts[first * 8u + 43u] + parts[first * 8u + 51u] + parts[first * 8u + 59u];
y0 = parts[first * 8u + 4u] + parts[first * 8u + 12u] + parts[first * 8u + 20u] + parts[first * 8u + 28u] + parts[first * 8u + 36u] + parts[first * 8u + 44u] + parts[first * 8u + 52u] + parts[first * 8u + 60u];
y1 = parts[first * 8u + 5u] + parts[first * 8u + 13u] + parts[first * 8u + 21u] + parts[first * 8u + 29u] + parts[first * 8u + 37u] + parts[first * 8u + 45u] + parts[first * 8u + 53u] + parts[first * 8u + 61u];
y2 = parts[first * 8u + 6u] + parts[first * 8u + 14u] + parts[first * 8u + 22u] + parts[first * 8u + 30u] + parts[first * 8u + 38u] + parts[first * 8u + 46u] + parts[first * 8u + 54u] + parts[first * 8u + 62u];
y3 = parts[first * 8u + 7u] + parts[first * 8u + 15u] + parts[first * 8u + 23u] + parts[first * 8u + 31u] + parts[first * 8u + 39u] + parts[first * 8u + 47u] + parts[first * 8u + 55u] + parts[first * 8u + 63u];
let p0 = exp(x0 * 0.125 - lse);
let d0 = p0 * (y0 - delta);
let p1 = exp(x1 * 0.125 - lse);
let d1 = p1 * (y1 - delta);
let p2 = exp(x2 * 0.125 - lse);
let d2 = p2 * (y2 - delta);
let p3 = exp(x3 * 0.125 - lse);
let d3 = p3 * (y3 - delta);
dq0 += d0 * tileX[lane + 0u] + d1 * tileX[lane + 24u] + d2 * tileX[lane + 48u] + d3 * tileX[lane + 72u];
dq1 += d0 * tileX[lane + 8u] + d1 * tileX[lane + 32u] + d2 * tileX[lane + 56u] + d3 * tileX[lane + 80u];
dq2 += d0 * tileX[lane + 16u] + d1 * tileX[lane + 40u] + d2 * tileX[lane + 64u] + d3 * tileX[lane + 88u];
workgroupBarrier();
}
if (own < 100u) {
storeDq(batch, row, head, lane + 0u, dq0 * 0.125);
storeDq(batch, row, head, lane + 8u, dq1 * 0.125);
storeDq(batch, row, head, lane + 16u, dq2 * 0.125);
}
}
