//! Figures: a name, a unit, percentiles.

use std::fmt;
use std::str::FromStr;

use serde::Serialize;

/// What a figure counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub enum Unit {
    /// Microseconds: less is better.
    #[serde(rename = "us")]
    Microseconds,
    /// Millions of bytes a second: more is better.
    #[serde(rename = "MB/s")]
    MegabytesPerSecond,
    /// Calls a second: more is better.
    #[serde(rename = "calls/s")]
    CallsPerSecond,
    /// Datagrams, both ways: less is better.
    #[serde(rename = "datagrams")]
    Datagrams,
    /// Seconds: less is better.
    #[serde(rename = "s")]
    Seconds,
    /// How often something was so.
    #[serde(rename = "count")]
    Count,
    /// Hundredths.
    #[serde(rename = "%")]
    Percent,
}

impl fmt::Display for Unit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Unit::Microseconds => "us",
            Unit::MegabytesPerSecond => "MB/s",
            Unit::CallsPerSecond => "calls/s",
            Unit::Datagrams => "datagrams",
            Unit::Seconds => "s",
            Unit::Count => "count",
            Unit::Percent => "%",
        })
    }
}

/// What one launch, or the median of several, says about one figure.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Figure {
    /// Its name; the same in every report.
    pub name: String,
    /// What is counted.
    pub unit: Unit,
    /// How many samples a launch took.
    pub n: usize,
    /// A tenth of the samples are below.
    pub p10: f64,
    /// Half of the samples are below.
    pub p50: f64,
    /// Nine tenths of the samples are below.
    pub p90: f64,
    /// All but a hundredth of the samples are below.
    pub p99: f64,
}

impl Figure {
    /// Sorts the samples and reads off the percentiles.
    pub fn of(name: &str, unit: Unit, mut samples: Vec<f64>) -> Figure {
        samples.sort_by(f64::total_cmp);
        let at = |hundredths: usize| samples.get(samples.len() * hundredths / 100).copied().unwrap_or(f64::NAN);
        Figure { name: name.to_string(), unit, n: samples.len(), p10: at(10), p50: at(50), p90: at(90), p99: at(99) }
    }

    /// The median, for each percentile, of the same figure from several launches. Of launches with one sample each, the percentiles
    /// of the samples.
    pub fn median(launches: &[Figure]) -> Option<Figure> {
        let first = launches.first()?;
        if launches.iter().all(|launch| launch.n == 1) {
            let samples = launches.iter().map(|launch| launch.p50).collect();
            return Some(Figure { n: 1, ..Figure::of(&first.name, first.unit, samples) });
        }
        let middle = |of: fn(&Figure) -> f64| {
            let mut values: Vec<f64> = launches.iter().map(of).collect();
            values.sort_by(f64::total_cmp);
            values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
        };
        Some(Figure {
            p10: middle(|figure| figure.p10),
            p50: middle(|figure| figure.p50),
            p90: middle(|figure| figure.p90),
            p99: middle(|figure| figure.p99),
            ..first.clone()
        })
    }
}

/// One line for a process to print; [`Figure::from_str`] is its inverse.
impl fmt::Display for Figure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Figure { name, unit, n, p10, p50, p90, p99 } = self;
        write!(f, "{name} {unit} {n} {p10:.4} {p50:.4} {p90:.4} {p99:.4}")
    }
}

impl FromStr for Figure {
    type Err = String;

    fn from_str(line: &str) -> Result<Figure, String> {
        let wrong = || format!("`{line}` is no figure");
        let words: Vec<&str> = line.split(' ').collect();
        let [name, unit, n, p10, p50, p90, p99] = words[..] else { return Err(wrong()) };
        let unit = match unit {
            "us" => Unit::Microseconds,
            "MB/s" => Unit::MegabytesPerSecond,
            "calls/s" => Unit::CallsPerSecond,
            "datagrams" => Unit::Datagrams,
            "s" => Unit::Seconds,
            "count" => Unit::Count,
            "%" => Unit::Percent,
            _ => return Err(wrong()),
        };
        let number = |word: &str| word.parse::<f64>().map_err(|_| wrong());
        Ok(Figure {
            name: name.to_string(),
            unit,
            n: n.parse().map_err(|_| wrong())?,
            p10: number(p10)?,
            p50: number(p50)?,
            p90: number(p90)?,
            p99: number(p99)?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_figure_survives_its_line() {
        let figure = Figure::of("remote_read_fault", Unit::Microseconds, (0..1000).map(f64::from).collect());
        assert_eq!((figure.p10, figure.p50, figure.p90, figure.p99), (100.0, 500.0, 900.0, 990.0));
        assert_eq!(figure.to_string().parse(), Ok(figure));
        assert!("nonsense".parse::<Figure>().is_err());
        assert!("a us 1 2 3 4 x".parse::<Figure>().is_err());
    }

    #[test]
    fn the_median_of_launches_is_not_moved_by_a_slow_one() {
        let launch = |value: f64| Figure::of("x", Unit::Microseconds, vec![value; 10]);
        assert_eq!(Figure::median(&[launch(1.0), launch(100.0), launch(2.0)]).unwrap().p50, 2.0);
        assert_eq!(Figure::median(&[]), None);
    }
}
