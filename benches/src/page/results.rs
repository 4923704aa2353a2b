//! What the report is drawn from, and what `results.json` holds.

use examples::figures::Totals;
use serde::{Deserialize, Serialize};

use crate::report::Machine;

/// Everything that was measured.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Results {
    /// What was run.
    pub command: String,
    /// Seconds that one access takes, from a cached load to a lost packet.
    pub ladder: Part<Bar>,
    /// The jobs in all forms, at the base case.
    pub jobs: Part<Job>,
    /// Seconds a page against accesses a page.
    pub crossing: Part<Series>,
    /// Seconds an access against the fraction of accesses that write.
    pub writes: Part<Series>,
    /// Seconds a store against how many nodes store to one page.
    pub sharing: Part<Series>,
    /// Bytes a second against the fraction of datagrams that is lost.
    pub goodput: Part<Series>,
    /// Datagrams that one call takes.
    pub datagrams: Part<Bar>,
    /// Checks of a datagram.
    pub checks: Part<Check>,
    /// The same forms on other numbers of nodes, with lost datagrams, in other sizes; and at the base case once more.
    pub variations: Part<Variation>,
    /// What the model says beside what was measured.
    pub model: Part<Prediction>,
    /// A job during which a process dies.
    pub deaths: Part<Death>,
}

/// What was measured together, and how.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Part<T> {
    /// Under which circumstances.
    pub how: How,
    /// The figures.
    pub rows: Vec<T>,
}

impl<T> Default for Part<T> {
    fn default() -> Self {
        Part { how: How::default(), rows: Vec::new() }
    }
}

/// Under which circumstances.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct How {
    /// Processor and how many.
    pub machine: String,
    /// The kernel and its release.
    pub kernel: String,
    /// How threads wait.
    pub waiting: String,
    /// How often everything was done.
    pub repetitions: usize,
    /// Whatever else is to be known.
    pub note: String,
}

impl How {
    /// On this machine.
    pub fn this(waiting: &str, repetitions: usize, note: &str) -> How {
        let Machine { processor, kernel, cores } = Machine::this();
        How {
            machine: format!("{cores} cores of {processor}"),
            kernel,
            waiting: waiting.into(),
            repetitions,
            note: note.into(),
        }
    }
}

impl std::fmt::Display for How {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let How { machine, kernel, waiting, repetitions, note } = self;
        write!(f, "{machine}; {kernel}; waiting: {waiting}; ")?;
        if *repetitions < 2 {
            f.write_str("one run each, so nothing is known of how they differ")?;
        } else {
            let confidence = 100.0 * Spread::confidence(*repetitions);
            write!(f, "medians of {repetitions} runs and intervals that hold them with {confidence:.0} %")?;
        }
        if note.is_empty() { Ok(()) } else { write!(f, "; {note}") }
    }
}

/// A median and the interval in which it lies with a confidence of 95 %.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Spread {
    /// The middle one of all runs.
    pub median: f64,
    /// Lower end.
    pub low: f64,
    /// Upper end.
    pub high: f64,
}

impl Spread {
    /// Of runs in any order. The interval is that of the order statistics (Conover, "Practical Nonparametric Statistics", 1999, 3.2):
    /// it supposes nothing of how the times are distributed. With fewer than six runs it is from the least to the greatest, and
    /// [`Spread::confidence`] says how surely the median lies there.
    pub fn of(mut runs: Vec<f64>) -> Spread {
        runs.sort_by(f64::total_cmp);
        let count = runs.len();
        let at = |place: usize| runs.get(place).copied().unwrap_or(f64::NAN);
        let outside = outside(count);
        let median = (at(count.saturating_sub(1) / 2) + at(count / 2)) / 2.0;
        Spread { median, low: at(outside), high: at(count.saturating_sub(1 + outside)) }
    }

    /// How surely the median lies in the interval of so many runs, 0 to 1.
    pub fn confidence(runs: usize) -> f64 {
        1.0 - 2.0 * tail(runs, outside(runs))
    }

    /// Is this surely less than the other: the intervals do not meet.
    pub fn below(&self, other: &Spread) -> bool {
        self.high < other.low
    }
}

/// How many runs on each side may be left out of an interval that is to hold the median with 95 %.
fn outside(runs: usize) -> usize {
    (1..runs / 2).take_while(|outside| tail(runs, *outside) <= 0.025).last().unwrap_or(0)
}

/// Probability that at most so many of the runs fall on one side of the median.
fn tail(runs: usize, outside: usize) -> f64 {
    let mut ways = 1.0;
    let mut sum = 0.0;
    for below in 0..=outside {
        sum += ways;
        ways *= (runs - below.min(runs)) as f64 / (below + 1) as f64;
    }
    sum / 2.0_f64.powi(runs as i32)
}

/// A named figure.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Bar {
    /// What it is of.
    pub name: String,
    /// How much.
    pub value: Spread,
}

/// A curve.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Series {
    /// What it is of.
    pub name: String,
    /// From left to right.
    pub points: Vec<Point>,
}

/// A point of a curve.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Point {
    /// What was varied.
    pub x: f64,
    /// What came of it.
    pub y: Spread,
}

/// What a form is written over.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Over {
    /// Shared memory.
    Dsm,
    /// Calls.
    Rpc,
}

/// A job in all its forms.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Job {
    /// Its name.
    pub name: String,
    /// What it shows.
    pub shows: String,
    /// How large it was.
    pub size: u64,
    /// What the size counts.
    pub unit: String,
    /// Seconds that all its work takes in one process and ordinary memory.
    pub plain: Spread,
    /// The same while as many such processes run as the job has nodes: they share processors, caches and memory.
    pub together: Spread,
    /// The ways to do it.
    pub forms: Vec<Form>,
}

/// One way to do a job.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Form {
    /// Its name.
    pub name: String,
    /// What it does, in a few words.
    pub what: String,
    /// What it is written over.
    pub over: Over,
    /// Lines of code.
    pub lines: usize,
    /// Seconds.
    pub elapsed: Spread,
    /// Where the time of all nodes went.
    pub time: Time,
    /// What all nodes did together, in the run of median time.
    pub total: Totals,
    /// What each node did in that run.
    pub nodes: Vec<Totals>,
}

impl Form {
    /// Of the pages that came, the fraction that was taken away again because another node wrote, or was about to; none if no page came.
    pub fn conflicts(&self) -> Option<f64> {
        (self.total.pages > 0).then(|| self.total.invalidations as f64 / self.total.pages as f64)
    }
}

impl Variation {
    /// 0 where it is smaller than the job at the base case, 1 where it is as large, 2 where it is larger.
    pub fn size_step(&self, job: &Job) -> usize {
        match self.size.cmp(&job.size) {
            std::cmp::Ordering::Less => 0,
            std::cmp::Ordering::Equal => 1,
            std::cmp::Ordering::Greater => 2,
        }
    }
}

/// A form under other circumstances than those of the base case.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Variation {
    /// The job.
    pub job: String,
    /// The form.
    pub form: String,
    /// What it is written over.
    pub over: Over,
    /// Processes.
    pub nodes: usize,
    /// Fraction of datagrams that is lost.
    pub loss: f64,
    /// In the job's unit.
    pub size: u64,
    /// Seconds.
    pub elapsed: Spread,
    /// Seconds of the work of all nodes in one process and ordinary memory.
    pub plain: Spread,
    /// What all nodes did together, in the run of median time.
    pub total: Totals,
}

/// Seconds of all nodes together; what is missing to nodes times elapsed was spent otherwise.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Time {
    /// Not waiting.
    pub computing: f64,
    /// Waiting for pages.
    pub pages: f64,
    /// Waiting for locks and for atomic operations.
    pub locks: f64,
    /// Waiting at barriers.
    pub barriers: f64,
    /// Waiting for replies.
    pub calls: f64,
}

/// A check of a datagram.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Check {
    /// Its name.
    pub name: String,
    /// Seconds for a datagram.
    pub cost: f64,
    /// What it did not notice.
    pub missed: Vec<Missed>,
}

/// How often a check was deceived.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Missed {
    /// What was done to the datagrams.
    pub damage: String,
    /// To how many.
    pub damaged: u64,
    /// How many of these were taken for good.
    pub unnoticed: u64,
}

/// What the model says of a form of a job.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Prediction {
    /// The job.
    pub job: String,
    /// The form.
    pub form: String,
    /// Seconds.
    pub predicted: f64,
    /// Seconds.
    pub measured: Spread,
    /// What the model leaves out.
    pub leaves_out: String,
}

/// What became of a job of which a process died.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Death {
    /// What it was written over.
    pub over: Over,
    /// Shares of the work that were done in the end.
    pub done: u64,
    /// All of them.
    pub of: u64,
    /// Whether there was an answer, and the right one.
    pub answered: bool,
    /// Seconds from the death to the end of the job, or for which it stood still.
    pub pause: f64,
    /// What was said about it.
    pub said: String,
}

impl Prediction {
    /// How far the prediction is off: 1 is right, 2 twice or half of the measurement.
    pub fn off(&self) -> f64 {
        let ratio = self.predicted / self.measured.median;
        if ratio.is_finite() && ratio > 0.0 { ratio.max(1.0 / ratio) } else { f64::INFINITY }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_interval_of_the_median_is_that_of_the_order_statistics() {
        let of = |count: usize| Spread::of((1..=count).rev().map(|value| value as f64).collect());
        assert_eq!(of(5), Spread { median: 3.0, low: 1.0, high: 5.0 });
        assert_eq!(of(6), Spread { median: 3.5, low: 1.0, high: 6.0 });
        // The tables of the sign test: of 9 the second and the eighth, of 12 the third and the tenth.
        assert_eq!(of(9), Spread { median: 5.0, low: 2.0, high: 8.0 });
        assert_eq!(of(12), Spread { median: 6.5, low: 3.0, high: 10.0 });
        assert!((Spread::confidence(9) - 0.961).abs() < 1e-3);
        assert!((Spread::confidence(5) - 0.9375).abs() < 1e-9);
        assert!(Spread::of(Vec::new()).median.is_nan());
        assert_eq!(Spread::of(vec![2.0]), Spread { median: 2.0, low: 2.0, high: 2.0 });
    }
}
