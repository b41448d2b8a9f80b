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
let at = line + k * 48u;
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

@compute @workgroup_size(16)
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
var c4_0 = vec4<f32>(0.0);
var c5_0 = vec4<f32>(0.0);
var c6_0 = vec4<f32>(0.0);
var c7_0 = vec4<f32>(0.0);
let start = split * 48u;
let end = min(start + 48u, 40u);

for (var k0 = start; k0 < end; k0 += 16u) {
for (var square = local; square < 32u; square += 16u) {
let q = square / 4u; let s = square % 4u;
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
for (var square = local; square < 16u; square += 16u) {
let q = square % 4u; let s = square / 4u;
let line = column0 + q * 4u; let k = k0 + s * 4u;
let v0 = loadB(batch, line, k + 0u);
let v1 = loadB(batch, line, k + 1u);
let v2 = loadB(batch, line, k + 2u);
let v3 = loadB(batch, line, k + 3u);
tileB[(s * 4u + 0u) * 4u + q] = v0;
tileB[(s * 4u + 1u) * 4u + q] = v1;
tileB[(s * 4u + 2u) * 4u + q] = v2;
tileB[(s * 4u + 3u) * 4u + q] = v3;
}
workgroupBarrier();
for (var step = 0u; step < 16u; step += 1u) {
let atA = ty * 2u + step * 8u; let atB = tx + step * 4u;
{ let a0 = tileA[atA + 0u]; let a1 = tileA[atA + 1u]; let b0 = tileB[atB + 0u]; c0_0 += a0.x * b0; c1_0 += a0.y * b0; c2_0 += a0.z * b0; c3_0 += a0.w * b0; c4_0 += a1.x * b0; c5_0 += a1.y * b0; c6_0 += a1.z * b0; c7_0 += a1.w * b0; }
}
workgroupBarrier();
}
var block = array<vec4<f32>, 8>(c0_0, c1_0, c2_0, c3_0, c4_0, c5_0, c6_0, c7_0);
for (var i = 0u; i < 8u; i++) {
let row = row0 + ty * 8u + i / 1u;
let column = column0 + (tx + i / 1u % 1u * 4u) * 4u;
if (row < 500u) { finish((batch * 500u + row) * 48u + column, split, block[i]); }
}
}
