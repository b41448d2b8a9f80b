// linear: 282 x 1 x 1 workgroups
// 0: buffer 0 [0, 480000)
// 1: buffer 1 [0, 15360)
// 2: buffer 2 [0, 384)
// 3: buffer 3 [0, 1152000) writable
@group(0) @binding(0) var<storage, read> b0: array<vec4<f32>>;
@group(0) @binding(1) var<storage, read> b1: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read> b2: array<vec4<f32>>;
@group(0) @binding(3) var<storage, read_write> b3: array<vec4<f32>>;
fn imm_sigmoid4(x: vec4<f32>) -> vec4<f32> {
  return 1.0 / (1.0 + exp(min(-x, vec4<f32>(88.0))));
}
fn loadA(batch: u32, line: u32, k: u32) -> vec4<f32> {
let at = line * 40u + k;
return b0[(at) / 4u];
}
fn loadB(batch: u32, line: u32, k: u32) -> vec4<f32> {
let at = line * 40u + k;
return b1[(at) / 4u];
}

fn finish(point: u32, split: u32, result: vec4<f32>) {
let e0 = result;
let ei1 = (point) % 96u;
let e1 = b2[(ei1) / 4u];
let e2 = e0 + e1;
let e3 = imm_sigmoid4(e2);
b3[(point) / 4u] = e3;
}


@compute @workgroup_size(8)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) local: u32) {
let number = group.x;
let column0 = number % 3u * 32u;
let row0 = number / 3u % 94u * 32u;
let batch = number / 282u % 1u;
let split = number / 282u;
let tx = local % 8u;
let ty = local / 8u;
var c0_0 = vec4<f32>(0.0);
var c1_0 = vec4<f32>(0.0);
var c2_0 = vec4<f32>(0.0);
var c3_0 = vec4<f32>(0.0);
var c4_0 = vec4<f32>(0.0);
var c5_0 = vec4<f32>(0.0);
var c6_0 = vec4<f32>(0.0);
var c7_0 = vec4<f32>(0.0);
var c8_0 = vec4<f32>(0.0);
var c9_0 = vec4<f32>(0.0);
var c10_0 = vec4<f32>(0.0);
var c11_0 = vec4<f32>(0.0);
var c12_0 = vec4<f32>(0.0);
var c13_0 = vec4<f32>(0.0);
var c14_0 = vec4<f32>(0.0);
var c15_0 = vec4<f32>(0.0);
var c16_0 = vec4<f32>(0.0);
var c17_0 = vec4<f32>(0.0);
var c18_0 = vec4<f32>(0.0);
var c19_0 = vec4<f32>(0.0);
var c20_0 = vec4<f32>(0.0);
var c21_0 = vec4<f32>(0.0);
var c22_0 = vec4<f32>(0.0);
var c23_0 = vec4<f32>(0.0);
var c24_0 = vec4<f32>(0.0);
var c25_0 = vec4<f32>(0.0);
var c26_0 = vec4<f32>(0.0);
var c27_0 = vec4<f32>(0.0);
var c28_0 = vec4<f32>(0.0);
var c29_0 = vec4<f32>(0.0);
var c30_0 = vec4<f32>(0.0);
var c31_0 = vec4<f32>(0.0);
let start = split * 48u;
let end = min(start + 48u, 40u);

for (var k0 = start; k0 < end; k0 += 4u) {
let a0 = loadA(batch, row0 + ty * 32u + tx + 0u, k0);
let a1 = loadA(batch, row0 + ty * 32u + tx + 8u, k0);
let a2 = loadA(batch, row0 + ty * 32u + tx + 16u, k0);
let a3 = loadA(batch, row0 + ty * 32u + tx + 24u, k0);
let w0_0 = loadB(batch, column0 + (tx + 0u) * 4u + 0u, k0);
let w0_1 = loadB(batch, column0 + (tx + 0u) * 4u + 1u, k0);
let w0_2 = loadB(batch, column0 + (tx + 0u) * 4u + 2u, k0);
let w0_3 = loadB(batch, column0 + (tx + 0u) * 4u + 3u, k0);
{
let b0 = vec4<f32>(w0_0.x, w0_1.x, w0_2.x, w0_3.x);
{ let a = subgroupBroadcast(a0.x, 0u); c0_0 += a * b0; }
{ let a = subgroupBroadcast(a0.x, 1u); c1_0 += a * b0; }
{ let a = subgroupBroadcast(a0.x, 2u); c2_0 += a * b0; }
{ let a = subgroupBroadcast(a0.x, 3u); c3_0 += a * b0; }
{ let a = subgroupBroadcast(a0.x, 4u); c4_0 += a * b0; }
{ let a = subgroupBroadcast(a0.x, 5u); c5_0 += a * b0; }
{ let a = subgroupBroadcast(a0.x, 6u); c6_0 += a * b0; }
{ let a = subgroupBroadcast(a0.x, 7u); c7_0 += a * b0; }
{ let a = subgroupBroadcast(a1.x, 0u); c8_0 += a * b0; }
{ let a = subgroupBroadcast(a1.x, 1u); c9_0 += a * b0; }
{ let a = subgroupBroadcast(a1.x, 2u); c10_0 += a * b0; }
{ let a = subgroupBroadcast(a1.x, 3u); c11_0 += a * b0; }
{ let a = subgroupBroadcast(a1.x, 4u); c12_0 += a * b0; }
{ let a = subgroupBroadcast(a1.x, 5u); c13_0 += a * b0; }
{ let a = subgroupBroadcast(a1.x, 6u); c14_0 += a * b0; }
{ let a = subgroupBroadcast(a1.x, 7u); c15_0 += a * b0; }
{ let a = subgroupBroadcast(a2.x, 0u); c16_0 += a * b0; }
{ let a = subgroupBroadcast(a2.x, 1u); c17_0 += a * b0; }
{ let a = subgroupBroadcast(a2.x, 2u); c18_0 += a * b0; }
{ let a = subgroupBroadcast(a2.x, 3u); c19_0 += a * b0; }
{ let a = subgroupBroadcast(a2.x, 4u); c20_0 += a * b0; }
{ let a = subgroupBroadcast(a2.x, 5u); c21_0 += a * b0; }
{ let a = subgroupBroadcast(a2.x, 6u); c22_0 += a * b0; }
{ let a = subgroupBroadcast(a2.x, 7u); c23_0 += a * b0; }
{ let a = subgroupBroadcast(a3.x, 0u); c24_0 += a * b0; }
{ let a = subgroupBroadcast(a3.x, 1u); c25_0 += a * b0; }
{ let a = subgroupBroadcast(a3.x, 2u); c26_0 += a * b0; }
{ let a = subgroupBroadcast(a3.x, 3u); c27_0 += a * b0; }
{ let a = subgroupBroadcast(a3.x, 4u); c28_0 += a * b0; }
{ let a = subgroupBroadcast(a3.x, 5u); c29_0 += a * b0; }
{ let a = subgroupBroadcast(a3.x, 6u); c30_0 += a * b0; }
{ let a = subgroupBroadcast(a3.x, 7u); c31_0 += a * b0; }
}
{
let b0 = vec4<f32>(w0_0.y, w0_1.y, w0_2.y, w0_3.y);
{ let a = subgroupBroadcast(a0.y, 0u); c0_0 += a * b0; }
{ let a = subgroupBroadcast(a0.y, 1u); c1_0 += a * b0; }
{ let a = subgroupBroadcast(a0.y, 2u); c2_0 += a * b0; }
{ let a = subgroupBroadcast(a0.y, 3u); c3_0 += a * b0; }
{ let a = subgroupBroadcast(a0.y, 4u); c4_0 += a * b0; }
{ let a = subgroupBroadcast(a0.y, 5u); c5_0 += a * b0; }
{ let a = subgroupBroadcast(a0.y, 6u); c6_0 += a * b0; }
{ let a = subgroupBroadcast(a0.y, 7u); c7_0 += a * b0; }
{ let a = subgroupBroadcast(a1.y, 0u); c8_0 += a * b0; }
{ let a = subgroupBroadcast(a1.y, 1u); c9_0 += a * b0; }
{ let a = subgroupBroadcast(a1.y, 2u); c10_0 += a * b0; }
{ let a = subgroupBroadcast(a1.y, 3u); c11_0 += a * b0; }
{ let a = subgroupBroadcast(a1.y, 4u); c12_0 += a * b0; }
{ let a = subgroupBroadcast(a1.y, 5u); c13_0 += a * b0; }
{ let a = subgroupBroadcast(a1.y, 6u); c14_0 += a * b0; }
{ let a = subgroupBroadcast(a1.y, 7u); c15_0 += a * b0; }
{ let a = subgroupBroadcast(a2.y, 0u); c16_0 += a * b0; }
{ let a = subgroupBroadcast(a2.y, 1u); c17_0 += a * b0; }
{ let a = subgroupBroadcast(a2.y, 2u); c18_0 += a * b0; }
{ let a = subgroupBroadcast(a2.y, 3u); c19_0 += a * b0; }
{ let a = subgroupBroadcast(a2.y, 4u); c20_0 += a * b0; }
{ let a = subgroupBroadcast(a2.y, 5u); c21_0 += a * b0; }
{ let a = subgroupBroadcast(a2.y, 6u); c22_0 += a * b0; }
{ let a = subgroupBroadcast(a2.y, 7u); c23_0 += a * b0; }
{ let a = subgroupBroadcast(a3.y, 0u); c24_0 += a * b0; }
{ let a = subgroupBroadcast(a3.y, 1u); c25_0 += a * b0; }
{ let a = subgroupBroadcast(a3.y, 2u); c26_0 += a * b0; }
{ let a = subgroupBroadcast(a3.y, 3u); c27_0 += a * b0; }
{ let a = subgroupBroadcast(a3.y, 4u); c28_0 += a * b0; }
{ let a = subgroupBroadcast(a3.y, 5u); c29_0 += a * b0; }
{ let a = subgroupBroadcast(a3.y, 6u); c30_0 += a * b0; }
{ let a = subgroupBroadcast(a3.y, 7u); c31_0 += a * b0; }
}
{
let b0 = vec4<f32>(w0_0.z, w0_1.z, w0_2.z, w0_3.z);
{ let a = subgroupBroadcast(a0.z, 0u); c0_0 += a * b0; }
{ let a = subgroupBroadcast(a0.z, 1u); c1_0 += a * b0; }
{ let a = subgroupBroadcast(a0.z, 2u); c2_0 += a * b0; }
{ let a = subgroupBroadcast(a0.z, 3u); c3_0 += a * b0; }
{ let a = subgroupBroadcast(a0.z, 4u); c4_0 += a * b0; }
{ let a = subgroupBroadcast(a0.z, 5u); c5_0 += a * b0; }
{ let a = subgroupBroadcast(a0.z, 6u); c6_0 += a * b0; }
{ let a = subgroupBroadcast(a0.z, 7u); c7_0 += a * b0; }
{ let a = subgroupBroadcast(a1.z, 0u); c8_0 += a * b0; }
{ let a = subgroupBroadcast(a1.z, 1u); c9_0 += a * b0; }
{ let a = subgroupBroadcast(a1.z, 2u); c10_0 += a * b0; }
{ let a = subgroupBroadcast(a1.z, 3u); c11_0 += a * b0; }
{ let a = subgroupBroadcast(a1.z, 4u); c12_0 += a * b0; }
{ let a = subgroupBroadcast(a1.z, 5u); c13_0 += a * b0; }
{ let a = subgroupBroadcast(a1.z, 6u); c14_0 += a * b0; }
{ let a = subgroupBroadcast(a1.z, 7u); c15_0 += a * b0; }
{ let a = subgroupBroadcast(a2.z, 0u); c16_0 += a * b0; }
{ let a = subgroupBroadcast(a2.z, 1u); c17_0 += a * b0; }
{ let a = subgroupBroadcast(a2.z, 2u); c18_0 += a * b0; }
{ let a = subgroupBroadcast(a2.z, 3u); c19_0 += a * b0; }
{ let a = subgroupBroadcast(a2.z, 4u); c20_0 += a * b0; }
{ let a = subgroupBroadcast(a2.z, 5u); c21_0 += a * b0; }
{ let a = subgroupBroadcast(a2.z, 6u); c22_0 += a * b0; }
{ let a = subgroupBroadcast(a2.z, 7u); c23_0 += a * b0; }
{ let a = subgroupBroadcast(a3.z, 0u); c24_0 += a * b0; }
{ let a = subgroupBroadcast(a3.z, 1u); c25_0 += a * b0; }
{ let a = subgroupBroadcast(a3.z, 2u); c26_0 += a * b0; }
{ let a = subgroupBroadcast(a3.z, 3u); c27_0 += a * b0; }
{ let a = subgroupBroadcast(a3.z, 4u); c28_0 += a * b0; }
{ let a = subgroupBroadcast(a3.z, 5u); c29_0 += a * b0; }
{ let a = subgroupBroadcast(a3.z, 6u); c30_0 += a * b0; }
{ let a = subgroupBroadcast(a3.z, 7u); c31_0 += a * b0; }
}
{
let b0 = vec4<f32>(w0_0.w, w0_1.w, w0_2.w, w0_3.w);
{ let a = subgroupBroadcast(a0.w, 0u); c0_0 += a * b0; }
{ let a = subgroupBroadcast(a0.w, 1u); c1_0 += a * b0; }
{ let a = subgroupBroadcast(a0.w, 2u); c2_0 += a * b0; }
{ let a = subgroupBroadcast(a0.w, 3u); c3_0 += a * b0; }
{ let a = subgroupBroadcast(a0.w, 4u); c4_0 += a * b0; }
{ let a = subgroupBroadcast(a0.w, 5u); c5_0 += a * b0; }
{ let a = subgroupBroadcast(a0.w, 6u); c6_0 += a * b0; }
{ let a = subgroupBroadcast(a0.w, 7u); c7_0 += a * b0; }
{ let a = subgroupBroadcast(a1.w, 0u); c8_0 += a * b0; }
{ let a = subgroupBroadcast(a1.w, 1u); c9_0 += a * b0; }
{ let a = subgroupBroadcast(a1.w, 2u); c10_0 += a * b0; }
{ let a = subgroupBroadcast(a1.w, 3u); c11_0 += a * b0; }
{ let a = subgroupBroadcast(a1.w, 4u); c12_0 += a * b0; }
{ let a = subgroupBroadcast(a1.w, 5u); c13_0 += a * b0; }
{ let a = subgroupBroadcast(a1.w, 6u); c14_0 += a * b0; }
{ let a = subgroupBroadcast(a1.w, 7u); c15_0 += a * b0; }
{ let a = subgroupBroadcast(a2.w, 0u); c16_0 += a * b0; }
{ let a = subgroupBroadcast(a2.w, 1u); c17_0 += a * b0; }
{ let a = subgroupBroadcast(a2.w, 2u); c18_0 += a * b0; }
{ let a = subgroupBroadcast(a2.w, 3u); c19_0 += a * b0; }
{ let a = subgroupBroadcast(a2.w, 4u); c20_0 += a * b0; }
{ let a = subgroupBroadcast(a2.w, 5u); c21_0 += a * b0; }
{ let a = subgroupBroadcast(a2.w, 6u); c22_0 += a * b0; }
{ let a = subgroupBroadcast(a2.w, 7u); c23_0 += a * b0; }
{ let a = subgroupBroadcast(a3.w, 0u); c24_0 += a * b0; }
{ let a = subgroupBroadcast(a3.w, 1u); c25_0 += a * b0; }
{ let a = subgroupBroadcast(a3.w, 2u); c26_0 += a * b0; }
{ let a = subgroupBroadcast(a3.w, 3u); c27_0 += a * b0; }
{ let a = subgroupBroadcast(a3.w, 4u); c28_0 += a * b0; }
{ let a = subgroupBroadcast(a3.w, 5u); c29_0 += a * b0; }
{ let a = subgroupBroadcast(a3.w, 6u); c30_0 += a * b0; }
{ let a = subgroupBroadcast(a3.w, 7u); c31_0 += a * b0; }
}
}
var block = array<vec4<f32>, 32>(c0_0, c1_0, c2_0, c3_0, c4_0, c5_0, c6_0, c7_0, c8_0, c9_0, c10_0, c11_0, c12_0, c13_0, c14_0, c15_0, c16_0, c17_0, c18_0, c19_0, c20_0, c21_0, c22_0, c23_0, c24_0, c25_0, c26_0, c27_0, c28_0, c29_0, c30_0, c31_0);
for (var i = 0u; i < 32u; i++) {
let row = row0 + ty * 32u + i / 1u;
let column = column0 + (tx + i / 1u % 1u * 8u) * 4u;
if (row < 3000u) { finish((batch * 3000u + row) * 96u + column, split, block[i]); }
}
}
