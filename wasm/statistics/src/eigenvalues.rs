//! The eigenvalues of a symmetric matrix: reduction to tridiagonal form by Householder reflections,
//! in panels whose effect on the rest of the matrix is a product (Dongarra, Hammarling and Sorensen
//! 1989, "Block reduction of matrices to condensed forms"; LAPACK's dsytrd), then implicit QL.

use crate::product::{Part, View, add_product, cut};
use core::arch::wasm32::*;

/// Reflections whose effect on the rest of the matrix is put off.
const PANEL: usize = 32;

/// The eigenvalues, in no order, of a row-major `[n, n]` matrix of which the upper triangle counts;
/// the matrix is overwritten. None when they cannot be found, as of numbers that are not finite.
pub fn eigenvalues(matrix: &mut [f64], n: usize) -> Option<Vec<f64>> {
    // Squares of the elements must not overflow.
    let largest = matrix.iter().fold(0.0f64, |most, x| if x.abs() > most { x.abs() } else { most });
    if largest == 0.0 {
        return matrix.iter().all(|x| *x == 0.0).then(|| vec![0.0; n]);
    }
    if !largest.is_finite() {
        return None;
    }
    let scale = 2f64.powi(-(largest.log2() as i32));
    for value in matrix.iter_mut() {
        *value *= scale;
    }
    let (mut diagonal, mut beside) = tridiagonal(matrix, n);
    ql(&mut diagonal, &mut beside).then(|| diagonal.iter().map(|x| x / scale).collect())
}

/// The diagonal `[n]` and what is beside it, `[n - 1]`, of a similar tridiagonal matrix.
pub fn tridiagonal(matrix: &mut [f64], n: usize) -> (Vec<f64>, Vec<f64>) {
    let (mut diagonal, mut beside) = (vec![0.0; n], vec![0.0; n.saturating_sub(1)]);
    // The vectors v of the reflections above w, and the same in the other order: what has been put
    // off is A - V^T W - W^T V.
    let mut vw = vec![0.0; 2 * PANEL * n];
    let mut wv = vec![0.0; 2 * PANEL * n];
    let mut w = vec![0.0; n];
    for panel in cut(0..n, PANEL) {
        let size = panel.len();
        vw.fill(0.0);
        wv.fill(0.0);
        for i in panel.clone() {
            let t = i - panel.start;
            let row = &mut matrix[i * n + i..(i + 1) * n];
            for s in 0..t {
                let (v, w) = (&vw[s * n..][..n], &wv[s * n..][..n]);
                subtract_two(row, (w[i], &v[i..]), (v[i], &w[i..]));
            }
            diagonal[i] = row[0];
            if i + 1 == n {
                break;
            }
            let tau = reflection(&mut row[1..], &mut beside[i]);
            let v = &mut vw[t * n..][..n];
            v[i + 1..].copy_from_slice(&row[1..]);
            let w = &mut w[..n - i - 1];
            symmetric_times_vector(&matrix[(i + 1) * n + i + 1..], n, &vw[t * n + i + 1..][..n - i - 1], w);
            let (before, own) = vw.split_at_mut(t * n);
            let v = &own[i + 1..n];
            for s in 0..t {
                let (other_v, other_w) = (&before[s * n..][i + 1..n], &wv[s * n..][i + 1..n]);
                let (of_w, of_v) = two_products(other_w, other_v, v);
                subtract_two(w, (of_w, other_v), (of_v, other_w));
            }
            let half = 0.5 * tau * tau * w.iter().zip(v).map(|(x, y)| x * y).sum::<f64>();
            for (value, v) in w.iter_mut().zip(v) {
                *value = tau * *value - half * v;
            }
            wv[t * n..][i + 1..n].copy_from_slice(w);
        }
        let end = panel.end;
        if end < n {
            for s in 0..size {
                let (v, w) = (s * n..(s + 1) * n, (PANEL + s) * n..(PANEL + s + 1) * n);
                vw[w.clone()].copy_from_slice(&wv[v.clone()]);
                wv[w].copy_from_slice(&vw[v]);
            }
            let left = View::new(&vw[end..], 2 * PANEL, n - end, n).transposed();
            let right = View::new(&wv[end..], 2 * PANEL, n - end, n);
            add_product(&mut matrix[end * n + end..], n, Part::Upper, -1.0, left, right);
        }
    }
    (diagonal, beside)
}

/// Replaces x by v with v[0] = 1, such that 1 - tau v v^T takes x to the first axis; returns tau,
/// and what x becomes there. Tau is zero where x lies there already.
fn reflection(x: &mut [f64], becomes: &mut f64) -> f64 {
    let first = x[0];
    let rest: f64 = x[1..].iter().map(|x| x * x).sum();
    x[0] = 1.0;
    if rest == 0.0 {
        *becomes = first;
        x[1..].fill(0.0);
        return 0.0;
    }
    let length = (first * first + rest).sqrt();
    *becomes = if first > 0.0 { -length } else { length };
    let scale = 1.0 / (first - *becomes);
    for value in &mut x[1..] {
        *value *= scale;
    }
    (*becomes - first) / *becomes
}

/// y -= a x + b z
fn subtract_two(y: &mut [f64], (a, x): (f64, &[f64]), (b, z): (f64, &[f64])) {
    for ((y, x), z) in y.iter_mut().zip(x).zip(z) {
        *y -= a * x + b * z;
    }
}

/// x.z and y.z
fn two_products(x: &[f64], y: &[f64], z: &[f64]) -> (f64, f64) {
    const LANES: usize = 4;
    let mut sums = [[0.0; LANES]; 2];
    let ((x, x_tail), (y, y_tail), (z, z_tail)) =
        (x.as_chunks::<LANES>(), y.as_chunks::<LANES>(), z.as_chunks::<LANES>());
    for ((x, y), z) in x.iter().zip(y).zip(z) {
        for i in 0..LANES {
            sums[0][i] += x[i] * z[i];
            sums[1][i] += y[i] * z[i];
        }
    }
    let tail = |x: &[f64]| x.iter().zip(z_tail).map(|(x, z)| x * z).sum::<f64>();
    (sums[0].iter().sum::<f64>() + tail(x_tail), sums[1].iter().sum::<f64>() + tail(y_tail))
}

/// y = A x for a symmetric matrix of which the upper triangle counts, rows `stride` apart. Every
/// element is loaded once, for both of the places where it belongs.
fn symmetric_times_vector(matrix: &[f64], stride: usize, x: &[f64], y: &mut [f64]) {
    const ROWS: usize = 4;
    let n = x.len();
    y.fill(0.0);
    let mut first = 0;
    while first + ROWS <= n {
        let mut sums = [0.0; ROWS];
        for i in 0..ROWS {
            let row = &matrix[(first + i) * stride..][..n];
            sums[i] += row[first + i] * x[first + i];
            for j in i + 1..ROWS {
                sums[i] += row[first + j] * x[first + j];
                sums[j] += row[first + j] * x[first + i];
            }
        }
        let mut column = first + ROWS;
        if column % 2 != 0 && column < n {
            for i in 0..ROWS {
                let value = matrix[(first + i) * stride + column];
                sums[i] += value * x[column];
                y[column] += value * x[first + i];
            }
            column += 1;
        }
        // SAFETY: the matrix has n columns in every row below n, and x and y have n elements.
        assert!(matrix.len() >= (first + ROWS - 1) * stride + n && y.len() == n);
        let pairs = (n - column) / 2;
        let added = unsafe {
            four_rows(
                matrix.as_ptr().add(first * stride + column),
                stride,
                &x[first..first + ROWS],
                x.as_ptr().add(column),
                y.as_mut_ptr().add(column),
                pairs,
            )
        };
        column += 2 * pairs;
        if column < n {
            for i in 0..ROWS {
                let value = matrix[(first + i) * stride + column];
                sums[i] += value * x[column];
                y[column] += value * x[first + i];
            }
        }
        for i in 0..ROWS {
            y[first + i] += sums[i] + added[i];
        }
        first += ROWS;
    }
    for i in first..n {
        let row = &matrix[i * stride..][..n];
        y[i] += row[i] * x[i];
        for j in i + 1..n {
            y[i] += row[j] * x[j];
            y[j] += row[j] * x[i];
        }
    }
}

/// For `pairs` of columns of four rows: adds their share to y, and returns the rows times x.
#[target_feature(enable = "relaxed-simd")]
unsafe fn four_rows(
    matrix: *const f64,
    stride: usize,
    own: &[f64],
    x: *const f64,
    y: *mut f64,
    pairs: usize,
) -> [f64; 4] {
    unsafe {
        let own = [0, 1, 2, 3].map(|i| f64x2_splat(own[i]));
        let rows = [0, 1, 2, 3].map(|i| matrix.add(i * stride));
        let mut sums = [f64x2_splat(0.0); 4];
        for pair in 0..pairs {
            let at = 2 * pair;
            let values = [0, 1, 2, 3].map(|i| v128_load(rows[i].add(at).cast()));
            let x = v128_load(x.add(at).cast());
            let to = y.add(at).cast();
            let mut sum = v128_load(to);
            for i in 0..4 {
                sums[i] = f64x2_relaxed_madd(values[i], x, sums[i]);
                sum = f64x2_relaxed_madd(values[i], own[i], sum);
            }
            v128_store(to, sum);
        }
        sums.map(|sum| f64x2_extract_lane::<0>(sum) + f64x2_extract_lane::<1>(sum))
    }
}

/// Replaces the diagonal by the eigenvalues (the QL method with implicit shifts, EISPACK's imtql1).
/// False when it does not converge.
pub fn ql(diagonal: &mut [f64], beside: &mut Vec<f64>) -> bool {
    const MOST: usize = 60;
    /// Rounds after which an element counts as small beside the whole matrix, no longer beside its
    /// neighbours: among eigenvalues that are zero but for rounding the latter may never happen.
    const PATIENCE: usize = 30;
    let n = diagonal.len();
    let d = diagonal;
    beside.push(0.0);
    let e = beside;
    let norm = d.iter().chain(e.iter()).fold(0.0f64, |most, x| most.max(x.abs()));
    for l in 0..n {
        for round in 0.. {
            let floor = if round < PATIENCE { 0.0 } else { norm };
            // The first small element beside the diagonal cuts the matrix in two.
            let m = (l..n - 1)
                .find(|&m| e[m].abs() <= f64::EPSILON * (d[m].abs() + d[m + 1].abs()).max(floor))
                .unwrap_or(n - 1);
            if m == l {
                break;
            }
            if round == MOST || !e[l].is_finite() {
                return false;
            }
            let g = (d[l + 1] - d[l]) / (2.0 * e[l]);
            let r = (g * g + 1.0).sqrt();
            let mut g = d[m] - d[l] + e[l] / (g + r.copysign(g));
            let (mut s, mut c, mut p) = (1.0, 1.0, 0.0);
            let mut early = false;
            for i in (l..m).rev() {
                let f = s * e[i];
                let b = c * e[i];
                let r = (f * f + g * g).sqrt();
                e[i + 1] = r;
                if r == 0.0 {
                    d[i + 1] -= p;
                    e[m] = 0.0;
                    early = true;
                    break;
                }
                s = f / r;
                c = g / r;
                g = d[i + 1] - p;
                let r = (d[i] - g) * s + 2.0 * c * b;
                p = s * r;
                d[i + 1] = g + p;
                g = c * r - b;
            }
            if !early {
                d[l] -= p;
                e[l] = g;
                e[m] = 0.0;
            }
        }
    }
    true
}
