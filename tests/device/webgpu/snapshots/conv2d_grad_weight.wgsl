// conv2dGradWeight: 40 x 1 x 1 workgroups
// 0: buffer 0 [0, 131072)
// 1: buffer 1 [0, 262144)
// 2: scratch [0, 589824) writable
@group(0) @binding(0) var<storage, read> b0: array<vec4<f32>>;
@group(0) @binding(1) var<storage, read> b1: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read_write> b2: array<vec4<f32>>;
fn loadA(batch: u32, line: u32, k: u32) -> vec4<f32> {
let tap = line / 32u;
let y = i32(k / 16u % 16u * 1u + tap / 3u) - 1;
let x = i32(k % 16u * 1u + tap % 3u) - 1;
let n = k / 256u;
let at = ((n * 16u + u32(y)) * 16u + u32(x)) * 32u + line % 32u;
let inside = (u32(y) < 16u) & (u32(x) < 16u);
return select(vec4<f32>(0.0), b0[(select(0u, at, inside)) / 4u], inside);
}
fn loadB(batch: u32, line: u32, k: u32) -> vec4<f32> {
let at = line + k * 64u;
return b1[(at) / 4u];
}

fn finish(point: u32, split: u32, result: vec4<f32>) {
b2[(split * 18432u + point) / 4u] = result;
}

var<workgroup> tileA: array<vec4<f32>, 256>;
var<workgroup> tileB: array<vec4<f32>, 256>;

@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) local: u32) {
let number = group.x;
let column0 = number % 1u * 64u;
let row0 = number / 1u % 5u * 64u;
let batch = number / 5u % 1u;
let split = number / 5u;
let tx = local % 16u;
let ty = local / 16u;
var c0_0 = vec4<f32>(0.0);
var c1_0 = vec4<f32>(0.0);
var c2_0 = vec4<f32>(0.0);
var c3_0 = vec4<f32>(0.0);
let start = split * 128u;
let end = min(start + 128u, 1024u);
var r0_0 = vec4<f32>(0.0);
var r0_1 = vec4<f32>(0.0);
var r0_2 = vec4<f32>(0.0);
var r0_3 = vec4<f32>(0.0);
if (local < 64u) {
let q = local % 16u; let s = local / 16u;
let line = row0 + q * 4u; let k = start + s * 4u;
r0_0 = loadA(batch, line, k + 0u);
r0_1 = loadA(batch, line, k + 1u);
r0_2 = loadA(batch, line, k + 2u);
r0_3 = loadA(batch, line, k + 3u);
} else if (local < 128u) {
let q = (local - 64u) % 16u; let s = (local - 64u) / 16u;
let line = column0 + q * 4u; let k = start + s * 4u;
r0_0 = loadB(batch, line, k + 0u);
r0_1 = loadB(batch, line, k + 1u);
r0_2 = loadB(batch, line, k + 2u);
r0_3 = loadB(batch, line, k + 3u);
}
for (var k0 = start; k0 < end; k0 += 16u) {
if (local < 64u) {
let q = local % 16u; let s = local / 16u;
tileA[(s * 4u + 0u) * 16u + q] = r0_0;
tileA[(s * 4u + 1u) * 16u + q] = r0_1;
tileA[(s * 4u + 2u) * 16u + q] = r0_2;
tileA[(s * 4u + 3u) * 16u + q] = r0_3;
} else if (local < 128u) {
let q = (local - 64u) % 16u; let s = (local - 64u) / 16u;
tileB[(s * 4u + 0u) * 16u + q] = r0_0;
tileB[(s * 4u + 1u) * 16u + q] = r0_1;
tileB[(s * 4u + 2u) * 16u + q] = r0_2;
tileB[(s * 4u + 3u) * 16u + q] = r0_3;
}
workgroupBarrier();
let next = k0 + 16u;
if (next < end) {
if (local < 64u) {
let q = local % 16u; let s = local / 16u;
let line = row0 + q * 4u; let k = next + s * 4u;
r0_0 = loadA(batch, line, k + 0u);
r0_1 = loadA(batch, line, k + 1u);
r0_2 = loadA(batch, line, k + 2u);
r0_3 = loadA(batch, line, k + 3u);
} else if (local < 128u) {
let q = (local - 64u) % 16u; let s = (local - 64u) / 16u;
let line = column0 + q * 4u; let k = next + s * 4u;
r0_0 = loadB(batch, line, k + 0u);
r0_1 = loadB(batch, line, k + 1u);
r0_2 = loadB(batch, line, k + 2u);
r0_3 = loadB(batch, line, k + 3u);
}
}
let atA = ty * 1u; let atB = tx;
{ let a0 = tileA[atA + 0u]; let b0 = tileB[atB + 0u]; c0_0 = fma(vec4<f32>(a0.x), b0, c0_0); c1_0 = fma(vec4<f32>(a0.y), b0, c1_0); c2_0 = fma(vec4<f32>(a0.z), b0, c2_0); c3_0 = fma(vec4<f32>(a0.w), b0, c3_0); }
{ let a0 = tileA[atA + 16u]; let b0 = tileB[atB + 16u]; c0_0 = fma(vec4<f32>(a0.x), b0, c0_0); c1_0 = fma(vec4<f32>(a0.y), b0, c1_0); c2_0 = fma(vec4<f32>(a0.z), b0, c2_0); c3_0 = fma(vec4<f32>(a0.w), b0, c3_0); }
{ let a0 = tileA[atA + 32u]; let b0 = tileB[atB + 32u]; c0_0 = fma(vec4<f32>(a0.x), b0, c0_0); c1_0 = fma(vec4<f32>(a0.y), b0, c1_0); c2_0 = fma(vec4<f32>(a0.z), b0, c2_0); c3_0 = fma(vec4<f32>(a0.w), b0, c3_0); }
{ let a0 = tileA[atA + 48u]; let b0 = tileB[atB + 48u]; c0_0 = fma(vec4<f32>(a0.x), b0, c0_0); c1_0 = fma(vec4<f32>(a0.y), b0, c1_0); c2_0 = fma(vec4<f32>(a0.z), b0, c2_0); c3_0 = fma(vec4<f32>(a0.w), b0, c3_0); }
{ let a0 = tileA[atA + 64u]; let b0 = tileB[atB + 64u]; c0_0 = fma(vec4<f32>(a0.x), b0, c0_0); c1_0 = fma(vec4<f32>(a0.y), b0, c1_0); c2_0 = fma(vec4<f32>(a0.z), b0, c2_0); c3_0 = fma(vec4<f32>(a0.w), b0, c3_0); }
{ let a0 = tileA[atA + 80u]; let b0 = tileB[atB + 80u]; c0_0 = fma(vec4<f32>(a0.x), b0, c0_0); c1_0 = fma(vec4<f32>(a0.y), b0, c1_0); c2_0 = fma(vec4<f32>(a0.z), b0, c2_0); c3_0 = fma(vec4<f32>(a0.w), b0, c3_0); }
{ let a0 = tileA[atA + 96u]; let b0 = tileB[atB + 96u]; c0_0 = fma(vec4<f32>(a0.x), b0, c0_0); c1_0 = fma(vec4<f32>(a0.y), b0, c1_0); c2_0 = fma(vec4<f32>(a0.z), b0, c2_0); c3_0 = fma(vec4<f32>(a0.w), b0, c3_0); }
{ let a0 = tileA[atA + 112u]; let b0 = tileB[atB + 112u]; c0_0 = fma(vec4<f32>(a0.x), b0, c0_0); c1_0 = fma(vec4<f32>(a0.y), b0, c1_0); c2_0 = fma(vec4<f32>(a0.z), b0, c2_0); c3_0 = fma(vec4<f32>(a0.w), b0, c3_0); }
{ let a0 = tileA[atA + 128u]; let b0 = tileB[atB + 128u]; c0_0 = fma(vec4<f32>(a0.x), b0, c0_0); c1_0 = fma(vec4<f32>(a0.y), b0, c1_0); c2_0 = fma(vec4<f32>(a0.z), b0, c2_0); c3_0 = fma(vec4<f32>(a0.w), b0, c3_0); }
{ let a0 = tileA[atA + 144u]; let b0 = tileB[atB + 144u]; c0_0 = fma(vec4<f32>(a0.x), b0, c0_0); c1_0 = fma(vec4<f32>(a0.y), b0, c1_0); c2_0 = fma(vec4<f32>(a0.z), b0, c2_0); c3_0 = fma(vec4<f32>(a0.w), b0, c3_0); }
{ let a0 = tileA[atA + 160u]; let b0 = tileB[atB + 160u]; c0_0 = fma(vec4<f32>(a0.x), b0, c0_0); c1_0 = fma(vec4<f32>(a0.y), b0, c1_0); c2_0 = fma(vec4<f32>(a0.z), b0, c2_0); c3_0 = fma(vec4<f32>(a0.w), b0, c3_0); }
{ let a0 = tileA[atA + 176u]; let b0 = tileB[atB + 176u]; c0_0 = fma(vec4<f32>(a0.x), b0, c0_0); c1_0 = fma(vec4<f32>(a0.y), b0, c1_0); c2_0 = fma(vec4<f32>(a0.z), b0, c2_0); c3_0 = fma(vec4<f32>(a0.w), b0, c3_0); }
{ let a0 = tileA[atA + 192u]; let b0 = tileB[atB + 192u]; c0_0 = fma(vec4<f32>(a0.x), b0, c0_0); c1_0 = fma(vec4<f32>(a0.y), b0, c1_0); c2_0 = fma(vec4<f32>(a0.z), b0, c2_0); c3_0 = fma(vec4<f32>(a0.w), b0, c3_0); }
{ let a0 = tileA[atA + 208u]; let b0 = tileB[atB + 208u]; c0_0 = fma(vec4<f32>(a0.x), b0, c0_0); c1_0 = fma(vec4<f32>(a0.y), b0, c1_0); c2_0 = fma(vec4<f32>(a0.z), b0, c2_0); c3_0 = fma(vec4<f32>(a0.w), b0, c3_0); }
{ let a0 = tileA[atA + 224u]; let b0 = tileB[atB + 224u]; c0_0 = fma(vec4<f32>(a0.x), b0, c0_0); c1_0 = fma(vec4<f32>(a0.y), b0, c1_0); c2_0 = fma(vec4<f32>(a0.z), b0, c2_0); c3_0 = fma(vec4<f32>(a0.w), b0, c3_0); }
{ let a0 = tileA[atA + 240u]; let b0 = tileB[atB + 240u]; c0_0 = fma(vec4<f32>(a0.x), b0, c0_0); c1_0 = fma(vec4<f32>(a0.y), b0, c1_0); c2_0 = fma(vec4<f32>(a0.z), b0, c2_0); c3_0 = fma(vec4<f32>(a0.w), b0, c3_0); }
workgroupBarrier();
}
{
let row = row0 + ty * 4u + 0u;
let column = column0 + (tx + 0u * 16u) * 4u;
if (row < 288u) { finish((batch * 288u + row) * 64u + column, split, c0_0); }
}
{
let row = row0 + ty * 4u + 1u;
let column = column0 + (tx + 0u * 16u) * 4u;
if (row < 288u) { finish((batch * 288u + row) * 64u + column, split, c1_0); }
}
{
let row = row0 + ty * 4u + 2u;
let column = column0 + (tx + 0u * 16u) * 4u;
if (row < 288u) { finish((batch * 288u + row) * 64u + column, split, c2_0); }
}
{
let row = row0 + ty * 4u + 3u;
let column = column0 + (tx + 0u * 16u) * 4u;
if (row < 288u) { finish((batch * 288u + row) * 64u + column, split, c3_0); }
}
}

// conv2dGradWeight (combine): 144 x 1 x 1 workgroups
// 0: scratch [0, 589824)
// 1: buffer 0 [0, 73728) writable
@group(0) @binding(0) var<storage, read> b0: array<vec4<f32>>;
@group(0) @binding(1) var<storage, read_write> b1: array<vec4<f32>>;
var<workgroup> s0: array<vec4<f32>, 64>;
@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) local: u32) {
let number = group.x;
let part = number / 144u;
let lane = local % 32u; let row = local / 32u;
let unit = (number % 144u) * 32u + lane;
let point = min(unit, 4607u) * 4u;
var a0 = vec4<f32>(0.0);
let end = min((part + 1u) * 8u, 8u);
for (var step = part * 8u + row; step < end; step += 2u) {
let element = step;
let e0 = b0[(point + element * 18432u) / 4u];
a0 = a0 + e0;
}
var r0 = a0;
s0[local] = r0;
workgroupBarrier();
if (row < 1u) {
r0 = r0 + s0[local + 32u];
}
if (row == 0u && unit < 4608u && part < 1u) {
let f0 = r0;
b1[(point) / 4u] = f0;
}
}
