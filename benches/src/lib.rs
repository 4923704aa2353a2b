//! What every remote access costs: measurements of real node processes, beside a floor that has nothing of ours in it.
//!
//! A *launch* starts the processes of one kind of job, measures, and ends them. Launches of all kinds take turns, several rounds of
//! them, because on a shared machine one launch in four is two to three times slower than the rest; a figure is the median over
//! its launches, for each percentile. A ratio is one of such medians.
//!
//! * [`figure`]: the figures' names, units and percentiles, from the crate `yardstick`, which has the loops that time calls, too.
//! * [`node`]: what the processes do that are measured, and the floor's.
//! * [`launch`]: starts them and collects.
//! * [`warm`]: memory, before anything is timed.
//! * [`report`]: table, ratios, JSON.
//! * [`apps`]: whole jobs over shared memory and over RPC.
//! * [`curves`]: single accesses, and how their cost changes with what surrounds them.
//! * [`page`]: all of it as a page with figures.
//! * [`loss`]: what becomes of calls when packets are lost or damaged, servers crash, or there are too many calls.
//! * [`mod@rpc`]: calls, beside raw sockets and the stacks that people use.
//! * [`stubs`]: apart from the launches, what a stub costs beside marshalling by hand.
//! * [`checksum`]: apart from the launches, what each check of a datagram catches and costs.
#![forbid(unsafe_code)]

pub mod apps;
pub mod checksum;
pub mod curves;
pub mod launch;
pub mod loss;
pub mod node;
pub mod page;
pub mod report;
pub mod rpc;
pub mod served;
pub mod stubs;
pub mod warm;

pub use yardstick::figure;
