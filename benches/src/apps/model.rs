//! What a job should cost, reckoned from its counts and from what single accesses cost.
//!
//! Over shared memory: *local work + faults x cost of a fault + messages x cost of a message + barriers x cost of a barrier*. Local work is
//! what the job takes in one plain process while as many of these run as the job has nodes, divided by the nodes: two processors may be two
//! halves of one. A node waits for its own faults; a page that comes along with that of a fault costs what a page costs that is read in order.
//! The node that has the most to do ends the job; but where nodes mostly wait for locks, they do what they do in turns, and it adds up. A
//! barrier costs what it does where the last node comes from work. The messages that are left are round trips of locks and atomic operations,
//! and divided among the nodes.
//!
//! Over RPC: *local work + calls x cost of a call + barriers x cost of a barrier*. A call's cost depends on how many bytes it carries, and on
//! how much the caller computes between two calls.
//!
//! Where all nodes have as many faults and calls, these are as dear as while two do so; where one node has all of them, as while nobody else
//! has any.
//!
//! Every cost comes from the ladder of the same run, and the local work from plain processes. Nothing is fitted to the jobs, and what is not in
//! the formula is not accounted for: waiting for each other's turn, queues, processors that are shared with the engines, and stores to pages
//! that came with leave to write, which ask nobody.

use examples::figures::Totals;
use examples::ladder::Rung;

use crate::curves::calls::{BUSY_CALLS, BUSY_CALLS_AFTER_WORK, CALLS, CALLS_AFTER_WORK, LARGE_BYTES};
use crate::curves::ladder::{BUSY_AHEAD, BUSY_FETCH, BUSY_FETCH_ADD, BUSY_UPGRADE, FETCH_ADD, LATE_BARRIER};
use crate::curves::work::WORK;
use crate::page::results::{Bar, Form, Job, Prediction};

/// Seconds of single accesses.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Costs {
    /// A page that comes with others, asked for ahead.
    ahead: f64,
    /// A page that nobody wrote.
    first_touch: f64,
    /// A barrier at which the others wait already.
    barrier: f64,
    /// While another process does the same.
    busy: Prices,
    /// While nothing else happens.
    lone: Prices,
}

/// Seconds of accesses whose cost depends on who else is at work.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Prices {
    /// A page that comes from another process.
    fetch: f64,
    /// A store that takes a copy away from another process.
    upgrade: f64,
    /// One way of a small round trip between engines.
    message: f64,
    /// A call right after another.
    call: Line,
    /// A call after [`WORK`].
    call_after_work: Line,
}

/// Seconds of calls that carry next to nothing, a page's worth of bytes, and [`LARGE_BYTES`].
type Line = [f64; 3];

/// Bytes of a call that carries next to nothing, both ways, all headers included.
const SMALL_CALL: f64 = 200.0;
/// Bytes of the calls of a [`Line`].
const BYTES: [f64; 3] = [SMALL_CALL, SMALL_CALL + dsm_core::PAGE_BYTES as f64, SMALL_CALL + LARGE_BYTES as f64];

impl Costs {
    /// From the ladder; none if a rung is missing.
    pub fn of(ladder: &[Bar]) -> Option<Costs> {
        let rung = |name: &str| ladder.iter().find(|bar| bar.name == name).map(|bar| bar.value.median);
        let line = |[small, page, large]: [&str; 3]| Some([rung(small)?, rung(page)?, rung(large)?]);
        Some(Costs {
            ahead: rung(BUSY_AHEAD)?,
            first_touch: rung(Rung::FirstTouch.words())?,
            barrier: rung(LATE_BARRIER)?,
            busy: Prices {
                fetch: rung(BUSY_FETCH)?,
                upgrade: rung(BUSY_UPGRADE)?,
                message: rung(BUSY_FETCH_ADD)? / 2.0,
                call: line(BUSY_CALLS)?,
                call_after_work: line(BUSY_CALLS_AFTER_WORK)?,
            },
            lone: Prices {
                fetch: rung(Rung::RemoteRead.words())?,
                upgrade: rung(Rung::WriteInvalidates.words())?,
                message: rung(FETCH_ADD)? / 2.0,
                call: line(CALLS)?,
                call_after_work: line(CALLS_AFTER_WORK)?,
            },
        })
    }

    /// Seconds that a form should take.
    fn predict(&self, work: f64, form: &Form) -> f64 {
        let nodes = form.nodes.len().max(1) as f64;
        let between = work / form.total.calls.max(1) as f64;
        let all_at = |prices: &Prices| -> Vec<f64> {
            form.nodes.iter().map(|node| self.faults(prices, node) + prices.calls(node, between)).collect()
        };
        let evenness = evenness(&all_at(&self.busy));
        let mixed = |busy: f64, lone: f64| evenness * busy + (1.0 - evenness) * lone;
        let each: Vec<f64> =
            all_at(&self.busy).into_iter().zip(all_at(&self.lone)).map(|(busy, lone)| mixed(busy, lone)).collect();
        let others = other_messages(form) * mixed(self.busy.message, self.lone.message);
        let barriers = form.total.barriers as f64 / nodes * self.barrier;
        if takes_turns(&form.total) {
            return work + each.iter().sum::<f64>() + others + barriers;
        }
        work / nodes + each.into_iter().fold(0.0, f64::max) + others * mixed(1.0 / nodes, 1.0) + barriers
    }

    fn faults(&self, prices: &Prices, node: &Totals) -> f64 {
        let fetches = node.pages.min(node.read_faults + node.write_faults);
        let touches = node.read_faults + node.write_faults - fetches;
        let ahead = node.pages - fetches;
        fetches as f64 * prices.fetch
            + ahead as f64 * self.ahead
            + touches as f64 * self.first_touch
            + node.upgrade_faults as f64 * prices.upgrade
    }
}

/// 1 where all nodes have as much to wait for, 0 where one has nothing.
fn evenness(each: &[f64]) -> f64 {
    let most = each.iter().copied().fold(0.0, f64::max);
    let least = each.iter().copied().fold(most, f64::min);
    if most > 0.0 { least / most } else { 0.0 }
}

impl Prices {
    /// Seconds of a node's calls, between which it computes for `between` seconds.
    fn calls(&self, node: &Totals, between: f64) -> f64 {
        if node.calls == 0 {
            return 0.0;
        }
        let bytes = node.bytes as f64 / node.calls as f64;
        let worked = (between / WORK.as_secs_f64()).min(1.0);
        let each = (1.0 - worked) * call(self.call, bytes) + worked * call(self.call_after_work, bytes);
        node.calls as f64 * each
    }
}

/// A call that carries so many bytes: on the line between the two that were measured, or beyond the last.
fn call(line: Line, bytes: f64) -> f64 {
    let from = usize::from(bytes > BYTES[1]);
    let share = (bytes.max(SMALL_CALL) - BYTES[from]) / (BYTES[from + 1] - BYTES[from]);
    (line[from] + share * (line[from + 1] - line[from])).max(line[0])
}

/// Messages that belong to no fault, no call, and no barrier (for which each node sends one a round).
fn other_messages(form: &Form) -> f64 {
    let total = &form.total;
    let rounds = u64::from(form.nodes.len().max(1).next_power_of_two().ilog2());
    let known = 2 * (total.pages + total.upgrade_faults + total.calls) + rounds * total.barriers;
    total.messages.saturating_sub(known) as f64
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
        predicted: costs.predict(job.together.median, form),
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
        ahead: 5e-6,
        first_touch: 20e-6,
        barrier: 50e-6,
        busy: Prices {
            fetch: 40e-6,
            upgrade: 30e-6,
            message: 5e-6,
            call: [10e-6, 14e-6, 74e-6],
            call_after_work: [20e-6, 24e-6, 84e-6],
        },
        lone: Prices {
            fetch: 10e-6,
            upgrade: 8e-6,
            message: 2e-6,
            call: [5e-6, 7e-6, 37e-6],
            call_after_work: [15e-6, 17e-6, 47e-6],
        },
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
        // 100 fetches, 10 first touches, 1 upgrade, as cheap as undisturbed ones; 220 - 202 messages that belong to none.
        let faults = 100.0 * 10e-6 + 10.0 * 20e-6 + 8e-6;
        assert!(near(seconds, 1e-3 + faults + 18.0 * 2e-6), "{seconds}");
        // Where both do so, 422 - 404.
        let busy = Totals { messages: 211, ..busy };
        let seconds = COSTS.predict(2e-3, &form(Over::Dsm, vec![busy, busy]));
        let faults = 100.0 * 40e-6 + 10.0 * 20e-6 + 30e-6;
        assert!(near(seconds, 1e-3 + faults + 18.0 * 5e-6 / 2.0), "{seconds}");
    }

    #[test]
    fn pages_that_come_with_others_cost_less_than_those_of_a_fault() {
        let node = Totals { pages: 10, read_faults: 2, messages: 20, ..Totals::default() };
        let seconds = COSTS.predict(0.0, &form(Over::Dsm, vec![node, node]));
        assert!(near(seconds, 2.0 * 40e-6 + 8.0 * 5e-6), "{seconds}");
    }

    #[test]
    fn calls_pay_for_each_and_for_what_it_carries() {
        for (bytes, busy, lone) in
            [(100.0, 10e-6, 5e-6), (2_248.0, 12e-6, 6e-6), (35_016.0, 44e-6, 22e-6), (127_176.0, 134e-6, 67e-6)]
        {
            let node = Totals { calls: 10, messages: 20, bytes: (10.0 * bytes) as u64, ..Totals::default() };
            let both = COSTS.predict(0.0, &form(Over::Rpc, vec![node, node]));
            let alone = COSTS.predict(0.0, &form(Over::Rpc, vec![node, Totals::default()]));
            assert!(near(both, 10.0 * busy) && near(alone, 10.0 * lone), "{bytes}: {both}, {alone}");
        }
    }

    #[test]
    fn calls_after_work_cost_more_up_to_the_work_that_was_measured() {
        let node = Totals { calls: 10, messages: 20, bytes: 2_000, ..Totals::default() };
        let form = form(Over::Rpc, vec![node, node]);
        for (work, each) in [(0.0, 10e-6), (50e-6, 15e-6), (100e-6, 20e-6), (1e-3, 20e-6)] {
            let seconds = COSTS.predict(20.0 * work, &form);
            assert!(near(seconds, 10.0 * (work + each)), "{work}: {seconds}");
        }
    }

    #[test]
    fn barriers_have_a_price_of_their_own_and_their_messages_none() {
        let node = Totals { barriers: 3, messages: 3, ..Totals::default() };
        let seconds = COSTS.predict(0.0, &form(Over::Rpc, vec![node, node]));
        assert!(near(seconds, 3.0 * 50e-6), "{seconds}");
        let node = Totals { messages: 6, ..node };
        let seconds = COSTS.predict(0.0, &form(Over::Rpc, vec![node; 4]));
        assert!(near(seconds, 3.0 * 50e-6), "two rounds among four: {seconds}");
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
