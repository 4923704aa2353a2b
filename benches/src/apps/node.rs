//! What a process of a launch does: all jobs in all forms, and node 0 tells what they cost.

use std::time::Duration;

use dsm_core::Dsm;
use examples::figures::Totals;
use examples::pairs::{self, Form, Pair};
use serde::{Deserialize, Serialize};

use super::Size;

/// Laps of the plain form, of which the quickest counts: it is to say what the work itself takes.
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
            let plain = if dsm.rank() == 0 {
                plain(&pair, dsm.size(), self.size.of(&pair, self.quick))
            } else {
                Duration::ZERO
            };
            for form in pair.forms {
                self.run(&dsm, &pair, form, plain)?;
            }
        }
        dsm.finalize().map_err(text)
    }

    fn run(&self, dsm: &Dsm, pair: &Pair, form: &Form, plain: Duration) -> Result<(), String> {
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
            plain: plain.as_secs_f64(),
            nodes: outcome.nodes,
        };
        println!("{}", serde_json::to_string(&run).map_err(text)?);
        Ok(())
    }
}

fn plain(pair: &Pair, nodes: usize, size: u64) -> Duration {
    (0..PLAIN_LAPS).map(|_| pair.plain(nodes, size).elapsed).min().unwrap_or_default()
}

fn text(error: impl std::fmt::Display) -> String {
    error.to_string()
}
