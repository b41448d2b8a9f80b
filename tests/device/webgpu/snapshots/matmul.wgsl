// linear: 8 x 1 x 1 workgroups
// 0: buffer 0 [0, 80000)
// 1: buffer 1 [0, 7680)
// 2: buffer 2 [0, 192)
// 3: buffer 3 [0, 96000) writable
@group(0) @binding(0) var<storage, read> b0: array<vec4<f32>>;
@group(0) @binding(1) var<storage, read> b1: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read> b2: array<vec4<f32>>;
@group(0) @binding(3) var<storage, read_write> b3: array<vec4<f32>>;
fn imm_sigmoid4(x: vec4<f32>) -> vec4<f32> {
  return 1.0 / (1.0 + exp(min(-x, vec4<f32>(88.0))));
}
fn loadA(batch: u32, line: u32, k: u32) -> vec4<f32> {
let at = line * 40u + k;
let inside = k < 40u;
return select(vec4<f32>(0.0), b0[(select(0u, at, inside)) / 4u], inside);
}
fn loadB(batch: u32, line: u32, k: u32) -> vec4<f32> {
let at = line * 40u + k;
let inside = k < 40u;
return select(vec4<f32>(0.0), b1[(select(0u, at, inside)) / 4u], inside);
}

fn finish(point: u32, split: u32, result: vec4<f32>) {
let e0 = result;
let ei1 = (point) % 48u;
let e1 = b2[(ei1) / 4u];
let e2 = e0 + e1;
let e3 = imm_sigmoid4(e2);
b3[(point) / 4u] = e3;
}

var<workgroup> tileA: array<vec4<f32>, 256>;
var<workgroup> tileB: array<vec4<f32>, 256>;

@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) local: u32) {
let number = group.x;
let column0 = number % 1u * 64u;
let row0 = number / 1u % 8u * 64u;
let batch = number / 8u % 1u;
let split = number / 8u;
let tx = local % 16u;
let ty = local / 16u;
var c0_0 = vec4<f32>(0.0);
var c1_0 = vec4<f32>(0.0);
var c2_0 = vec4<f32>(0.0);
var c3_0 = vec4<f32>(0.0);
let start = split * 48u;
let end = min(start + 48u, 40u);
var r0_0 = vec4<f32>(0.0);
var r0_1 = vec4<f32>(0.0);
var r0_2 = vec4<f32>(0.0);
var r0_3 = vec4<f32>(0.0);
if (local < 64u) {
let q = local / 4u; let s = local % 4u;
let line = row0 + q * 4u; let k = start + s * 4u;
r0_0 = loadA(batch, line + 0u, k);
r0_1 = loadA(batch, line + 1u, k);
r0_2 = loadA(batch, line + 2u, k);
r0_3 = loadA(batch, line + 3u, k);
} else if (local < 128u) {
let q = (local - 64u) / 4u; let s = (local - 64u) % 4u;
let line = column0 + q * 4u; let k = start + s * 4u;
r0_0 = loadB(batch, line + 0u, k);
r0_1 = loadB(batch, line + 1u, k);
r0_2 = loadB(batch, line + 2u, k);
r0_3 = loadB(batch, line + 3u, k);
}
for (var k0 = start; k0 < end; k0 += 16u) {
if (local < 64u) {
let q = local / 4u; let s = local % 4u;
tileA[(s * 4u + 0u) * 16u + q] = vec4<f32>(r0_0.x, r0_1.x, r0_2.x, r0_3.x);
tileA[(s * 4u + 1u) * 16u + q] = vec4<f32>(r0_0.y, r0_1.y, r0_2.y, r0_3.y);
tileA[(s * 4u + 2u) * 16u + q] = vec4<f32>(r0_0.z, r0_1.z, r0_2.z, r0_3.z);
tileA[(s * 4u + 3u) * 16u + q] = vec4<f32>(r0_0.w, r0_1.w, r0_2.w, r0_3.w);
} else if (local < 128u) {
let q = (local - 64u) / 4u; let s = (local - 64u) % 4u;
tileB[(s * 4u + 0u) * 16u + q] = vec4<f32>(r0_0.x, r0_1.x, r0_2.x, r0_3.x);
tileB[(s * 4u + 1u) * 16u + q] = vec4<f32>(r0_0.y, r0_1.y, r0_2.y, r0_3.y);
tileB[(s * 4u + 2u) * 16u + q] = vec4<f32>(r0_0.z, r0_1.z, r0_2.z, r0_3.z);
tileB[(s * 4u + 3u) * 16u + q] = vec4<f32>(r0_0.w, r0_1.w, r0_2.w, r0_3.w);
}
workgroupBarrier();
let next = k0 + 16u;
if (next < end) {
if (local < 64u) {
let q = local / 4u; let s = local % 4u;
let line = row0 + q * 4u; let k = next + s * 4u;
r0_0 = loadA(batch, line + 0u, k);
r0_1 = loadA(batch, line + 1u, k);
r0_2 = loadA(batch, line + 2u, k);
r0_3 = loadA(batch, line + 3u, k);
} else if (local < 128u) {
let q = (local - 64u) / 4u; let s = (local - 64u) % 4u;
let line = column0 + q * 4u; let k = next + s * 4u;
r0_0 = loadB(batch, line + 0u, k);
r0_1 = loadB(batch, line + 1u, k);
r0_2 = loadB(batch, line + 2u, k);
r0_3 = loadB(batch, line + 3u, k);
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
if (row < 500u && column < 48u) { finish((batch * 500u + row) * 48u + column, split, c0_0); }
}
{
let row = row0 + ty * 4u + 1u;
let column = column0 + (tx + 0u * 16u) * 4u;
if (row < 500u && column < 48u) { finish((batch * 500u + row) * 48u + column, split, c1_0); }
}
{
let row = row0 + ty * 4u + 2u;
let column = column0 + (tx + 0u * 16u) * 4u;
if (row < 500u && column < 48u) { finish((batch * 500u + row) * 48u + column, split, c2_0); }
}
{
let row = row0 + ty * 4u + 3u;
let column = column0 + (tx + 0u * 16u) * 4u;
if (row < 500u && column < 48u) { finish((batch * 500u + row) * 48u + column, split, c3_0); }
}
}
