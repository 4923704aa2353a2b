//! What a process of a launch does: all jobs in all forms, and node 0 tells what they cost.

use std::time::Duration;

use dsm_core::{Dsm, Placement};
use examples::figures::Totals;
use examples::pairs::{self, Form, Pair};
use serde::{Deserialize, Serialize};

use super::Size;

/// Laps of the plain form. Alone, the quickest counts: it is to say what the work itself takes. Together, the middle one: the last may
/// have the machine to itself.
const PLAIN_LAPS: usize = 3;

/// What the nodes are told, as JSON on their command line.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Orders {
    /// See [`super::Plan::quick`].
    pub quick: bool,
    /// How large the jobs are.
    pub size: Size,
    /// These jobs alone; all if there are none.
    pub jobs: Vec<String>,
}

/// What node 0 prints for each form of each job: one line of JSON.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Run {
    /// The job.
    pub job: String,
    /// The form.
    pub form: String,
    /// Seconds that it took.
    pub elapsed: f64,
    /// Seconds that all its work took in one process and ordinary memory.
    pub plain: f64,
    /// The same while every node did it, at the slowest: what processors take from each other.
    pub together: f64,
    /// What each node did.
    pub nodes: Vec<Totals>,
}

impl Orders {
    /// Does it.
    ///
    /// # Errors
    ///
    /// A job failed, or gave a wrong answer: a sentence for the user.
    pub fn play(&self) -> Result<(), String> {
        let dsm = Dsm::join().map_err(text)?;
        let chosen =
            pairs::ALL.into_iter().filter(|pair| self.jobs.is_empty() || self.jobs.iter().any(|job| job == pair.name));
        for pair in chosen {
            let plain = plain(&dsm, &pair, self.size.of(&pair, self.quick))?;
            for form in pair.forms {
                self.run(&dsm, &pair, form, plain)?;
            }
        }
        dsm.finalize().map_err(text)
    }

    fn run(&self, dsm: &Dsm, pair: &Pair, form: &Form, plain: Plain) -> Result<(), String> {
        let whole = |why: String| format!("{}, form {}: {why}", pair.name, form.name);
        let size = self.size.of(pair, self.quick);
        // The first run of anything finds cold caches and memory never touched. A naive form takes long and moves little at a time.
        let before = if form.is_naive() { pair.quick_size.min(size) } else { size };
        form.run(dsm, before).map_err(|error| whole(error.to_string()))?;
        let outcome = form.run(dsm, size).map_err(|error| whole(error.to_string()))?;
        if dsm.rank() != 0 {
            return Ok(());
        }
        let expected = pair.answer(dsm.size(), size);
        if outcome.answer != expected {
            return Err(whole(format!("the answer is {}, and should be {expected}", outcome.answer)));
        }
        let run = Run {
            job: pair.name.into(),
            form: form.name.into(),
            elapsed: outcome.elapsed.as_secs_f64(),
            plain: plain.alone.as_secs_f64(),
            together: plain.together.as_secs_f64(),
            nodes: outcome.nodes,
        };
        println!("{}", serde_json::to_string(&run).map_err(text)?);
        Ok(())
    }
}

/// What all the work of a job takes in one process and ordinary memory.
#[derive(Clone, Copy)]
struct Plain {
    /// While the other nodes do nothing.
    alone: Duration,
    /// While they do the same, the slowest: it ends the job.
    together: Duration,
}

/// Collective; of use at node 0 alone.
fn plain(dsm: &Dsm, pair: &Pair, size: u64) -> Result<Plain, String> {
    let laps = || {
        let mut laps = [(); PLAIN_LAPS].map(|()| pair.plain(dsm.size(), size).elapsed);
        laps.sort();
        laps
    };
    let alone = if dsm.rank() == 0 { laps()[0] } else { Duration::ZERO };
    let of_nodes = dsm.alloc::<u64>(dsm.size(), Placement::Node(0)).map_err(text)?;
    dsm.barrier();
    of_nodes.set(dsm.rank(), laps()[PLAIN_LAPS / 2].as_nanos() as u64);
    dsm.barrier();
    let slowest = (0..dsm.size()).map(|node| of_nodes.get(node)).max().unwrap_or(0);
    Ok(Plain { alone, together: Duration::from_nanos(slowest) })
}

fn text(error: impl std::fmt::Display) -> String {
    error.to_string()
}
