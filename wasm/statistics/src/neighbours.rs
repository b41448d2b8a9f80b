//! Distances between feature vectors: nearest neighbours, and the balls around every point that
//! precision, recall, density and coverage are counted with.
//!
//! Every distance that decides something is the sum of squared differences in float64. Most pairs
//! are so far apart that a float32 product rules them out ([`crate::screen`]), so the results do
//! not depend on how the rows were cut into blocks, in no bit.

use crate::screen::{Distances, centre, left, right};

/// The squared distance of two rows.
fn squared_distance(a: &[f32], b: &[f32]) -> f64 {
    const LANES: usize = 8;
    let (a, tail_a) = a.as_chunks::<LANES>();
    let (b, tail_b) = b.as_chunks::<LANES>();
    let mut sums = [0.0; LANES];
    for (a, b) in a.iter().zip(b) {
        for lane in 0..LANES {
            let difference = f64::from(a[lane]) - f64::from(b[lane]);
            sums[lane] += difference * difference;
        }
    }
    let tail: f64 =
        tail_a.iter().zip(tail_b).map(|(&a, &b)| (f64::from(a) - f64::from(b)).powi(2)).sum();
    sums.iter().sum::<f64>() + tail
}

fn row(features: &[f32], dimension: usize, index: usize) -> &[f32] {
    &features[index * dimension..(index + 1) * dimension]
}

/// The smallest distances of every row so far, ascending.
struct Smallest<'a> {
    values: &'a mut [f64],
    k: usize,
}

impl Smallest<'_> {
    fn limit(&self, row: usize) -> f64 {
        self.values[row * self.k + self.k - 1]
    }

    fn add(&mut self, row: usize, distance: f64) {
        let best = &mut self.values[row * self.k..(row + 1) * self.k];
        if distance < best[self.k - 1] {
            let at = best.partition_point(|&x| x <= distance);
            best[at..].rotate_right(1);
            best[at] = distance;
        }
    }
}

/// Adds the distances between different rows of `features` to the `k` smallest of each.
pub fn smallest_within(features: &[f32], dimension: usize, k: usize, smallest: &mut [f64]) {
    let mut smallest = Smallest { values: smallest, k };
    let centre = centre(features, dimension);
    let all = right(features, dimension, &centre);
    for a in left(features, dimension, &centre) {
        // Distances are symmetric: those to earlier rows count for both sides.
        for b in all.iter().filter(|b| b.start <= a.start) {
            let distances = Distances::new(&a, b, dimension);
            for j in 0..b.rows {
                for i in 0..a.rows {
                    let (first, second) = (a.start + i, b.start + j);
                    if second >= first {
                        continue;
                    }
                    let (distance, margin) = distances.get(i, j);
                    let limit = smallest.limit(first).max(smallest.limit(second));
                    if !(distance - margin > limit) {
                        let exact = squared_distance(
                            row(features, dimension, first),
                            row(features, dimension, second),
                        );
                        smallest.add(first, exact);
                        smallest.add(second, exact);
                    }
                }
            }
        }
    }
}

/// Adds the distances between rows of `a` and rows of `b` to the `k` smallest of each.
pub fn smallest_between(
    a: &[f32],
    b: &[f32],
    dimension: usize,
    k: usize,
    smallest_a: &mut [f64],
    smallest_b: &mut [f64],
) {
    let mut smallest_a = Smallest { values: smallest_a, k };
    let mut smallest_b = Smallest { values: smallest_b, k };
    for_each_pair(a, b, dimension, |first, second, (distance, margin)| {
        let limit = smallest_a.limit(first).max(smallest_b.limit(second));
        if !(distance - margin > limit) {
            let exact = squared_distance(row(a, dimension, first), row(b, dimension, second));
            smallest_a.add(first, exact);
            smallest_b.add(second, exact);
        }
    });
}

/// Calls `visit(row of a, row of b, (squared distance, error bound))` for all pairs; rows of `b`
/// come in ascending order for each row of `a`.
fn for_each_pair(
    a: &[f32],
    b: &[f32],
    dimension: usize,
    mut visit: impl FnMut(usize, usize, (f64, f64)),
) {
    let centre = centre(b, dimension);
    let right = right(b, dimension, &centre);
    for a in left(a, dimension, &centre) {
        for b in &right {
            let distances = Distances::new(&a, b, dimension);
            for j in 0..b.rows {
                for i in 0..a.rows {
                    visit(a.start + i, b.start + j, distances.get(i, j));
                }
            }
        }
    }
}

/// The nearest row of `references` for each row of `queries`.
pub fn nearest(
    queries: &[f32],
    references: &[f32],
    dimension: usize,
    index: &mut [u32],
    nearest: &mut [f64],
) {
    nearest.fill(f64::INFINITY);
    index.fill(0);
    for_each_pair(queries, references, dimension, |query, reference, (distance, margin)| {
        if !(distance - margin > nearest[query]) {
            let exact = squared_distance(
                row(queries, dimension, query),
                row(references, dimension, reference),
            );
            if exact < nearest[query] {
                nearest[query] = exact;
                index[query] = reference as u32;
            }
        }
    });
}

/// A real row within a fake ball, and one with a fake row strictly inside its own ball.
const RECALLED: u8 = 1;
const COVERED: u8 = 2;

/// See [`crate::manifold_flags`].
pub fn manifold_flags(
    (real, radii_real): (&[f32], &[f64]),
    (fake, radii_fake): (&[f32], &[f64]),
    dimension: usize,
    flags_real: &mut [u8],
    flags_fake: &mut [u8],
) -> f64 {
    flags_real.fill(0);
    flags_fake.fill(0);
    let mut inside = 0u64;
    for_each_pair(real, fake, dimension, |i, j, (approximate, margin)| {
        let (radius_real, radius_fake) = (radii_real[i], radii_fake[j]);
        let (low, high) = (approximate - margin, approximate + margin);
        if low > radius_real && low > radius_fake {
            return;
        }
        let clear = |radius: f64| low > radius || high < radius;
        let distance = if clear(radius_real) && clear(radius_fake) {
            approximate
        } else {
            squared_distance(row(real, dimension, i), row(fake, dimension, j))
        };
        flags_fake[j] |= u8::from(distance <= radius_real);
        if distance <= radius_fake {
            flags_real[i] |= RECALLED;
        }
        if distance < radius_real {
            flags_real[i] |= COVERED;
            inside += 1;
        }
    });
    inside as f64
}
