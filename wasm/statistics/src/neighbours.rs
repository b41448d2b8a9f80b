//! Distances between feature vectors: nearest neighbours, and the balls around every point that
//! precision, recall, density and coverage are counted with.
//!
//! Every distance that decides something is the sum of squared differences in float64. Most pairs
//! are so far apart that a float32 product rules them out ([`crate::screen`]), so the results do
//! not depend on how the rows were cut into blocks, in no bit.

use crate::product::BLOCK;
use crate::screen::{LANES, Limits, centre, left, products, right};

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

    /// Whether it is one of the smallest.
    fn add(&mut self, row: usize, distance: f64) -> bool {
        let best = &mut self.values[row * self.k..(row + 1) * self.k];
        if distance < best[self.k - 1] {
            let at = best.partition_point(|&x| x <= distance);
            best[at..].rotate_right(1);
            best[at] = distance;
            return true;
        }
        false
    }
}

/// Adds the distances between different rows of `features` to the `k` smallest of each.
pub fn smallest_within(features: &[f32], dimension: usize, k: usize, smallest: &mut [f64]) {
    let mut smallest = Smallest { values: smallest, k };
    let centre = centre(features, dimension);
    let mut limits = Limits::new(features, dimension, &centre, |row| smallest.limit(row));
    let all = right(features, dimension, &centre);
    for a in left(features, dimension, &centre) {
        // Distances are symmetric: those to earlier rows count for both sides.
        for b in all.iter().filter(|b| b.start <= a.start) {
            let products = products(&a, b, dimension);
            for (i, products) in products.chunks_exact(BLOCK).take(a.rows).enumerate() {
                let first = a.start + i;
                for at in (0..b.rows).step_by(LANES) {
                    let suspects = limits.suspects(first, &limits, b.start + at, &products[at..]);
                    for lane in bits(suspects) {
                        let second = b.start + at + lane;
                        let limit = smallest.limit(first).max(smallest.limit(second));
                        let product = products[at + lane];
                        let (distance, margin) = limits.distance(first, &limits, second, product);
                        if second >= first || distance - margin > limit {
                            continue;
                        }
                        let exact = squared_distance(
                            row(features, dimension, first),
                            row(features, dimension, second),
                        );
                        for row in [first, second] {
                            if smallest.add(row, exact) {
                                limits.set(row, smallest.limit(row));
                            }
                        }
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
    let pairs = Pairs::new(a, b, dimension);
    let limits = [pairs.limits_a(|row| smallest_a.limit(row)), pairs.limits_b(|row| smallest_b.limit(row))];
    pairs.visit(limits, |first, second, (distance, margin), [limits_a, limits_b]| {
        let limit = smallest_a.limit(first).max(smallest_b.limit(second));
        if distance - margin > limit {
            return;
        }
        let exact = pairs.squared_distance(first, second);
        if smallest_a.add(first, exact) {
            limits_a.set(first, smallest_a.limit(first));
        }
        if smallest_b.add(second, exact) {
            limits_b.set(second, smallest_b.limit(second));
        }
    });
}

/// All pairs of a row of one set and a row of another.
struct Pairs<'a> {
    a: &'a [f32],
    b: &'a [f32],
    dimension: usize,
    centre: Vec<f32>,
}

impl<'a> Pairs<'a> {
    fn new(a: &'a [f32], b: &'a [f32], dimension: usize) -> Self {
        Pairs { a, b, dimension, centre: centre(b, dimension) }
    }

    fn limits_a(&self, limit: impl Fn(usize) -> f64) -> Limits {
        Limits::new(self.a, self.dimension, &self.centre, limit)
    }

    fn limits_b(&self, limit: impl Fn(usize) -> f64) -> Limits {
        Limits::new(self.b, self.dimension, &self.centre, limit)
    }

    fn squared_distance(&self, first: usize, second: usize) -> f64 {
        squared_distance(row(self.a, self.dimension, first), row(self.b, self.dimension, second))
    }

    /// Calls `visit(row of a, row of b, (squared distance, error bound), limits)` for the pairs that
    /// may be nearer than the limit of one of them; rows of `b` come in ascending order for each
    /// row of `a`.
    fn visit(
        &self,
        mut limits: [Limits; 2],
        mut visit: impl FnMut(usize, usize, (f64, f64), &mut [Limits; 2]),
    ) {
        let right = right(self.b, self.dimension, &self.centre);
        for a in left(self.a, self.dimension, &self.centre) {
            for b in &right {
                let products = products(&a, b, self.dimension);
                for (i, products) in products.chunks_exact(BLOCK).take(a.rows).enumerate() {
                    let first = a.start + i;
                    for at in (0..b.rows).step_by(LANES) {
                        let [limits_a, limits_b] = &limits;
                        let column = b.start + at;
                        let suspects =
                            limits_a.suspects(first, limits_b, column, &products[at..]);
                        for lane in bits(suspects) {
                            let (second, product) = (column + lane, products[at + lane]);
                            let [limits_a, limits_b] = &limits;
                            let distance = limits_a.distance(first, limits_b, second, product);
                            visit(first, second, distance, &mut limits);
                        }
                    }
                }
            }
        }
    }
}

/// The places of the bits that are set, ascending.
fn bits(mut set: u32) -> impl Iterator<Item = usize> {
    std::iter::from_fn(move || {
        let place = set.trailing_zeros();
        (set != 0).then(|| {
            set &= set - 1;
            place as usize
        })
    })
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
    let pairs = Pairs::new(queries, references, dimension);
    // References have no limit of their own: nothing is near them.
    let none = f64::NEG_INFINITY;
    let limits = [pairs.limits_a(|_| f64::INFINITY), pairs.limits_b(|_| none)];
    pairs.visit(limits, |query, reference, (distance, margin), [limits, _]| {
        if distance - margin > nearest[query] {
            return;
        }
        let exact = pairs.squared_distance(query, reference);
        if exact < nearest[query] {
            nearest[query] = exact;
            index[query] = reference as u32;
            limits.set(query, exact);
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
    inside: &mut [f64],
) {
    flags_real.fill(0);
    flags_fake.fill(0);
    inside.fill(0.0);
    let sizes = inside.len();
    let largest = |radii: &[f64], row: usize| {
        radii[row * sizes..(row + 1) * sizes].iter().copied().fold(0.0, f64::max)
    };
    let pairs = Pairs::new(real, fake, dimension);
    let limits = [
        pairs.limits_a(|row| largest(radii_real, row)),
        pairs.limits_b(|row| largest(radii_fake, row)),
    ];
    pairs.visit(limits, |i, j, (approximate, margin), _| {
        let (low, high) = (approximate - margin, approximate + margin);
        let radii_real = &radii_real[i * sizes..(i + 1) * sizes];
        let radii_fake = &radii_fake[j * sizes..(j + 1) * sizes];
        let clear = |radius: &f64| low > *radius || high < *radius;
        let distance = if radii_real.iter().chain(radii_fake).all(clear) {
            approximate
        } else {
            pairs.squared_distance(i, j)
        };
        for (size, (&radius_real, &radius_fake)) in radii_real.iter().zip(radii_fake).enumerate() {
            flags_fake[j] |= u8::from(distance <= radius_real) << size;
            if distance <= radius_fake {
                flags_real[i] |= RECALLED << (2 * size);
            }
            if distance < radius_real {
                flags_real[i] |= COVERED << (2 * size);
                inside[size] += 1.0;
            }
        }
    });
}
