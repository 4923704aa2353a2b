//! What a job should cost, reckoned from its counts and from what single accesses cost.
//!
//! Over shared memory: *local work + faults x cost of a fault + messages x cost of a message*. Local work is what the job takes in one
//! process, divided by the nodes. A node waits for its own faults; the node that has the most to do ends the job. The messages that
//! are left when those of the faults are taken away are round trips of locks, atomic operations and barriers, which the nodes share
//! equally. Over RPC: *local work + calls x cost of a call + bytes x cost of a byte*, for the node that has the most of these.
//!
//! Every cost comes from the ladder of the same run, and the local work from a plain process. Nothing is fitted to the jobs, and what is
//! not in the formula is not accounted for: waiting for each other's turn, queues at a server, processors that are shared.

use examples::figures::Totals;
use examples::ladder::Rung;

use crate::curves::calls::{NULL_CALL, PAGE_CALL};
use crate::curves::ladder::FETCH_ADD;
use crate::page::results::{Bar, Form, Job, Over, Prediction};

/// Seconds of single accesses.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Costs {
    /// A page that comes from another process.
    fetch: f64,
    /// A page that nobody wrote.
    first_touch: f64,
    /// A store that takes a copy away from another process.
    upgrade: f64,
    /// One way of a small round trip between engines.
    message: f64,
    /// A call of no work.
    call: f64,
    /// What each byte of a call adds.
    byte: f64,
}

/// Bytes of a message of a call that carries next to nothing, all headers included.
const SMALL_MESSAGE: f64 = 100.0;

impl Costs {
    /// From the ladder; none if a rung is missing.
    pub fn of(ladder: &[Bar]) -> Option<Costs> {
        let rung = |name: &str| ladder.iter().find(|bar| bar.name == name).map(|bar| bar.value.median);
        let call = rung(NULL_CALL)?;
        Some(Costs {
            fetch: rung(Rung::RemoteRead.words())?,
            first_touch: rung(Rung::FirstTouch.words())?,
            upgrade: rung(Rung::WriteInvalidates.words())?,
            message: rung(FETCH_ADD)? / 2.0,
            call,
            byte: (rung(PAGE_CALL)? - call).max(0.0) / dsm_core::PAGE_BYTES as f64,
        })
    }

    /// Seconds that a form should take.
    fn predict(&self, plain: f64, form: &Form) -> f64 {
        let nodes = form.nodes.len().max(1) as f64;
        let local = plain / nodes;
        let of = |node: &Totals| match form.over {
            Over::Dsm => self.faults(node),
            Over::Rpc => self.calls(node),
        };
        let slowest = form.nodes.iter().map(of).fold(0.0, f64::max);
        local + slowest + self.rest(form) / nodes
    }

    fn faults(&self, node: &Totals) -> f64 {
        let fetches = node.pages.min(node.read_faults + node.write_faults);
        let touches = node.read_faults + node.write_faults - fetches;
        fetches as f64 * self.fetch + touches as f64 * self.first_touch + node.upgrade_faults as f64 * self.upgrade
    }

    fn calls(&self, node: &Totals) -> f64 {
        let bytes = (node.bytes as f64 - node.messages as f64 * SMALL_MESSAGE).max(0.0);
        node.calls as f64 * self.call + bytes * self.byte
    }

    /// Messages of shared memory that belong to no fault.
    fn rest(&self, form: &Form) -> f64 {
        match form.over {
            Over::Dsm => {
                let remote = 2 * (form.total.pages + form.total.upgrade_faults);
                form.total.messages.saturating_sub(remote) as f64 * self.message
            }
            Over::Rpc => 0.0,
        }
    }
}

/// A prediction for each form of each job.
pub fn predictions(ladder: &[Bar], jobs: &[Job]) -> Vec<Prediction> {
    let Some(costs) = Costs::of(ladder) else { return Vec::new() };
    let of = |job: &Job, form: &Form| Prediction {
        job: job.name.clone(),
        form: form.name.clone(),
        predicted: costs.predict(job.plain.median, form),
        measured: form.elapsed,
        leaves_out: left_out(form),
    };
    jobs.iter().flat_map(|job| job.forms.iter().map(move |form| of(job, form))).collect()
}

/// What the form's counts say that the formula knows nothing of.
fn left_out(form: &Form) -> String {
    let total = &form.total;
    let all: f64 = form.time.parts().iter().sum();
    let mut reasons = Vec::new();
    if total.pages > 0 && total.invalidations * 2 > total.pages {
        reasons.push("pages that nodes take from each other, and wait for while another holds them");
    }
    if form.time.barriers > 0.25 * all {
        reasons.push("nodes that wait for each other at barriers");
    }
    if form.time.locks > 0.25 * all {
        reasons.push("nodes that wait for a lock's holder");
    }
    if total.calls > 0 && form.time.calls > 0.5 * all {
        reasons.push("calls that queue for the server's processor");
    }
    reasons.join("; ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::page::results::{Spread, Time};

    const COSTS: Costs =
        Costs { fetch: 40e-6, first_touch: 20e-6, upgrade: 30e-6, message: 5e-6, call: 10e-6, byte: 1e-9 };

    fn form(over: Over, nodes: Vec<Totals>) -> Form {
        let elapsed = Spread { median: 1.0, low: 1.0, high: 1.0 };
        let total = nodes.iter().copied().sum();
        Form { name: "dsm".into(), what: String::new(), over, lines: 1, elapsed, time: Time::default(), total, nodes }
    }

    fn near(a: f64, b: f64) -> bool {
        (a - b).abs() < 1e-9
    }

    #[test]
    fn shared_memory_pays_for_the_faults_of_the_slowest_node_and_for_the_other_messages() {
        let idle = Totals { messages: 110, ..Totals::default() };
        let busy = Totals {
            messages: 110,
            read_faults: 60,
            write_faults: 50,
            pages: 100,
            upgrade_faults: 1,
            ..Totals::default()
        };
        let seconds = COSTS.predict(2e-3, &form(Over::Dsm, vec![idle, busy]));
        // 100 fetches, 10 first touches, 1 upgrade; 220 - 202 messages that belong to none, on two nodes.
        assert!(near(seconds, 1e-3 + 100.0 * 40e-6 + 10.0 * 20e-6 + 30e-6 + 18.0 * 5e-6 / 2.0), "{seconds}");
    }

    #[test]
    fn calls_pay_for_each_call_and_for_bytes_beyond_the_headers() {
        let node = Totals { calls: 10, messages: 20, bytes: 12_000, ..Totals::default() };
        let seconds = COSTS.predict(0.0, &form(Over::Rpc, vec![node, Totals::default()]));
        assert!(near(seconds, 10.0 * 10e-6 + 10_000.0 * 1e-9), "{seconds}");
    }

    #[test]
    fn without_a_ladder_nothing_is_predicted() {
        assert_eq!(predictions(&[], &[]), []);
    }
}
