//! What a job should cost, reckoned from its counts and from what single accesses cost.
//!
//! Over shared memory: *local work + faults x cost of a fault + messages x cost of a message*. Local work is what the job takes in one
//! plain process, divided by the nodes. A node waits for its own faults; a page that comes along with that of a fault costs what a page
//! costs that is read in order. The node that has the most to do ends the job; but where nodes mostly wait for locks, they do what they do
//! in turns, and it adds up. The messages that are left when those of the faults are taken away are round trips of locks, atomic operations
//! and barriers. Where all nodes have as many faults and calls, these are as dear as while both do so, and divided among them; where one
//! node has all faults and calls, or none has any, they are as cheap as undisturbed ones, and come one after the other. Over RPC: *local
//! work + calls x cost of a call*, which depends on how many bytes it carries and on whether another node calls, and barriers.
//!
//! Every cost comes from the ladder of the same run, and the local work from a plain process. Nothing is fitted to the jobs, and what is
//! not in the formula is not accounted for: waiting for each other's turn, queues, processors that are shared with the engines.

use examples::figures::Totals;
use examples::ladder::Rung;

use crate::curves::calls::{BUSY_CALL, BUSY_LARGE_CALL, BUSY_PAGE_CALL, LARGE_BYTES, LARGE_CALL, NULL_CALL, PAGE_CALL};
use crate::curves::ladder::{BUSY_AHEAD, BUSY_FETCH, BUSY_FETCH_ADD, BUSY_UPGRADE, FETCH_ADD};
use crate::page::results::{Bar, Form, Job, Prediction};

/// Seconds of single accesses, each while another process does the same unless said: the nodes of a job all do something.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Costs {
    /// A page that comes from another process.
    fetch: f64,
    /// A page that comes with others, asked for ahead.
    ahead: f64,
    /// A page that nobody wrote.
    first_touch: f64,
    /// A store that takes a copy away from another process.
    upgrade: f64,
    /// One way of a small round trip between engines.
    message: f64,
    /// The same while nothing else happens.
    lone_message: f64,
    /// Calls that carry so many bytes, and what they cost.
    calls: Line,
    /// The same while nobody else calls.
    lone_calls: Line,
}

/// Bytes, and seconds.
type Line = [(f64, f64); 3];

/// Bytes of a call that carries next to nothing, both ways, all headers included.
const SMALL_CALL: f64 = 200.0;

impl Costs {
    /// From the ladder; none if a rung is missing.
    pub fn of(ladder: &[Bar]) -> Option<Costs> {
        let rung = |name: &str| ladder.iter().find(|bar| bar.name == name).map(|bar| bar.value.median);
        let line = |small, page, large| {
            Some([
                (SMALL_CALL, rung(small)?),
                (SMALL_CALL + dsm_core::PAGE_BYTES as f64, rung(page)?),
                (SMALL_CALL + LARGE_BYTES as f64, rung(large)?),
            ])
        };
        Some(Costs {
            fetch: rung(BUSY_FETCH)?,
            ahead: rung(BUSY_AHEAD)?,
            first_touch: rung(Rung::FirstTouch.words())?,
            upgrade: rung(BUSY_UPGRADE)?,
            message: rung(BUSY_FETCH_ADD)? / 2.0,
            lone_message: rung(FETCH_ADD)? / 2.0,
            calls: line(BUSY_CALL, BUSY_PAGE_CALL, BUSY_LARGE_CALL)?,
            lone_calls: line(NULL_CALL, PAGE_CALL, LARGE_CALL)?,
        })
    }

    /// Seconds that a form should take.
    fn predict(&self, plain: f64, form: &Form) -> f64 {
        let nodes = form.nodes.len().max(1) as f64;
        let callers = form.nodes.iter().filter(|node| node.calls > 0).count();
        let calls = if callers > 1 { &self.calls } else { &self.lone_calls };
        let each: Vec<f64> = form.nodes.iter().map(|node| self.faults(node) + price(calls, node)).collect();
        let most = each.iter().copied().fold(0.0, f64::max);
        let least = each.iter().copied().fold(most, f64::min);
        let evenness = if most > 0.0 { least / most } else { 0.0 };
        let others = other_messages(&form.total);
        let message = evenness * self.message + (1.0 - evenness) * self.lone_message;
        if takes_turns(&form.total) {
            return plain + each.iter().sum::<f64>() + others * message;
        }
        plain / nodes + most + others * message * (evenness / nodes + (1.0 - evenness))
    }

    fn faults(&self, node: &Totals) -> f64 {
        let fetches = node.pages.min(node.read_faults + node.write_faults);
        let touches = node.read_faults + node.write_faults - fetches;
        let ahead = node.pages - fetches;
        fetches as f64 * self.fetch
            + ahead as f64 * self.ahead
            + touches as f64 * self.first_touch
            + node.upgrade_faults as f64 * self.upgrade
    }
}

/// Seconds of a node's calls.
fn price(line: &Line, node: &Totals) -> f64 {
    if node.calls == 0 { 0.0 } else { node.calls as f64 * call(line, node.bytes as f64 / node.calls as f64) }
}

/// A call that carries so many bytes: on the line between the two that were measured, or beyond the last.
fn call([small, page, large]: &Line, bytes: f64) -> f64 {
    let (from, to) = if bytes <= page.0 { (small, page) } else { (page, large) };
    let share = (bytes.max(small.0) - from.0) / (to.0 - from.0);
    (from.1 + share * (to.1 - from.1)).max(small.1)
}

/// Messages that belong to no fault and to no call.
fn other_messages(total: &Totals) -> f64 {
    total.messages.saturating_sub(2 * (total.pages + total.upgrade_faults + total.calls)) as f64
}

/// Whether the nodes waited for locks more than for anything else.
fn takes_turns(total: &Totals) -> bool {
    let waits = [total.page_wait, total.atomic_wait, total.barrier_wait, total.call_wait];
    waits.into_iter().all(|wait| wait < total.lock_wait)
}

/// A prediction for each form of each job.
pub fn predictions(ladder: &[Bar], jobs: &[Job]) -> Vec<Prediction> {
    let Some(costs) = Costs::of(ladder) else { return Vec::new() };
    let of = |job: &Job, form: &Form| Prediction {
        job: job.name.clone(),
        form: form.name.clone(),
        predicted: costs.predict(job.plain.median, form),
        measured: form.elapsed,
        leaves_out: left_out(job, form),
    };
    jobs.iter().flat_map(|job| job.forms.iter().map(move |form| of(job, form))).collect()
}

/// What the form's counts say that the formula knows nothing of.
fn left_out(job: &Job, form: &Form) -> String {
    let total = &form.total;
    let all: f64 = form.time.parts().iter().sum();
    let mut reasons = Vec::new();
    if form.time.computing > 1.5 * job.plain.median {
        reasons.push("work that takes longer than in one process: a processor that is shared, memory that the compiler knows nothing of");
    }
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
    use crate::page::results::{Over, Spread, Time};

    const COSTS: Costs = Costs {
        fetch: 40e-6,
        ahead: 5e-6,
        first_touch: 20e-6,
        upgrade: 30e-6,
        message: 5e-6,
        lone_message: 2e-6,
        calls: [(200.0, 10e-6), (4_200.0, 14e-6), (64_200.0, 44e-6)],
        lone_calls: [(200.0, 5e-6), (4_200.0, 7e-6), (64_200.0, 22e-6)],
    };

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
        // 100 fetches, 10 first touches, 1 upgrade; 220 - 202 messages that belong to none.
        let faults = 100.0 * 40e-6 + 10.0 * 20e-6 + 30e-6;
        assert!(near(seconds, 1e-3 + faults + 18.0 * 2e-6), "{seconds}");
        // Where both do so, 422 - 404.
        let busy = Totals { messages: 211, ..busy };
        let seconds = COSTS.predict(2e-3, &form(Over::Dsm, vec![busy, busy]));
        assert!(near(seconds, 1e-3 + faults + 18.0 * 5e-6 / 2.0), "{seconds}");
    }

    #[test]
    fn pages_that_come_with_others_cost_less_than_those_of_a_fault() {
        let node = Totals { pages: 10, read_faults: 2, messages: 20, ..Totals::default() };
        let seconds = COSTS.predict(0.0, &form(Over::Dsm, vec![node, Totals::default()]));
        assert!(near(seconds, 2.0 * 40e-6 + 8.0 * 5e-6), "{seconds}");
    }

    #[test]
    fn calls_pay_for_each_and_for_what_it_carries() {
        for (bytes, each) in [(100.0, 10e-6), (2_200.0, 12e-6), (34_200.0, 29e-6), (124_200.0, 74e-6)] {
            let node = Totals { calls: 10, messages: 20, bytes: (10.0 * bytes) as u64, ..Totals::default() };
            let both = COSTS.predict(0.0, &form(Over::Rpc, vec![node, node]));
            let alone = COSTS.predict(0.0, &form(Over::Rpc, vec![node, Totals::default()]));
            assert!(near(both, 10.0 * each) && near(alone, 5.0 * each), "{bytes}: {both}, {alone}");
        }
    }

    #[test]
    fn under_locks_the_work_of_the_nodes_adds_up() {
        let wait = std::time::Duration::from_millis(1);
        let node = Totals { pages: 10, read_faults: 10, messages: 30, lock_wait: wait, ..Totals::default() };
        let seconds = COSTS.predict(1e-3, &form(Over::Dsm, vec![node, node]));
        assert!(near(seconds, 1e-3 + 20.0 * 40e-6 + 20.0 * 5e-6), "{seconds}");
    }

    #[test]
    fn without_a_ladder_nothing_is_predicted() {
        assert_eq!(predictions(&[], &[]), []);
    }
}
