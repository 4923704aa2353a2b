//! Which ratios say something, and what they are held to.

use std::fmt;

use serde::Serialize;
use yardstick::plan::names;

use crate::figure::Figure;

/// What a number is held to.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Limit {
    /// Less is better.
    AtMost(f64),
    /// More is better.
    AtLeast(f64),
    /// Neither, within a hundredth.
    About(f64),
}

impl Limit {
    /// Whether this is good enough.
    pub fn holds(self, value: f64) -> bool {
        match self {
            Limit::AtMost(limit) => value <= limit,
            Limit::AtLeast(limit) => value >= limit,
            Limit::About(limit) => (value / limit - 1.0).abs() <= 0.01,
        }
    }
}

impl fmt::Display for Limit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Limit::AtMost(limit) => write!(f, "at most {limit}"),
            Limit::AtLeast(limit) => write!(f, "at least {limit}"),
            Limit::About(limit) => write!(f, "about {limit}"),
        }
    }
}

/// A number that says something, and what it is held to if anything.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Ratio {
    /// `A_to_B`, or the figure's own name.
    pub name: String,
    /// The number.
    pub ratio: f64,
    /// What stands above the line.
    pub of: String,
    /// What stands below it; nothing for a figure that is held to a bar itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub to: Option<String>,
    /// What it is held to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bar: Option<Limit>,
    /// Whether it holds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub holds: Option<bool>,
}

/// Which number of a figure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Percentile {
    P50,
    P99,
}

impl Percentile {
    fn of(self, figure: &Figure) -> f64 {
        match self {
            Percentile::P50 => figure.p50,
            Percentile::P99 => figure.p99,
        }
    }

    fn suffix(self) -> &'static str {
        match self {
            Percentile::P50 => "",
            Percentile::P99 => "_p99",
        }
    }
}

/// Collects the ratios of figures that were measured.
pub struct Ratios<'f> {
    figures: &'f [Figure],
    ratios: Vec<Ratio>,
}

impl<'f> Ratios<'f> {
    /// None yet.
    pub fn new(figures: &'f [Figure]) -> Self {
        Ratios { figures, ratios: Vec::new() }
    }

    /// All that were made.
    pub fn done(self) -> Vec<Ratio> {
        self.ratios
    }

    fn find(&self, name: &str) -> Option<&'f Figure> {
        self.figures.iter().find(|figure| figure.name == name)
    }

    fn push(&mut self, percentile: Percentile, of: &str, to: Option<&str>, bar: Option<Limit>) {
        let Some(above) = self.find(of) else { return };
        let below = match to {
            Some(to) => match self.find(to) {
                Some(figure) => percentile.of(figure),
                None => return,
            },
            None => 1.0,
        };
        let ratio = percentile.of(above) / below;
        let suffix = percentile.suffix();
        let of = format!("{of}{suffix}");
        let to = to.map(|to| format!("{to}{suffix}"));
        let name = to.as_ref().map_or_else(|| of.clone(), |to| format!("{of}_to_{to}"));
        self.ratios.push(Ratio { name, ratio, of, to, bar, holds: bar.map(|bar| bar.holds(ratio)) });
    }

    /// Median to median; nothing if either was not measured.
    pub fn median(&mut self, of: &str, to: &str, bar: Option<Limit>) {
        self.push(Percentile::P50, of, Some(to), bar);
    }

    /// The slowest hundredth of one to that of the other.
    pub fn slowest(&mut self, of: &str, to: &str, bar: Option<Limit>) {
        self.push(Percentile::P99, of, Some(to), bar);
    }

    /// A figure that is held to a bar itself.
    pub fn figure(&mut self, of: &str, bar: Limit) {
        self.push(Percentile::P50, of, None, Some(bar));
    }
}

/// What calls are held to.
pub fn calls(figures: &[Figure]) -> Vec<Ratio> {
    use Limit::{About, AtLeast, AtMost};
    let mut ratios = Ratios::new(figures);
    let null = names::null_call;
    ratios.median(&null("rpc_plain_polling"), &null("udp_polling"), Some(AtMost(1.3)));
    ratios.slowest(&null("rpc_plain_polling"), &null("udp_polling"), Some(AtMost(2.0)));
    ratios.median(&null("rpc_encrypted_polling"), &null("udp_polling"), Some(AtMost(1.5)));
    ratios.slowest(&null("rpc_encrypted_polling"), &null("udp_polling"), Some(AtMost(2.0)));
    ratios.median(&null("rpc_plain_sleeping"), &null("udp_sleeping"), Some(AtMost(1.2)));
    ratios.median(&null("rpc_encrypted_sleeping"), &null("udp_sleeping"), None);
    ratios.slowest(&null("rpc_plain_sleeping"), &null("udp_sleeping"), None);
    for (peer, limit) in [("tarpc", 0.65), ("tonic", 0.45), ("quinn", 0.6)] {
        ratios.median(&null("rpc_plain_sleeping"), &null(peer), Some(AtMost(limit)));
        ratios.median(&null("rpc_plain_sleeping_async"), &null(peer), None);
    }
    ratios.figure(&names::datagrams("rpc_plain_sleeping"), AtMost(2.01));
    ratios.figure(&names::datagrams("rpc_plain_sleeping_explicit"), About(4.0));
    for (peer, limit) in [("tarpc", 2.0), ("tonic", 5.0)] {
        ratios.median(&names::rate("rpc_plain_polling_async", 64), &names::rate(peer, 64), Some(AtLeast(limit)));
        ratios.median(&names::rate("rpc_plain_sleeping_async", 64), &names::rate(peer, 64), None);
    }
    let result = names::result;
    ratios.median(&result("rpc_plain_polling"), &names::bulk("udp_polling"), Some(AtLeast(0.7)));
    ratios.median(&result("rpc_encrypted_polling"), &names::bulk("udp_polling"), Some(AtLeast(0.5)));
    ratios.median(&result("rpc_plain_polling"), &result("udp_polling"), None);
    ratios.median(&result("rpc_plain_sleeping"), &names::bulk("udp_sleeping"), None);
    ratios.median(&result("rpc_plain_sleeping"), &result("udp_sleeping"), None);
    for (peer, limit) in [("tonic", 1.0), ("quinn", 2.5)] {
        ratios.median(&result("rpc_plain_polling"), &result(peer), Some(AtLeast(limit)));
        ratios.median(&result("rpc_encrypted_polling"), &result(peer), Some(AtLeast(limit)));
        ratios.median(&result("rpc_plain_sleeping"), &result(peer), None);
    }
    ratios.done()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::figure::Unit;

    #[test]
    fn a_ratio_has_its_bar_and_says_whether_it_holds() {
        let figure = |name: &str, value| Figure::of(name, Unit::Microseconds, vec![value; 10]);
        let figures = [figure("a", 3.0), figure("b", 2.0)];
        let mut ratios = Ratios::new(&figures);
        ratios.median("a", "b", Some(Limit::AtMost(1.2)));
        ratios.slowest("a", "b", Some(Limit::AtLeast(1.5)));
        ratios.median("a", "nothing", None);
        ratios.figure("b", Limit::AtMost(2.01));
        let ratios = ratios.done();
        let names: Vec<_> = ratios.iter().map(|ratio| ratio.name.as_str()).collect();
        assert_eq!(names, ["a_to_b", "a_p99_to_b_p99", "b"]);
        let holds: Vec<_> = ratios.iter().map(|ratio| (ratio.ratio, ratio.holds)).collect();
        assert_eq!(holds, [(1.5, Some(false)), (1.5, Some(true)), (2.0, Some(true))]);
    }
}
