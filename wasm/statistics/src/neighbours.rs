//! Distances between feature vectors: nearest neighbours, and the balls around every point that
//! precision, recall, density and coverage are counted with.

use crate::products::{Block, blocks, inner_products};
use faer::Mat;

/// Below this share of the norms, |x|² + |y|² - 2 x.y has lost too many digits (and copies of a
/// point would not be at distance zero): such pairs are subtracted directly.
const CANCELLATION: f64 = 1e-6;

/// Squared distances of each pair of rows of two blocks, `[a.rows, b.rows]`.
fn squared_distances(a: &Block, b: &Block) -> Mat<f64> {
    let (norms_a, norms_b) = (a.squared_norms(), b.squared_norms());
    let mut pairs = inner_products(a, b);
    for j in 0..b.rows {
        for i in 0..a.rows {
            let norms = norms_a[i] + norms_b[j];
            let mut distance = norms - 2.0 * pairs[(i, j)];
            if distance < CANCELLATION * norms {
                distance = a.row(i).iter().zip(b.row(j)).map(|(x, y)| (x - y).powi(2)).sum();
            }
            pairs[(i, j)] = distance;
        }
    }
    pairs
}

/// Calls `visit(a, b, distances)` for each pair of blocks; the blocks of `b` vary fastest.
fn for_each_block(
    a: &[f32],
    b: &[f32],
    dimension: usize,
    mut visit: impl FnMut(&Block, &Block, &Mat<f64>),
) {
    for a in blocks(a, dimension) {
        for b in blocks(b, dimension) {
            visit(&a, &b, &squared_distances(&a, &b));
        }
    }
}

/// Squared distance of each row to its `k`-th nearest other row.
pub fn radii(features: &[f32], dimension: usize, k: usize, result: &mut [f64]) {
    // The k smallest distances of every row so far, ascending.
    let mut smallest = vec![f64::INFINITY; result.len() * k];
    let mut add = |row: usize, distance: f64| {
        let best = &mut smallest[row * k..(row + 1) * k];
        if distance < best[k - 1] {
            let at = best.partition_point(|&x| x <= distance);
            best[at..].rotate_right(1);
            best[at] = distance;
        }
    };
    for a in blocks(features, dimension) {
        // Distances are symmetric: those to earlier blocks count for both sides.
        for b in blocks(&features[..(a.start + a.rows) * dimension], dimension) {
            let distances = squared_distances(&a, &b);
            for j in 0..b.rows {
                for i in 0..a.rows {
                    if a.start == b.start {
                        if i != j {
                            add(a.start + i, distances[(i, j)]);
                        }
                    } else {
                        add(a.start + i, distances[(i, j)]);
                        add(b.start + j, distances[(i, j)]);
                    }
                }
            }
        }
    }
    for (radius, best) in result.iter_mut().zip(smallest.chunks_exact(k)) {
        *radius = best[k - 1];
    }
}

/// The nearest row of `references` for each row of `queries`.
pub fn nearest(
    queries: &[f32],
    references: &[f32],
    dimension: usize,
    index: &mut [u32],
    distance: &mut [f64],
) {
    distance.fill(f64::INFINITY);
    index.fill(0);
    for_each_block(queries, references, dimension, |a, b, distances| {
        for i in 0..a.rows {
            for j in 0..b.rows {
                if distances[(i, j)] < distance[a.start + i] {
                    distance[a.start + i] = distances[(i, j)];
                    index[a.start + i] = (b.start + j) as u32;
                }
            }
        }
    });
}

/// See [`crate::manifold_counts`].
pub fn manifold_counts(
    real: &[f32],
    radii_real: &[f64],
    fake: &[f32],
    radii_fake: &[f64],
    dimension: usize,
) -> [f64; 4] {
    let mut fake_in_real = vec![false; radii_fake.len()];
    let mut real_in_fake = vec![false; radii_real.len()];
    let mut covered = vec![false; radii_real.len()];
    let mut inside = 0u64;
    for_each_block(real, fake, dimension, |a, b, distances| {
        for j in 0..b.rows {
            let fake = b.start + j;
            for i in 0..a.rows {
                let real = a.start + i;
                let distance = distances[(i, j)];
                fake_in_real[fake] |= distance <= radii_real[real];
                real_in_fake[real] |= distance <= radii_fake[fake];
                let strictly = distance < radii_real[real];
                covered[real] |= strictly;
                inside += u64::from(strictly);
            }
        }
    });
    let count = |flags: &[bool]| flags.iter().filter(|&&flag| flag).count() as f64;
    [count(&fake_in_real), count(&real_in_fake), inside as f64, count(&covered)]
}
