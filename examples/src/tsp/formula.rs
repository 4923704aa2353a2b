//! The two formulas by which TSPLIB turns coordinates into distances. Both give whole numbers.
//!
//! Format: G. Reinelt, "TSPLIB 95", University of Heidelberg, 1995, section 2.

/// A city's coordinates: plane ones, or latitude and longitude as degrees.minutes.
#[derive(Clone, Copy)]
pub(super) struct Point {
    pub(super) x: f64,
    pub(super) y: f64,
}

/// `EUC_2D`: the straight line, rounded to the nearest whole number.
pub(super) fn euclidean(a: Point, b: Point) -> f64 {
    ((a.x - b.x).hypot(a.y - b.y) + 0.5).floor()
}

/// `GEO`: the great circle in kilometres on the sphere that TSPLIB fixes, pi included, rounded up as TSPLIB does.
pub(super) fn geographical(a: Point, b: Point) -> f64 {
    // Not the circle's own number: the published optima belong to this one.
    #[expect(clippy::approx_constant)]
    const PI: f64 = 3.141592;
    const EARTH_RADIUS_KM: f64 = 6378.388;
    // A coordinate is written degrees.minutes. The published optima belong to degrees cut off, not rounded.
    let radians = |coordinate: f64| {
        let degrees = coordinate.trunc();
        PI * (degrees + 5.0 * (coordinate - degrees) / 3.0) / 180.0
    };
    let (latitude_a, latitude_b) = (radians(a.x), radians(b.x));
    let q1 = (radians(a.y) - radians(b.y)).cos();
    let q2 = (latitude_a - latitude_b).cos();
    let q3 = (latitude_a + latitude_b).cos();
    (EARTH_RADIUS_KM * (0.5 * ((1.0 + q1) * q2 - (1.0 - q1) * q3)).clamp(-1.0, 1.0).acos() + 1.0).floor()
}
