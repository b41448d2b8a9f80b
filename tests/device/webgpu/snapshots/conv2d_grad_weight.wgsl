// conv2dGradWeight: 468 x 1 x 1 workgroups
// 0: buffer 0 [0, 131072)
// 1: buffer 1 [0, 262144)
// 2: scratch [0, 958464) writable
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

var<workgroup> tileA: array<vec4<f32>, 128>;
var<workgroup> tileB: array<vec4<f32>, 64>;

@compute @workgroup_size(32)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) local: u32) {
let number = group.x;
let column0 = number % 4u * 16u;
let row0 = number / 4u % 9u * 32u;
let batch = number / 36u % 1u;
let split = number / 36u;
let tx = local % 4u;
let ty = local / 4u;
var c0_0 = vec4<f32>(0.0);
var c1_0 = vec4<f32>(0.0);
var c2_0 = vec4<f32>(0.0);
var c3_0 = vec4<f32>(0.0);
let end = min((split + 1u) * 80u, 1024u);
for (var k0 = split * 80u; k0 < end; k0 += 16u) {
{
let q = local % 8u; let s = local / 8u;
let line = row0 + q * 4u; let k = k0 + s * 4u;
tileA[(s * 4u + 0u) * 8u + q] = loadA(batch, line, k + 0u);
tileA[(s * 4u + 1u) * 8u + q] = loadA(batch, line, k + 1u);
tileA[(s * 4u + 2u) * 8u + q] = loadA(batch, line, k + 2u);
tileA[(s * 4u + 3u) * 8u + q] = loadA(batch, line, k + 3u);
}
if (local < 16u) {
let q = local % 4u; let s = local / 4u;
let line = column0 + q * 4u; let k = k0 + s * 4u;
tileB[(s * 4u + 0u) * 4u + q] = loadB(batch, line, k + 0u);
tileB[(s * 4u + 1u) * 4u + q] = loadB(batch, line, k + 1u);
tileB[(s * 4u + 2u) * 4u + q] = loadB(batch, line, k + 2u);
tileB[(s * 4u + 3u) * 4u + q] = loadB(batch, line, k + 3u);
}
workgroupBarrier();
let atA = ty * 1u; let atB = tx;
{ let a0 = tileA[atA + 0u]; let b0 = tileB[atB + 0u]; c0_0 = fma(vec4<f32>(a0.x), b0, c0_0); c1_0 = fma(vec4<f32>(a0.y), b0, c1_0); c2_0 = fma(vec4<f32>(a0.z), b0, c2_0); c3_0 = fma(vec4<f32>(a0.w), b0, c3_0); }
{ let a0 = tileA[atA + 8u]; let b0 = tileB[atB + 4u]; c0_0 = fma(vec4<f32>(a0.x), b0, c0_0); c1_0 = fma(vec4<f32>(a0.y), b0, c1_0); c2_0 = fma(vec4<f32>(a0.z), b0, c2_0); c3_0 = fma(vec4<f32>(a0.w), b0, c3_0); }
{ let a0 = tileA[atA + 16u]; let b0 = tileB[atB + 8u]; c0_0 = fma(vec4<f32>(a0.x), b0, c0_0); c1_0 = fma(vec4<f32>(a0.y), b0, c1_0); c2_0 = fma(vec4<f32>(a0.z), b0, c2_0); c3_0 = fma(vec4<f32>(a0.w), b0, c3_0); }
{ let a0 = tileA[atA + 24u]; let b0 = tileB[atB + 12u]; c0_0 = fma(vec4<f32>(a0.x), b0, c0_0); c1_0 = fma(vec4<f32>(a0.y), b0, c1_0); c2_0 = fma(vec4<f32>(a0.z), b0, c2_0); c3_0 = fma(vec4<f32>(a0.w), b0, c3_0); }
{ let a0 = tileA[atA + 32u]; let b0 = tileB[atB + 16u]; c0_0 = fma(vec4<f32>(a0.x), b0, c0_0); c1_0 = fma(vec4<f32>(a0.y), b0, c1_0); c2_0 = fma(vec4<f32>(a0.z), b0, c2_0); c3_0 = fma(vec4<f32>(a0.w), b0, c3_0); }
{ let a0 = tileA[atA + 40u]; let b0 = tileB[atB + 20u]; c0_0 = fma(vec4<f32>(a0.x), b0, c0_0); c1_0 = fma(vec4<f32>(a0.y), b0, c1_0); c2_0 = fma(vec4<f32>(a0.z), b0, c2_0); c3_0 = fma(vec4<f32>(a0.w), b0, c3_0); }
{ let a0 = tileA[atA + 48u]; let b0 = tileB[atB + 24u]; c0_0 = fma(vec4<f32>(a0.x), b0, c0_0); c1_0 = fma(vec4<f32>(a0.y), b0, c1_0); c2_0 = fma(vec4<f32>(a0.z), b0, c2_0); c3_0 = fma(vec4<f32>(a0.w), b0, c3_0); }
{ let a0 = tileA[atA + 56u]; let b0 = tileB[atB + 28u]; c0_0 = fma(vec4<f32>(a0.x), b0, c0_0); c1_0 = fma(vec4<f32>(a0.y), b0, c1_0); c2_0 = fma(vec4<f32>(a0.z), b0, c2_0); c3_0 = fma(vec4<f32>(a0.w), b0, c3_0); }
{ let a0 = tileA[atA + 64u]; let b0 = tileB[atB + 32u]; c0_0 = fma(vec4<f32>(a0.x), b0, c0_0); c1_0 = fma(vec4<f32>(a0.y), b0, c1_0); c2_0 = fma(vec4<f32>(a0.z), b0, c2_0); c3_0 = fma(vec4<f32>(a0.w), b0, c3_0); }
{ let a0 = tileA[atA + 72u]; let b0 = tileB[atB + 36u]; c0_0 = fma(vec4<f32>(a0.x), b0, c0_0); c1_0 = fma(vec4<f32>(a0.y), b0, c1_0); c2_0 = fma(vec4<f32>(a0.z), b0, c2_0); c3_0 = fma(vec4<f32>(a0.w), b0, c3_0); }
{ let a0 = tileA[atA + 80u]; let b0 = tileB[atB + 40u]; c0_0 = fma(vec4<f32>(a0.x), b0, c0_0); c1_0 = fma(vec4<f32>(a0.y), b0, c1_0); c2_0 = fma(vec4<f32>(a0.z), b0, c2_0); c3_0 = fma(vec4<f32>(a0.w), b0, c3_0); }
{ let a0 = tileA[atA + 88u]; let b0 = tileB[atB + 44u]; c0_0 = fma(vec4<f32>(a0.x), b0, c0_0); c1_0 = fma(vec4<f32>(a0.y), b0, c1_0); c2_0 = fma(vec4<f32>(a0.z), b0, c2_0); c3_0 = fma(vec4<f32>(a0.w), b0, c3_0); }
{ let a0 = tileA[atA + 96u]; let b0 = tileB[atB + 48u]; c0_0 = fma(vec4<f32>(a0.x), b0, c0_0); c1_0 = fma(vec4<f32>(a0.y), b0, c1_0); c2_0 = fma(vec4<f32>(a0.z), b0, c2_0); c3_0 = fma(vec4<f32>(a0.w), b0, c3_0); }
{ let a0 = tileA[atA + 104u]; let b0 = tileB[atB + 52u]; c0_0 = fma(vec4<f32>(a0.x), b0, c0_0); c1_0 = fma(vec4<f32>(a0.y), b0, c1_0); c2_0 = fma(vec4<f32>(a0.z), b0, c2_0); c3_0 = fma(vec4<f32>(a0.w), b0, c3_0); }
{ let a0 = tileA[atA + 112u]; let b0 = tileB[atB + 56u]; c0_0 = fma(vec4<f32>(a0.x), b0, c0_0); c1_0 = fma(vec4<f32>(a0.y), b0, c1_0); c2_0 = fma(vec4<f32>(a0.z), b0, c2_0); c3_0 = fma(vec4<f32>(a0.w), b0, c3_0); }
{ let a0 = tileA[atA + 120u]; let b0 = tileB[atB + 60u]; c0_0 = fma(vec4<f32>(a0.x), b0, c0_0); c1_0 = fma(vec4<f32>(a0.y), b0, c1_0); c2_0 = fma(vec4<f32>(a0.z), b0, c2_0); c3_0 = fma(vec4<f32>(a0.w), b0, c3_0); }
workgroupBarrier();
}
{
let row = row0 + ty * 4u + 0u;
let column = column0 + (tx + 0u * 4u) * 4u;
{ finish((batch * 288u + row) * 64u + column, split, c0_0); }
}
{
let row = row0 + ty * 4u + 1u;
let column = column0 + (tx + 0u * 4u) * 4u;
{ finish((batch * 288u + row) * 64u + column, split, c1_0); }
}
{
let row = row0 + ty * 4u + 2u;
let column = column0 + (tx + 0u * 4u) * 4u;
{ finish((batch * 288u + row) * 64u + column, split, c2_0); }
}
{
let row = row0 + ty * 4u + 3u;
let column = column0 + (tx + 0u * 4u) * 4u;
{ finish((batch * 288u + row) * 64u + column, split, c3_0); }
}
}

// conv2dGradWeight (combine): 144 x 1 x 1 workgroups
// 0: scratch [0, 958464)
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
let end = min((part + 1u) * 13u, 13u);
for (var step = part * 13u + row; step < end; step += 2u) {
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
