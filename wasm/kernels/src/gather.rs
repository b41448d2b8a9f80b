//! Rows of a table by number, and their sums back into it.

use crate::fill::copy;

#[repr(C)]
pub struct Gather {
    vocabulary: u32,
    count: u32,
    width: u32,
    /// Rows of the result that a task makes.
    share: u32,
    index: *const i32,
    source: *const f32,
    target: *mut f32,
}

impl Gather {
    fn range(&self, task: usize, total: u32) -> core::ops::Range<usize> {
        let share = self.share as usize;
        task * share..(task * share + share).min(total as usize)
    }

    unsafe fn zero(&self, row: usize) {
        let width = self.width as usize;
        unsafe { core::ptr::write_bytes(self.target.add(row * width), 0, width) };
    }
}

/// target[i] = source[index[i]], or zeros where the index is outside the table.
pub unsafe fn gather(p: &Gather, task: usize) {
    let width = p.width as usize;
    for i in p.range(task, p.count) {
        unsafe {
            let row = *p.index.add(i);
            if row >= 0 && (row as u32) < p.vocabulary {
                copy(
                    p.target.add(i * width),
                    p.source.add(row as usize * width),
                    width,
                );
            } else {
                p.zero(i);
            }
        }
    }
}

/// target[v] = sum of source[i] over the i with index[i] = v, in order.
pub unsafe fn scatter_add(p: &Gather, task: usize) {
    let width = p.width as usize;
    let rows = p.range(task, p.vocabulary);
    unsafe {
        for row in rows.clone() {
            p.zero(row);
        }
        for i in 0..p.count as usize {
            let row = *p.index.add(i);
            if row >= 0 && rows.contains(&(row as usize)) {
                let to = p.target.add(row as usize * width);
                let from = p.source.add(i * width);
                for j in 0..width {
                    *to.add(j) += *from.add(j);
                }
            }
        }
    }
}
