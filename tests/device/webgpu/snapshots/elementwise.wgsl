// noise: 15 x 1 x 1 workgroups
// 0: buffer 0 [0, 14400)
// 1: buffer 1 [0, 16)
// 2: buffer 2 [0, 14400) writable
// params: 387276957
@group(0) @binding(0) var<storage, read> b0: array<vec4<f32>>;
@group(0) @binding(1) var<storage, read> b1: array<i32>;
@group(0) @binding(2) var<storage, read_write> b2: array<vec4<f32>>;
@group(0) @binding(3) var<uniform> params: array<vec4<u32>, 1>;
fn imm_log1(x: f32) -> f32 {
  let bits = bitcast<u32>(x) - u32(0x3f3504f3u);
  let e = f32(bitcast<i32>(bits) >> u32(23u));
  let f = bitcast<f32>((bits & u32(0x7fffffu)) + u32(0x3f3504f3u)) - 1.0;
  let s = f / (2.0 + f);
  let z = s * s;
  let p = s * (2.0 + z * (0.6666667 + z * (0.4 + z * (0.2857143 + z * 0.2222222))));
  let y = e * 0.69314575 + (e * 1.4286068e-6 + p);
  return select(log(x), y, (x >= f32(1.1754944e-38)) & (x <= f32(3.4028234e38)));
}
fn imm_quadrant1(a: f32, quadrant: i32) -> f32 {
  let z = a * a;
  let s = a * (1.0 + z * (-0.16666667 + z * (0.008333334 + z * (-0.0001984127
    + z * 2.7557319e-6))));
  let c = 1.0 + z * (-0.5 + z * (0.041666668 + z * (-0.0013888889 + z * (2.4801588e-5
    - z * 2.7557319e-7))));
  let y = select(c, s, (quadrant & i32(1)) != i32(0));
  return select(y, -y, (((quadrant + i32(1)) & i32(2))) != i32(0));
}
fn imm_expm14(x: vec4<f32>) -> vec4<f32> {
  let p = x * (1.0 + x * (0.5 + x * (0.16666667 + x * (0.041666668 + x * (0.008333334
    + x * (0.0013888889 + x * (0.0001984127 + x * (2.4801588e-5 + x * 2.7557319e-6))))))));
  return select(exp(x) - 1.0, p, abs(x) < vec4<f32>(0.5));
}
fn imm_tanh4(x: vec4<f32>) -> vec4<f32> {
  let e = imm_expm14(-2.0 * abs(x));
  return sign(x) * (-e / (2.0 + e));
}
fn threefry(k0: u32, k1: u32, counter: vec2<u32>) -> vec2<u32> {
  let k2 = 0x1bd11bdau ^ k0 ^ k1;
  var x = counter + vec2<u32>(k0, k1);
  x.x += x.y; x.y = ((x.y << 13u) | (x.y >> 19u)) ^ x.x;
  x.x += x.y; x.y = ((x.y << 15u) | (x.y >> 17u)) ^ x.x;
  x.x += x.y; x.y = ((x.y << 26u) | (x.y >> 6u)) ^ x.x;
  x.x += x.y; x.y = ((x.y << 6u) | (x.y >> 26u)) ^ x.x;
  x.x += k1; x.y += k2 + 1u;
  x.x += x.y; x.y = ((x.y << 17u) | (x.y >> 15u)) ^ x.x;
  x.x += x.y; x.y = ((x.y << 29u) | (x.y >> 3u)) ^ x.x;
  x.x += x.y; x.y = ((x.y << 16u) | (x.y >> 16u)) ^ x.x;
  x.x += x.y; x.y = ((x.y << 24u) | (x.y >> 8u)) ^ x.x;
  x.x += k2; x.y += k0 + 2u;
  x.x += x.y; x.y = ((x.y << 13u) | (x.y >> 19u)) ^ x.x;
  x.x += x.y; x.y = ((x.y << 15u) | (x.y >> 17u)) ^ x.x;
  x.x += x.y; x.y = ((x.y << 26u) | (x.y >> 6u)) ^ x.x;
  x.x += x.y; x.y = ((x.y << 6u) | (x.y >> 26u)) ^ x.x;
  x.x += k0; x.y += k1 + 3u;
  x.x += x.y; x.y = ((x.y << 17u) | (x.y >> 15u)) ^ x.x;
  x.x += x.y; x.y = ((x.y << 29u) | (x.y >> 3u)) ^ x.x;
  x.x += x.y; x.y = ((x.y << 16u) | (x.y >> 16u)) ^ x.x;
  x.x += x.y; x.y = ((x.y << 24u) | (x.y >> 8u)) ^ x.x;
  x.x += k1; x.y += k2 + 4u;
  x.x += x.y; x.y = ((x.y << 13u) | (x.y >> 19u)) ^ x.x;
  x.x += x.y; x.y = ((x.y << 15u) | (x.y >> 17u)) ^ x.x;
  x.x += x.y; x.y = ((x.y << 26u) | (x.y >> 6u)) ^ x.x;
  x.x += x.y; x.y = ((x.y << 6u) | (x.y >> 26u)) ^ x.x;
  x.x += k2; x.y += k0 + 5u;
  return x;
}
fn randomNormal(words: vec2<u32>) -> f32 {
  let radius = sqrt(-2.0 * imm_log1(f32((words.x >> 8u) + 1u) * 5.9604645e-8));
  let quarters = f32(words.y >> 8u) * 2.3841858e-7;
  let k = round(quarters);
  return radius * imm_quadrant1((quarters - k) * 1.5707964, i32(k));
}

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) local: u32) {
let thread = group.x * 64u + local;
if (thread >= 900u) { return; }
let index = thread * 4u;
let e0 = b0[(index) / 4u];
let ei1 = (index) % 36u;
let ei0 = index / 36u;
let e1 = vec4<f32>(randomNormal(threefry(bitcast<u32>(b1[0u]), bitcast<u32>(b1[1u]) ^ params[0].x, vec2<u32>(ei1, ei0 + bitcast<u32>(b1[2u])))), randomNormal(threefry(bitcast<u32>(b1[0u]), bitcast<u32>(b1[1u]) ^ params[0].x, vec2<u32>(ei1 + 1u, ei0 + bitcast<u32>(b1[2u])))), randomNormal(threefry(bitcast<u32>(b1[0u]), bitcast<u32>(b1[1u]) ^ params[0].x, vec2<u32>(ei1 + 2u, ei0 + bitcast<u32>(b1[2u])))), randomNormal(threefry(bitcast<u32>(b1[0u]), bitcast<u32>(b1[1u]) ^ params[0].x, vec2<u32>(ei1 + 3u, ei0 + bitcast<u32>(b1[2u])))));
let e2 = imm_tanh4(e0);
let e3 = e1 * e2;
b2[(index) / 4u] = e3;
}
