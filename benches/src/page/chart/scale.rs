//! Where a number lies on an axis, and which numbers stand beside it.

/// An axis from one number to another.
#[derive(Clone, Copy, Debug)]
pub struct Scale {
    low: f64,
    high: f64,
    logarithmic: bool,
}

impl Scale {
    /// From nothing to a little more than the greatest of these.
    pub fn linear(values: impl Iterator<Item = f64>) -> Scale {
        let high = values.filter(|it| it.is_finite()).fold(0.0, f64::max);
        let high = if high > 0.0 { high } else { 1.0 };
        let step = step(high);
        Scale { low: 0.0, high: (high / step - 1e-9).ceil() * step, logarithmic: false }
    }

    /// Powers of ten around these; numbers that are not positive have no place.
    pub fn logarithmic(values: impl Iterator<Item = f64>) -> Scale {
        let (low, high) = values
            .filter(|it| it.is_finite() && *it > 0.0)
            .fold((f64::INFINITY, 0.0_f64), |(low, high), it| (low.min(it), high.max(it)));
        let (low, high) = if high > 0.0 { (low, high) } else { (1.0, 10.0) };
        let (first, last) = (low.log10().floor(), high.log10().ceil());
        Scale { low: 10_f64.powf(first), high: 10_f64.powf(last.max(first + 1.0)), logarithmic: true }
    }

    /// From 0 at the lower end to 1 at the upper.
    pub fn place(&self, value: f64) -> f64 {
        let share = if self.logarithmic {
            (value.max(self.low) / self.low).ln() / (self.high / self.low).ln()
        } else {
            (value - self.low) / (self.high - self.low)
        };
        if share.is_finite() { share.clamp(0.0, 1.0) } else { 0.0 }
    }

    /// At most so many numbers that divide it evenly.
    pub fn ticks(&self, most: usize) -> Vec<f64> {
        if !self.logarithmic {
            let step = step(self.high);
            return (0..=(self.high / step).round() as usize).map(|i| i as f64 * step).collect();
        }
        let decades = (self.high / self.low).log10().round() as usize;
        let every = (decades + 1).div_ceil(most.max(2));
        (0..=decades).step_by(every).map(|i| self.low * 10_f64.powi(i as i32)).collect()
    }
}

/// 1, 2 or 5 times a power of ten, so that there are three to six steps up to here.
fn step(high: f64) -> f64 {
    let power = 10_f64.powf((high / 3.0).log10().floor());
    let rest = high / 3.0 / power;
    power
        * if rest >= 5.0 {
            5.0
        } else if rest >= 2.0 {
            2.0
        } else {
            1.0
        }
}

/// A number with a prefix and its unit, in three digits: `24.6 us`.
pub fn amount(value: f64, unit: &str) -> String {
    if value == 0.0 || !value.is_finite() {
        return format!("{value} {unit}").trim_end().to_string();
    }
    if unit.is_empty() || unit == "%" {
        return format!("{}{unit}", digits(value));
    }
    const PREFIXES: [(f64, &str); 7] =
        [(1e9, "G"), (1e6, "M"), (1e3, "k"), (1.0, ""), (1e-3, "m"), (1e-6, "u"), (1e-9, "n")];
    let (factor, prefix) = *PREFIXES
        .iter()
        .filter(|(factor, _)| unit != "s" || *factor <= 1.0)
        .find(|(factor, _)| value.abs() * 1.000_5 >= *factor)
        .unwrap_or(&(1e-9, "n"));
    format!("{} {prefix}{unit}", digits(value / factor))
}

/// Three significant digits, thousands apart.
fn digits(value: f64) -> String {
    let places = 2 - value.abs().log10().floor() as i32;
    if places < 0 {
        let step = 10_f64.powi(-places);
        return grouped(format!("{:.0}", (value / step).round() * step));
    }
    let text = format!("{value:.*}", places.min(6) as usize);
    if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.').to_string() } else { text }
}

fn grouped(digits: String) -> String {
    let count = digits.len();
    let comma = |place: usize| place > 0 && (count - place).is_multiple_of(3);
    digits.char_indices().flat_map(|(place, digit)| comma(place).then_some(',').into_iter().chain([digit])).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_have_three_digits_and_a_prefix() {
        assert_eq!(amount(24.6e-6, "s"), "24.6 us");
        assert_eq!(amount(0.001, "s"), "1 ms");
        assert_eq!(amount(976e6, "B/s"), "976 MB/s");
        assert_eq!(amount(3000.0, "s"), "3,000 s");
        assert_eq!(amount(2.0, ""), "2");
        assert_eq!(amount(0.0, "s"), "0 s");
        assert_eq!(amount(603_671.0, ""), "604,000");
        assert_eq!(amount(0.001_234, ""), "0.00123");
        assert_eq!(amount(99.96, ""), "100");
    }

    #[test]
    fn axes_reach_around_their_numbers() {
        let log = Scale::logarithmic([3e-9, 0.2].into_iter());
        assert!(log.place(3e-9) > 0.0 && log.place(0.2) < 1.0 && log.place(0.0) == 0.0);
        assert!(log.ticks(5).len() <= 5);
        let linear = Scale::linear([0.0, 37.0].into_iter());
        assert_eq!(linear.ticks(9), vec![0.0, 10.0, 20.0, 30.0, 40.0]);
        for empty in [Scale::linear([].into_iter()), Scale::logarithmic([f64::NAN].into_iter())] {
            assert!(empty.place(f64::NAN).is_finite());
        }
    }
}
