// linear: 48 x 1 x 1 workgroups
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

var<workgroup> tileA: array<vec4<f32>, 128>;
var<workgroup> tileB: array<vec4<f32>, 64>;

@compute @workgroup_size(32)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) local: u32) {
let number = group.x;
let column0 = number % 3u * 16u;
let row0 = number / 3u % 16u * 32u;
let batch = number / 48u % 1u;
let split = number / 48u;
let tx = local % 4u;
let ty = local / 4u;
var c0_0 = vec4<f32>(0.0);
var c1_0 = vec4<f32>(0.0);
var c2_0 = vec4<f32>(0.0);
var c3_0 = vec4<f32>(0.0);
let end = min((split + 1u) * 48u, 40u);
for (var k0 = split * 48u; k0 < end; k0 += 16u) {
{
let q = local / 4u; let s = local % 4u;
let line = row0 + q * 4u; let k = k0 + s * 4u;
let v0 = loadA(batch, line + 0u, k);
let v1 = loadA(batch, line + 1u, k);
let v2 = loadA(batch, line + 2u, k);
let v3 = loadA(batch, line + 3u, k);
tileA[(s * 4u + 0u) * 8u + q] = vec4<f32>(v0.x, v1.x, v2.x, v3.x);
tileA[(s * 4u + 1u) * 8u + q] = vec4<f32>(v0.y, v1.y, v2.y, v3.y);
tileA[(s * 4u + 2u) * 8u + q] = vec4<f32>(v0.z, v1.z, v2.z, v3.z);
tileA[(s * 4u + 3u) * 8u + q] = vec4<f32>(v0.w, v1.w, v2.w, v3.w);
}
if (local < 16u) {
let q = local / 4u; let s = local % 4u;
let line = column0 + q * 4u; let k = k0 + s * 4u;
let v0 = loadB(batch, line + 0u, k);
let v1 = loadB(batch, line + 1u, k);
let v2 = loadB(batch, line + 2u, k);
let v3 = loadB(batch, line + 3u, k);
tileB[(s * 4u + 0u) * 4u + q] = vec4<f32>(v0.x, v1.x, v2.x, v3.x);
tileB[(s * 4u + 1u) * 4u + q] = vec4<f32>(v0.y, v1.y, v2.y, v3.y);
tileB[(s * 4u + 2u) * 4u + q] = vec4<f32>(v0.z, v1.z, v2.z, v3.z);
tileB[(s * 4u + 3u) * 4u + q] = vec4<f32>(v0.w, v1.w, v2.w, v3.w);
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
if (row < 500u) { finish((batch * 500u + row) * 48u + column, split, c0_0); }
}
{
let row = row0 + ty * 4u + 1u;
let column = column0 + (tx + 0u * 4u) * 4u;
if (row < 500u) { finish((batch * 500u + row) * 48u + column, split, c1_0); }
}
{
let row = row0 + ty * 4u + 2u;
let column = column0 + (tx + 0u * 4u) * 4u;
if (row < 500u) { finish((batch * 500u + row) * 48u + column, split, c2_0); }
}
{
let row = row0 + ty * 4u + 3u;
let column = column0 + (tx + 0u * 4u) * 4u;
if (row < 500u) { finish((batch * 500u + row) * 48u + column, split, c3_0); }
}
}
