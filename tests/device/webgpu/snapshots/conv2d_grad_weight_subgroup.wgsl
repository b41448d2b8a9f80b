// conv2dGradWeight: 18 x 1 x 1 workgroups
// 0: buffer 0 [0, 131072)
// 1: buffer 1 [0, 262144)
// 2: buffer 2 [0, 73728) writable
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
let e0 = result;
b2[(point) / 4u] = e0;
}


@compute @workgroup_size(8)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) local: u32) {
let number = group.x;
let column0 = number % 1u * 64u;
let row0 = number / 1u % 18u * 16u;
let batch = number / 18u % 1u;
let split = number / 18u;
let tx = local % 8u;
let ty = local / 8u;
var c0_0 = vec4<f32>(0.0);
var c0_1 = vec4<f32>(0.0);
var c1_0 = vec4<f32>(0.0);
var c1_1 = vec4<f32>(0.0);
var c2_0 = vec4<f32>(0.0);
var c2_1 = vec4<f32>(0.0);
var c3_0 = vec4<f32>(0.0);
var c3_1 = vec4<f32>(0.0);
var c4_0 = vec4<f32>(0.0);
var c4_1 = vec4<f32>(0.0);
var c5_0 = vec4<f32>(0.0);
var c5_1 = vec4<f32>(0.0);
var c6_0 = vec4<f32>(0.0);
var c6_1 = vec4<f32>(0.0);
var c7_0 = vec4<f32>(0.0);
var c7_1 = vec4<f32>(0.0);
var c8_0 = vec4<f32>(0.0);
var c8_1 = vec4<f32>(0.0);
var c9_0 = vec4<f32>(0.0);
var c9_1 = vec4<f32>(0.0);
var c10_0 = vec4<f32>(0.0);
var c10_1 = vec4<f32>(0.0);
var c11_0 = vec4<f32>(0.0);
var c11_1 = vec4<f32>(0.0);
var c12_0 = vec4<f32>(0.0);
var c12_1 = vec4<f32>(0.0);
var c13_0 = vec4<f32>(0.0);
var c13_1 = vec4<f32>(0.0);
var c14_0 = vec4<f32>(0.0);
var c14_1 = vec4<f32>(0.0);
var c15_0 = vec4<f32>(0.0);
var c15_1 = vec4<f32>(0.0);
let start = split * 1024u;
let end = min(start + 1024u, 1024u);

for (var k0 = start; k0 < end; k0 += 4u) {
let a0 = loadA(batch, row0 + ty * 16u + (tx + 0u) % 4u * 4u, k0 + (tx + 0u) / 4u);
let a1 = loadA(batch, row0 + ty * 16u + (tx + 8u) % 4u * 4u, k0 + (tx + 8u) / 4u);
{
let b0 = loadB(batch, column0 + (tx + 0u) * 4u, k0 + 0u);
let b1 = loadB(batch, column0 + (tx + 8u) * 4u, k0 + 0u);
{ let a = subgroupBroadcast(a0.x, 0u); c0_0 += a * b0; c0_1 += a * b1; }
{ let a = subgroupBroadcast(a0.y, 0u); c1_0 += a * b0; c1_1 += a * b1; }
{ let a = subgroupBroadcast(a0.z, 0u); c2_0 += a * b0; c2_1 += a * b1; }
{ let a = subgroupBroadcast(a0.w, 0u); c3_0 += a * b0; c3_1 += a * b1; }
{ let a = subgroupBroadcast(a0.x, 1u); c4_0 += a * b0; c4_1 += a * b1; }
{ let a = subgroupBroadcast(a0.y, 1u); c5_0 += a * b0; c5_1 += a * b1; }
{ let a = subgroupBroadcast(a0.z, 1u); c6_0 += a * b0; c6_1 += a * b1; }
{ let a = subgroupBroadcast(a0.w, 1u); c7_0 += a * b0; c7_1 += a * b1; }
{ let a = subgroupBroadcast(a0.x, 2u); c8_0 += a * b0; c8_1 += a * b1; }
{ let a = subgroupBroadcast(a0.y, 2u); c9_0 += a * b0; c9_1 += a * b1; }
{ let a = subgroupBroadcast(a0.z, 2u); c10_0 += a * b0; c10_1 += a * b1; }
{ let a = subgroupBroadcast(a0.w, 2u); c11_0 += a * b0; c11_1 += a * b1; }
{ let a = subgroupBroadcast(a0.x, 3u); c12_0 += a * b0; c12_1 += a * b1; }
{ let a = subgroupBroadcast(a0.y, 3u); c13_0 += a * b0; c13_1 += a * b1; }
{ let a = subgroupBroadcast(a0.z, 3u); c14_0 += a * b0; c14_1 += a * b1; }
{ let a = subgroupBroadcast(a0.w, 3u); c15_0 += a * b0; c15_1 += a * b1; }
}
{
let b0 = loadB(batch, column0 + (tx + 0u) * 4u, k0 + 1u);
let b1 = loadB(batch, column0 + (tx + 8u) * 4u, k0 + 1u);
{ let a = subgroupBroadcast(a0.x, 4u); c0_0 += a * b0; c0_1 += a * b1; }
{ let a = subgroupBroadcast(a0.y, 4u); c1_0 += a * b0; c1_1 += a * b1; }
{ let a = subgroupBroadcast(a0.z, 4u); c2_0 += a * b0; c2_1 += a * b1; }
{ let a = subgroupBroadcast(a0.w, 4u); c3_0 += a * b0; c3_1 += a * b1; }
{ let a = subgroupBroadcast(a0.x, 5u); c4_0 += a * b0; c4_1 += a * b1; }
{ let a = subgroupBroadcast(a0.y, 5u); c5_0 += a * b0; c5_1 += a * b1; }
{ let a = subgroupBroadcast(a0.z, 5u); c6_0 += a * b0; c6_1 += a * b1; }
{ let a = subgroupBroadcast(a0.w, 5u); c7_0 += a * b0; c7_1 += a * b1; }
{ let a = subgroupBroadcast(a0.x, 6u); c8_0 += a * b0; c8_1 += a * b1; }
{ let a = subgroupBroadcast(a0.y, 6u); c9_0 += a * b0; c9_1 += a * b1; }
{ let a = subgroupBroadcast(a0.z, 6u); c10_0 += a * b0; c10_1 += a * b1; }
{ let a = subgroupBroadcast(a0.w, 6u); c11_0 += a * b0; c11_1 += a * b1; }
{ let a = subgroupBroadcast(a0.x, 7u); c12_0 += a * b0; c12_1 += a * b1; }
{ let a = subgroupBroadcast(a0.y, 7u); c13_0 += a * b0; c13_1 += a * b1; }
{ let a = subgroupBroadcast(a0.z, 7u); c14_0 += a * b0; c14_1 += a * b1; }
{ let a = subgroupBroadcast(a0.w, 7u); c15_0 += a * b0; c15_1 += a * b1; }
}
{
let b0 = loadB(batch, column0 + (tx + 0u) * 4u, k0 + 2u);
let b1 = loadB(batch, column0 + (tx + 8u) * 4u, k0 + 2u);
{ let a = subgroupBroadcast(a1.x, 0u); c0_0 += a * b0; c0_1 += a * b1; }
{ let a = subgroupBroadcast(a1.y, 0u); c1_0 += a * b0; c1_1 += a * b1; }
{ let a = subgroupBroadcast(a1.z, 0u); c2_0 += a * b0; c2_1 += a * b1; }
{ let a = subgroupBroadcast(a1.w, 0u); c3_0 += a * b0; c3_1 += a * b1; }
{ let a = subgroupBroadcast(a1.x, 1u); c4_0 += a * b0; c4_1 += a * b1; }
{ let a = subgroupBroadcast(a1.y, 1u); c5_0 += a * b0; c5_1 += a * b1; }
{ let a = subgroupBroadcast(a1.z, 1u); c6_0 += a * b0; c6_1 += a * b1; }
{ let a = subgroupBroadcast(a1.w, 1u); c7_0 += a * b0; c7_1 += a * b1; }
{ let a = subgroupBroadcast(a1.x, 2u); c8_0 += a * b0; c8_1 += a * b1; }
{ let a = subgroupBroadcast(a1.y, 2u); c9_0 += a * b0; c9_1 += a * b1; }
{ let a = subgroupBroadcast(a1.z, 2u); c10_0 += a * b0; c10_1 += a * b1; }
{ let a = subgroupBroadcast(a1.w, 2u); c11_0 += a * b0; c11_1 += a * b1; }
{ let a = subgroupBroadcast(a1.x, 3u); c12_0 += a * b0; c12_1 += a * b1; }
{ let a = subgroupBroadcast(a1.y, 3u); c13_0 += a * b0; c13_1 += a * b1; }
{ let a = subgroupBroadcast(a1.z, 3u); c14_0 += a * b0; c14_1 += a * b1; }
{ let a = subgroupBroadcast(a1.w, 3u); c15_0 += a * b0; c15_1 += a * b1; }
}
{
let b0 = loadB(batch, column0 + (tx + 0u) * 4u, k0 + 3u);
let b1 = loadB(batch, column0 + (tx + 8u) * 4u, k0 + 3u);
{ let a = subgroupBroadcast(a1.x, 4u); c0_0 += a * b0; c0_1 += a * b1; }
{ let a = subgroupBroadcast(a1.y, 4u); c1_0 += a * b0; c1_1 += a * b1; }
{ let a = subgroupBroadcast(a1.z, 4u); c2_0 += a * b0; c2_1 += a * b1; }
{ let a = subgroupBroadcast(a1.w, 4u); c3_0 += a * b0; c3_1 += a * b1; }
{ let a = subgroupBroadcast(a1.x, 5u); c4_0 += a * b0; c4_1 += a * b1; }
{ let a = subgroupBroadcast(a1.y, 5u); c5_0 += a * b0; c5_1 += a * b1; }
{ let a = subgroupBroadcast(a1.z, 5u); c6_0 += a * b0; c6_1 += a * b1; }
{ let a = subgroupBroadcast(a1.w, 5u); c7_0 += a * b0; c7_1 += a * b1; }
{ let a = subgroupBroadcast(a1.x, 6u); c8_0 += a * b0; c8_1 += a * b1; }
{ let a = subgroupBroadcast(a1.y, 6u); c9_0 += a * b0; c9_1 += a * b1; }
{ let a = subgroupBroadcast(a1.z, 6u); c10_0 += a * b0; c10_1 += a * b1; }
{ let a = subgroupBroadcast(a1.w, 6u); c11_0 += a * b0; c11_1 += a * b1; }
{ let a = subgroupBroadcast(a1.x, 7u); c12_0 += a * b0; c12_1 += a * b1; }
{ let a = subgroupBroadcast(a1.y, 7u); c13_0 += a * b0; c13_1 += a * b1; }
{ let a = subgroupBroadcast(a1.z, 7u); c14_0 += a * b0; c14_1 += a * b1; }
{ let a = subgroupBroadcast(a1.w, 7u); c15_0 += a * b0; c15_1 += a * b1; }
}
}
var block = array<vec4<f32>, 32>(c0_0, c0_1, c1_0, c1_1, c2_0, c2_1, c3_0, c3_1, c4_0, c4_1, c5_0, c5_1, c6_0, c6_1, c7_0, c7_1, c8_0, c8_1, c9_0, c9_1, c10_0, c10_1, c11_0, c11_1, c12_0, c12_1, c13_0, c13_1, c14_0, c14_1, c15_0, c15_1);
for (var i = 0u; i < 32u; i++) {
let row = row0 + ty * 16u + i / 2u;
let column = column0 + (tx + i / 1u % 2u * 8u) * 4u;
{ finish((batch * 288u + row) * 64u + column, split, block[i]); }
}
}
