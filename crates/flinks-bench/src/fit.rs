//! Computes the exponent of growth.

/// Returns the exponent `k` for which `cost = c * size^k` fits the points best: the slope of the
/// least-squares line through their logarithms.
///
/// Returns `None` if fewer than two different sizes have a positive cost.
pub fn exponent(points: &[(f64, f64)]) -> Option<f64> {
    let logarithms: Vec<(f64, f64)> = points
        .iter()
        .filter(|(size, cost)| *size > 0.0 && *cost > 0.0)
        .map(|(size, cost)| (size.ln(), cost.ln()))
        .collect();
    let number = logarithms.len() as f64;
    let mean = |value: fn(&(f64, f64)) -> f64| logarithms.iter().map(value).sum::<f64>() / number;
    let (x_mean, y_mean) = (mean(|point| point.0), mean(|point| point.1));
    let covariance: f64 = logarithms.iter().map(|(x, y)| (x - x_mean) * (y - y_mean)).sum();
    let variance: f64 = logarithms.iter().map(|(x, _)| (x - x_mean).powi(2)).sum();
    (variance > 0.0).then(|| covariance / variance)
}

/// Returns the exponent for the larger half of the points, including at least the two largest.
/// At small sizes, fixed costs hide the growth.
pub fn exponent_of_larger_half(points: &[(f64, f64)]) -> Option<f64> {
    let mut points = points.to_vec();
    points.sort_by(|a, b| a.0.total_cmp(&b.0));
    let start = (points.len() / 2).min(points.len().saturating_sub(2));
    exponent(&points[start..])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn points(cost: fn(f64) -> f64) -> Vec<(f64, f64)> {
        [1.0, 10.0, 100.0, 1000.0].map(|size| (size, cost(size))).to_vec()
    }

    #[track_caller]
    fn assert_close(actual: Option<f64>, expected: f64) {
        let actual = actual.unwrap();
        assert!((actual - expected).abs() < 1e-9, "{actual} is not {expected}");
    }

    #[test]
    fn exponent_of_a_power_is_exact() {
        assert_close(exponent(&points(|_| 7.0)), 0.0);
        assert_close(exponent(&points(|size| 3.0 * size)), 1.0);
        assert_close(exponent(&points(|size| size * size)), 2.0);
    }

    #[test]
    fn fixed_cost_hides_less_of_the_growth_in_the_larger_half() {
        let points = points(|size| 100.0 + size * size);
        let (whole, larger) = (exponent(&points).unwrap(), exponent_of_larger_half(&points).unwrap());
        assert!(whole < 1.5, "{whole}");
        assert!(larger > 1.9, "{larger}");
    }

    #[test]
    fn one_size_has_no_exponent() {
        assert_eq!(exponent(&[]), None);
        assert_eq!(exponent(&[(10.0, 1.0)]), None);
        assert_eq!(exponent(&[(10.0, 1.0), (10.0, 2.0)]), None);
        assert_eq!(exponent(&[(10.0, 1.0), (100.0, 0.0)]), None);
    }
}
