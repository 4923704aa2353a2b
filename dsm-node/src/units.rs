//! Sizes, durations and probabilities as people write them.

use std::time::Duration;

/// Reads `64GiB`, `512MiB`, `4096`: bytes, with binary units.
pub fn size(text: &str) -> Result<u64, String> {
    let units = [("TiB", 40), ("GiB", 30), ("MiB", 20), ("KiB", 10), ("B", 0)];
    let wrong = || format!("`{text}` is not a size; write a whole number with KiB, MiB, GiB or TiB, such as 64GiB");
    let (digits, shift) =
        units.iter().find_map(|(unit, shift)| Some((text.strip_suffix(unit)?, *shift))).unwrap_or((text, 0));
    let count: u64 = whole(digits).ok_or_else(wrong)?;
    count.checked_mul(1 << shift).ok_or_else(|| format!("`{text}` is more than any machine can address"))
}

/// Reads `2ms`, `500us`, `1s`, up to [`DELAY_MAX`].
pub fn delay(text: &str) -> Result<Duration, String> {
    let wrong = || format!("`{text}` is not a time; write a whole number with us, ms or s, such as 2ms");
    let units = [("us", 1), ("ms", 1_000), ("s", 1_000_000)];
    let (digits, micros) =
        units.iter().find_map(|(unit, micros)| Some((text.strip_suffix(unit)?, *micros))).ok_or_else(wrong)?;
    let count: u64 = whole(digits).ok_or_else(wrong)?;
    match count.checked_mul(micros).map(Duration::from_micros) {
        Some(delay) if delay <= DELAY_MAX => Ok(delay),
        _ => Err(format!(
            "{text} is too long: a node that is silent for seconds looks dead; use {} s at most",
            DELAY_MAX.as_secs()
        )),
    }
}

/// The longest delay: silence of a few seconds counts as death.
const DELAY_MAX: Duration = Duration::from_secs(1);

/// Reads `5%` or `0.05`.
pub fn probability(text: &str) -> Result<f64, String> {
    rpc::impair::parse_probability(text).map_err(|error| error.to_string())
}

/// Digits and nothing else; the standard parser would also take a sign.
fn whole(text: &str) -> Option<u64> {
    let digits = text.trim_end();
    digits.bytes().all(|byte| byte.is_ascii_digit()).then(|| digits.parse().ok())?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_size_is_a_number_with_a_binary_unit() {
        assert_eq!(size("4096"), Ok(4096));
        assert_eq!(size("64GiB"), Ok(64 << 30));
        assert_eq!(size("1 TiB"), Ok(1 << 40));
        assert_eq!(size("12B"), Ok(12));
    }

    #[test]
    fn a_size_that_is_none_or_too_large_is_refused() {
        for text in ["", "GiB", "-1", "+1", "1.5GiB", "1GB", "99999999999999999999", "99999999999TiB"] {
            assert!(size(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_delay_needs_a_unit() {
        assert_eq!(delay("2ms"), Ok(Duration::from_millis(2)));
        assert_eq!(delay("500us"), Ok(Duration::from_micros(500)));
        assert_eq!(delay("1s"), Ok(Duration::from_secs(1)));
        for text in ["", "2", "ms", "-2ms", "2h", "99999999999999999999s", "20s"] {
            assert!(delay(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_probability_is_a_fraction_or_a_percentage() {
        assert_eq!(probability("0.05"), Ok(0.05));
        assert_eq!(probability("5%"), Ok(0.05));
        for text in ["", "five", "101%", "-1%", "NaN"] {
            assert!(probability(text).is_err(), "{text}");
        }
    }
}
