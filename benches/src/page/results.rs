//! What the report is drawn from, and what `results.json` holds.

use serde::{Deserialize, Serialize};

/// Everything that was measured.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Results {
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
    /// Speed-up over one plain process against nodes.
    pub scaling: Part<Series>,
    /// What the model says beside what was measured.
    pub model: Part<Prediction>,
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
    /// Is this surely less than the other: the intervals do not meet.
    pub fn below(&self, other: &Spread) -> bool {
        self.high < other.low
    }
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
    /// The ways to do it.
    pub forms: Vec<Form>,
}

/// One way to do a job.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Form {
    /// Its name.
    pub name: String,
    /// What it is written over.
    pub over: Over,
    /// Seconds.
    pub elapsed: Spread,
    /// Where the time of all nodes went.
    pub time: Time,
}

/// Seconds of all nodes together; what is missing to nodes times elapsed was spent otherwise.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Time {
    /// Not waiting.
    pub computing: f64,
    /// Waiting for pages.
    pub pages: f64,
    /// Waiting for locks.
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

impl Prediction {
    /// How far the prediction is off: 1 is right, 2 twice or half of the measurement.
    pub fn off(&self) -> f64 {
        let ratio = self.predicted / self.measured.median;
        if ratio.is_finite() && ratio > 0.0 { ratio.max(1.0 / ratio) } else { f64::INFINITY }
    }
}
