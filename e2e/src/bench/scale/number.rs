//! Counts as floating-point numbers. Those of a benchmark are far below 2^52.

/// A count.
#[must_use]
#[expect(clippy::cast_precision_loss, reason = "counts are small")]
pub fn float(count: u64) -> f64 {
    count as f64
}

/// A count of objects.
#[must_use]
pub fn size(count: usize) -> f64 {
    float(u64::try_from(count).unwrap_or(u64::MAX))
}

/// A count per unit. Without units, the count itself.
#[must_use]
pub fn each(count: f64, units: usize) -> f64 {
    count / size(units.max(1))
}
