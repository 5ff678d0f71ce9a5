//! Products of small matrices on one thread, without a copy of either side.

use gemm::Parallelism;

/// A matrix as a product reads it: rows one after the other in memory, or the transpose of such a matrix.
#[derive(Debug, Clone, Copy)]
pub(super) struct Matrix<'a> {
    numbers: &'a [f32],
    rows: usize,
    columns: usize,
    transposed: bool,
}

impl<'a> Matrix<'a> {
    /// `rows` rows in `numbers`, which hold nothing else.
    #[inline]
    pub fn new(numbers: &'a [f32], rows: usize) -> Self {
        let columns = numbers.len() / rows.max(1);
        assert_eq!(numbers.len(), rows * columns, "a matrix has equal rows");
        Self { numbers, rows, columns, transposed: false }
    }

    /// The transpose.
    #[inline]
    pub fn t(self) -> Self {
        Self { rows: self.columns, columns: self.rows, transposed: !self.transposed, ..self }
    }

    /// Distance in memory from a column to the next, and from a row to the next.
    fn strides(&self) -> (isize, isize) {
        // A slice is never longer than isize::MAX.
        if self.transposed { (self.rows.cast_signed(), 1) } else { (1, self.columns.cast_signed()) }
    }
}

/// `out += a b`, row-major.
pub(super) fn add_product(out: &mut [f32], a: Matrix<'_>, b: Matrix<'_>) {
    product(out, a, b, true);
}

/// `out = a b`, row-major.
pub(super) fn set_product(out: &mut [f32], a: Matrix<'_>, b: Matrix<'_>) {
    product(out, a, b, false);
}

fn product(out: &mut [f32], a: Matrix<'_>, b: Matrix<'_>, add: bool) {
    assert_eq!(a.columns, b.rows, "the inner sides of a product are equal");
    assert_eq!(out.len(), a.rows * b.columns, "a product has the outer sides");
    let ((a_column, a_row), (b_column, b_row)) = (a.strides(), b.strides());
    // SAFETY: the strides and sides of `a` and `b` reach every number of their slices once and none beyond, the sides
    // of the product are those of `out`, which nobody else holds. Burn's own product would write each result into new
    // memory: with its operations instead of `residual` a training step took 1.5 times as long.
    unsafe {
        gemm::gemm(
            a.rows,
            b.columns,
            a.columns,
            out.as_mut_ptr(),
            1,
            b.columns.cast_signed(),
            add,
            a.numbers.as_ptr(),
            a_column,
            a_row,
            b.numbers.as_ptr(),
            b_column,
            b_row,
            1.0,
            1.0,
            false,
            false,
            false,
            Parallelism::None,
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn multiplies_and_adds() {
        let a = [1.0, 2.0, 3.0, 4.0, 5.0, 6.0];
        let b = [1.0, -1.0, 0.5, 2.0, 0.0, 1.0];
        let mut out = [0.0; 4];
        set_product(&mut out, Matrix::new(&a, 2), Matrix::new(&b, 3));
        assert_eq!(out, [2.0, 6.0, 6.5, 12.0]);
        add_product(&mut out, Matrix::new(&a, 2), Matrix::new(&b, 3));
        assert_eq!(out, [4.0, 12.0, 13.0, 24.0]);
        let mut square = [0.0; 9];
        set_product(&mut square, Matrix::new(&a, 2).t(), Matrix::new(&b, 3).t());
        assert_eq!(square, [-3.0, 8.5, 4.0, -3.0, 11.0, 5.0, -3.0, 13.5, 6.0]);
    }
}
