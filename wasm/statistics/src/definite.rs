//! Whether a symmetric matrix can be a covariance.

use crate::cholesky::cholesky;
use crate::eigenvalues::eigenvalues;

/// The smallest eigenvalue where it is below `-slack`, else 0; NaN where it cannot be found.
///
/// A Cholesky factor of `matrix + slack I` exists exactly when there is no such eigenvalue, and
/// takes a fraction of the time of the eigenvalues, which are for the message only.
pub fn negative_eigenvalue(matrix: &[f64], n: usize, slack: f64) -> f64 {
    let mut work = matrix.to_vec();
    for i in 0..n {
        work[i * n + i] += slack;
    }
    if cholesky(&mut work, n) {
        return 0.0;
    }
    work.copy_from_slice(matrix);
    match eigenvalues(&mut work, n) {
        Some(values) => {
            let smallest = values.into_iter().fold(f64::INFINITY, f64::min);
            if smallest < -slack { smallest } else { 0.0 }
        }
        None => f64::NAN,
    }
}
