//! What the figures show, in sentences that are made from the figures: other figures, other sentences.
//!
//! * [`accesses`]: of single accesses.
//! * [`jobs`]: of whole jobs.

pub mod accesses;
pub mod jobs;

use examples::ladder::Rung;

use super::chart::amount;
use super::results::{Form, Job, Over, Results, Spread};
use crate::curves::calls::NULL_CALL;

const NOTHING: &str = "Nothing was measured.";

/// Who needs less time.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Winner {
    /// Shared memory, by this factor.
    Dsm(f64),
    /// Calls, by this factor.
    Rpc(f64),
    /// The intervals meet.
    Neither,
}

/// Compares two times.
pub fn winner(dsm: &Spread, rpc: &Spread) -> Winner {
    if dsm.below(rpc) {
        Winner::Dsm(rpc.median / dsm.median)
    } else if rpc.below(dsm) {
        Winner::Rpc(dsm.median / rpc.median)
    } else {
        Winner::Neither
    }
}

impl Job {
    /// Its quickest form over this.
    pub fn best(&self, over: Over) -> Option<&Form> {
        let forms = self.forms.iter().filter(|form| form.over == over);
        forms.min_by(|a, b| a.elapsed.median.total_cmp(&b.elapsed.median))
    }

    /// Its best forms against each other, if there are both.
    pub fn winner(&self) -> Option<Winner> {
        Some(winner(&self.best(Over::Dsm)?.elapsed, &self.best(Over::Rpc)?.elapsed))
    }
}

impl Job {
    /// Seconds of its naive form over this, or of its good one.
    fn median(&self, over: Over, naive: bool) -> Option<f64> {
        let mut forms = self.forms.iter().filter(|form| form.over == over);
        forms.find(|form| form.name.ends_with("-naive") == naive).map(|form| form.elapsed.median)
    }

    /// How many times as long the naive form over this takes as the good one: less than once where it is the quicker one.
    pub fn trap(&self, over: Over) -> Option<f64> {
        Some(self.median(over, true)? / self.median(over, false)?)
    }

    /// Whether the good form of either beats the naive form of the other.
    fn good_beats_naive(&self) -> bool {
        let beats = |good, naive| Some(self.median(good, false)? < self.median(naive, true)?);
        beats(Over::Dsm, Over::Rpc) == Some(true) && beats(Over::Rpc, Over::Dsm) == Some(true)
    }
}

/// Who wins how many jobs, and where the crossing is.
pub fn verdict(results: &Results) -> String {
    let [dsm, rpc, neither] = tally(&results.jobs.rows);
    if dsm + rpc + neither == 0 {
        return NOTHING.into();
    }
    let lead = match dsm.cmp(&rpc) {
        std::cmp::Ordering::Greater => "Shared memory wins more jobs",
        std::cmp::Ordering::Less => "RPC wins more jobs",
        std::cmp::Ordering::Equal => "Neither abstraction wins more jobs",
    };
    let all = dsm + rpc + neither;
    format!(
        "{lead}: of {all}, each in its best forms, shared memory wins {dsm}, RPC wins {rpc}, and in {neither} the difference is within \
         the confidence intervals. {}",
        accesses::crossing(&results.crossing)
    )
}

/// Jobs won by shared memory, by calls, by neither.
fn tally(jobs: &[Job]) -> [usize; 3] {
    let mut counts = [0; 3];
    for winner in jobs.iter().filter_map(Job::winner) {
        counts[match winner {
            Winner::Dsm(_) => 0,
            Winner::Rpc(_) => 1,
            Winner::Neither => 2,
        }] += 1;
    }
    counts
}

/// Three numbers and what they are of.
pub fn headlines(results: &Results) -> Vec<(String, String)> {
    let rung = |name: &str| results.ladder.rows.iter().find(|bar| bar.name == name).map(|bar| bar.value.median);
    let mut all = Vec::new();
    if let (Some(load), Some(fetch)) = (rung(Rung::CachedLoad.words()), rung(Rung::RemoteRead.words())) {
        let times = amount(fetch / load, "");
        let (fetch, load) = (amount(fetch, "s"), amount(load, "s"));
        all.push((
            format!("{times}x"),
            format!("a read that is fetched from another process ({fetch}) against a load of what is here ({load})"),
        ));
    }
    if let (Some(fetch), Some(call)) = (rung(Rung::RemoteRead.words()), rung(NULL_CALL)) {
        all.push((
            format!("{} calls", amount(fetch / call, "")),
            format!("for the price of one fetched page: a call takes {}", amount(call, "s")),
        ));
    }
    let worst = |over| results.jobs.rows.iter().filter_map(|job| job.trap(over)).fold(1.0, f64::max);
    if !results.jobs.rows.is_empty() {
        let (dsm, rpc) = (amount(worst(Over::Dsm), ""), amount(worst(Over::Rpc), ""));
        all.push((
            format!("{dsm}x and {rpc}x"),
            "what the trap costs at its worst: the naive form against the good one, DSM and RPC".into(),
        ));
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::page::results::{Part, Point, Prediction, Series, Time};

    fn spread(median: f64) -> Spread {
        Spread { median, low: 0.9 * median, high: 1.1 * median }
    }

    fn form(name: &str, over: Over, median: f64) -> Form {
        let (time, total) = (Time::default(), Default::default());
        Form {
            name: name.into(),
            what: String::new(),
            over,
            lines: 1,
            elapsed: spread(median),
            time,
            total,
            nodes: Vec::new(),
        }
    }

    fn job(name: &str, dsm: [f64; 2], rpc: [f64; 2]) -> Job {
        let forms = vec![
            form("dsm-naive", Over::Dsm, dsm[0]),
            form("dsm", Over::Dsm, dsm[1]),
            form("rpc-naive", Over::Rpc, rpc[0]),
            form("rpc", Over::Rpc, rpc[1]),
        ];
        let (shows, unit) = (String::new(), String::new());
        Job { name: name.into(), shows, size: 1, unit, plain: spread(1.0), together: spread(1.0), forms }
    }

    fn part<T>(rows: Vec<T>) -> Part<T> {
        Part { how: Default::default(), rows }
    }

    fn series(name: &str, points: &[(f64, f64)]) -> Series {
        let points = points.iter().map(|(x, y)| Point { x: *x, y: spread(*y) }).collect();
        Series { name: name.into(), points }
    }

    #[test]
    fn the_verdict_counts_the_jobs_whose_intervals_do_not_meet() {
        let jobs = vec![
            job("a", [9.0, 1.0], [9.0, 2.0]),
            job("b", [9.0, 4.0], [9.0, 1.0]),
            job("c", [9.0, 1.0], [9.0, 1.05]),
            job("d", [9.0, 3.0], [9.0, 1.0]),
        ];
        let results = Results { jobs: part(jobs), ..Results::default() };
        let text = verdict(&results);
        assert!(
            text.starts_with(
                "RPC wins more jobs: of 4, each in its best forms, shared memory wins 1, RPC wins 2, and in 1 "
            ),
            "{text}"
        );
        let text = jobs::jobs(&results.jobs);
        assert!(text.contains("Shared memory wins most clearly in a, by a factor of 2."), "{text}");
        assert!(text.contains("RPC wins most clearly in b, by a factor of 4."), "{text}");
        assert!(text.contains("No difference beyond the confidence intervals in c."), "{text}");
        let text = jobs::traps(&results.jobs);
        assert!(text.contains("up to 9 times as long as the good one over shared memory"), "{text}");
        let quicker = job("d", [1.0, 2.0], [4.0, 4.0]);
        assert_eq!((quicker.trap(Over::Dsm), quicker.trap(Over::Rpc)), (Some(0.5), Some(1.0)));
    }

    #[test]
    fn the_crossing_is_where_the_curves_cross_for_certain() {
        let dsm = series("DSM", &[(1.0, 40.0), (4.0, 40.0), (16.0, 40.0), (64.0, 40.0)]);
        let each = series("calls", &[(1.0, 10.0), (4.0, 41.0), (16.0, 160.0), (64.0, 640.0)]);
        let never = series("one call", &[(1.0, 1.0), (4.0, 1.0), (16.0, 1.0), (64.0, 1.0)]);
        let text = accesses::crossing(&part(vec![dsm, each, never]));
        assert!(text.contains("From about 4 accesses a page on, DSM is cheaper than calls."), "{text}");
        assert!(text.contains("one call is cheaper than DSM"), "{text}");
    }

    #[test]
    fn a_change_within_the_intervals_is_none() {
        let rows = vec![series("flat", &[(0.0, 1.0), (9.0, 1.1)]), series("steep", &[(0.0, 1.0), (9.0, 5.0)])];
        let text = accesses::change(&part(rows), "From left to right");
        assert_eq!(text, "From left to right: flat does not change beyond its interval; steep grows 5 times.");
    }

    #[test]
    fn predictions_are_counted_by_job_and_one_that_is_far_off_says_what_it_leaves_out() {
        let prediction = |job: &str, predicted, measured, why: &str| Prediction {
            job: job.into(),
            form: "dsm".into(),
            predicted,
            measured: spread(measured),
            leaves_out: why.into(),
        };
        let rows = vec![
            prediction("a", 30.0, 10.0, "turns"),
            prediction("a", 1.1, 1.0, "nothing"),
            prediction("b", 0.6, 1.0, "queues; turns"),
        ];
        let text = jobs::model(&part(rows));
        let counts = "Of 2 jobs, each in its quickest form, 1 are predicted within 30 % and 2 within a factor of 2; of all 3 predictions 1 and 2.";
        assert!(text.starts_with(counts), "{text}");
        assert!(text.ends_with("it leaves out: turns; queues."), "{text}");
    }
}
