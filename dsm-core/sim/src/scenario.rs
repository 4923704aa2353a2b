//! Everything that a seed decides before a run begins.

use std::time::Duration;

use protocol::{NODES_MAX, NodeId, Placement};

use crate::random::{Random, mix};

/// A run counts only with this many loads and stores.
pub const OPERATIONS_MIN: u64 = 1_000;

/// One run, drawn from its seed.
#[derive(Clone, Debug)]
pub struct Scenario {
    /// Draws everything that is decided on the way.
    pub seed: u64,
    /// How many nodes.
    pub nodes: usize,
    /// Program threads of each node.
    pub threads: usize,
    /// Collective allocations: pages and placement.
    pub segments: Vec<(u64, Placement)>,
    /// Page size in 64-bit words.
    pub words_per_page: usize,
    /// How many locks the program uses.
    pub locks: u64,
    /// How many barriers the program has.
    pub barriers: usize,
    /// Loads and stores of all threads together, about.
    pub operations: u64,
    /// The longest pause of a thread between two operations.
    pub think: Duration,
    /// The longest minimum hold time of a page.
    pub hold: Duration,
    /// The kernel repeats a fault event with this probability.
    pub repeated_fault: f64,
    /// The kernel has dropped the mapping of a page when a thread touches it, with this probability.
    pub dropped_mapping: f64,
    /// When a thread faults, its node fetches pages around that page ahead of it, with this probability.
    pub ahead: f64,
    /// A protocol hears a message once more, later, with this probability: the transport would not let it happen, but no protocol
    /// relies on that.
    pub echo: f64,
    /// The wires and what is wrong with them.
    pub links: Links,
    /// How long a node takes to turn to what came, by rank: the longest it may be.
    pub reaction: Vec<Duration>,
    /// What befalls the cluster, by the number of loads and stores done before.
    pub troubles: Vec<(u64, Trouble)>,
    /// The safety phase ends when this many loads and stores are done: the network heals.
    pub heal_after: u64,
    /// Which node dies when, and how.
    pub death: Option<Death>,
}

/// How datagrams travel until the network heals. Each direction of each pair of nodes has its own share of the faults.
#[derive(Clone, Copy, Debug)]
pub struct Links {
    /// Whether all nodes are on one machine: datagrams may then be larger.
    pub is_loopback: bool,
    /// The way of a datagram that nothing happens to.
    pub delay: Duration,
    /// Added to it: anything up to this.
    pub spread: Duration,
    /// Probability of loss on the worst link.
    pub loss: f64,
    /// That a datagram comes twice.
    pub duplicate: f64,
    /// That it is held back for so long that others overtake it.
    pub reorder: f64,
    /// That bytes of it change.
    pub corrupt: f64,
    /// What a socket holds before datagrams are dropped, bytes.
    pub socket_bytes: usize,
}

/// What befalls nodes for a time; nobody may be given up for it.
#[derive(Clone, Copy, Debug)]
pub enum Trouble {
    /// Datagrams from one set of nodes (a bit for each) to the other do not arrive; the other way they do.
    Partition {
        /// Senders that are not heard, as bits.
        from: u64,
        /// By whom they are not heard, as bits.
        to: u64,
        /// For how long.
        lasts: Duration,
    },
    /// A node stands still, threads and all.
    Pause {
        /// Which.
        node: usize,
        /// For how long.
        lasts: Duration,
    },
}

/// How a node dies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Manner {
    /// Its machine is gone: silence.
    Silent,
    /// Its process is gone: its machine refuses what comes.
    Refusing,
    /// Its process is gone, and another with the same address answers.
    Replaced,
    /// It stands still for longer than it takes the others to give it up, and then wakes.
    Stopped,
}

/// The death of a node.
#[derive(Clone, Copy, Debug)]
pub struct Death {
    /// Which.
    pub node: usize,
    /// After this many loads and stores of all nodes.
    pub after: u64,
    /// How.
    pub manner: Manner,
}

/// Partitions and pauses end before this, so that keep-alives can still get through.
const TROUBLE_MS_MAX: u64 = 1_000;

/// Any number: what tells the source of [`Scenario::ahead`] from the others.
const AHEAD: u64 = 0x6168_6561_6400_0000;

impl Scenario {
    /// Draws the run of `seed`. With `nodes`, that is how many there are (2 to 64), and the rest is drawn all the same.
    pub fn draw(seed: u64, nodes: Option<usize>) -> Scenario {
        let mut random = Random::new(seed);
        let drawn = draw_nodes(&mut random);
        let nodes = nodes.unwrap_or(drawn).clamp(2, NODES_MAX);
        let threads = if nodes > 16 { 1 } else { 1 + random.index(3) };
        let operations = random.between(1_300, if nodes > 16 { 2_000 } else { 4_000 });
        // From a source of its own: everything else is what it was before pages were fetched ahead.
        let ahead = Random::new(mix(seed ^ AHEAD)).pick(&[0.0, 0.05, 0.5]);
        let death = random.chance(0.15).then(|| draw_death(&mut random, nodes, operations));
        Scenario {
            seed: random.next(),
            nodes,
            threads,
            segments: draw_segments(&mut random, nodes),
            words_per_page: random.pick(&[8, 8, 8, 64, 512]),
            locks: random.between(1, 6),
            barriers: random.index(6),
            operations,
            think: random.micros(1, 200),
            hold: random.pick(&[Duration::ZERO, Duration::from_micros(160), Duration::from_millis(3)]),
            repeated_fault: random.pick(&[0.0, 0.02, 0.2]),
            dropped_mapping: random.pick(&[0.0, 0.01]),
            ahead,
            echo: random.pick(&[0.0, 0.05]),
            links: draw_links(&mut random),
            reaction: (0..nodes).map(|_| draw_reaction(&mut random)).collect(),
            troubles: draw_troubles(&mut random, nodes, operations),
            heal_after: operations * random.between(80, 100) / 100,
            death,
        }
    }
}

fn draw_nodes(random: &mut Random) -> usize {
    let (low, high) = random.pick(&[(2, 3), (2, 5), (2, 5), (4, 8), (4, 8), (6, 16), (17, 64)]);
    random.between(low, high) as usize
}

fn draw_segments(random: &mut Random, nodes: usize) -> Vec<(u64, Placement)> {
    let count = random.between(1, 3);
    (0..count)
        .map(|_| {
            let placement = match random.below(3) {
                0 => Placement::Block,
                1 => Placement::Cyclic { block_pages: random.between(1, 3) },
                _ => NodeId::new(random.index(nodes)).map_or(Placement::Block, Placement::Node),
            };
            (random.between(1, 8), placement)
        })
        .collect()
}

/// Four kinds of fault at least, often all.
fn draw_links(random: &mut Random) -> Links {
    let mut is_on = [true; 5];
    if random.chance(0.5) {
        is_on[random.index(5)] = false;
    }
    let [loss, duplicate, reorder, corrupt, spread] = is_on;
    let worst = random.pick(&[0.05, 0.1, 0.3]);
    let mut probability = |is_on: bool, worst: f64| if is_on { worst * (0.2 + 0.8 * random.fraction()) } else { 0.0 };
    let (loss, duplicate) = (probability(loss, worst), probability(duplicate, 0.2));
    let (reorder, corrupt) = (probability(reorder, 0.2), probability(corrupt, 0.1));
    let spread_us = random.pick(&[50, 500, 5_000]);
    Links {
        is_loopback: random.chance(0.3),
        delay: random.micros(5, 300),
        spread: if spread { random.micros(20, spread_us) } else { Duration::ZERO },
        loss,
        duplicate,
        reorder,
        corrupt,
        socket_bytes: random.pick(&[16 << 10, 208 << 10, 4 << 20]),
    }
}

fn draw_reaction(random: &mut Random) -> Duration {
    let (low, high) = random.pick(&[(1, 20), (1, 20), (1, 20), (20, 200), (500, 5_000)]);
    random.micros(low, high)
}

fn draw_troubles(random: &mut Random, nodes: usize, operations: u64) -> Vec<(u64, Trouble)> {
    let mut troubles: Vec<_> = (0..random.below(5))
        .map(|_| {
            let longest_ms = random.pick(&[10, 100, TROUBLE_MS_MAX]);
            let lasts = Duration::from_millis(random.between(1, longest_ms));
            let trouble = match random.below(4) {
                0 => Trouble::Pause { node: random.index(nodes), lasts },
                1 => Trouble::Partition { from: 1 << random.index(nodes), to: u64::MAX, lasts },
                2 => Trouble::Partition { from: u64::MAX, to: 1 << random.index(nodes), lasts },
                _ => {
                    let from = random.next();
                    Trouble::Partition { from, to: !from, lasts }
                }
            };
            (random.below(operations), trouble)
        })
        .collect();
    troubles.sort_by_key(|(after, _)| *after);
    troubles
}

fn draw_death(random: &mut Random, nodes: usize, operations: u64) -> Death {
    let manner = random.pick(&[Manner::Silent, Manner::Refusing, Manner::Replaced, Manner::Stopped]);
    Death { node: random.index(nodes), after: random.between(OPERATIONS_MIN, operations - 100), manner }
}
