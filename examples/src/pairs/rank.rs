//! PageRank (Brin and Page, "The anatomy of a large-scale hypertextual web search engine", 1998) of a real graph: which packages of a
//! Linux distribution others depend on. Its edges lead everywhere, so every node needs something of every other in each round.
//!
//! In whole numbers: the answer does not depend on the order of additions.

use dsm_core::{Dsm, Placement};

use super::desk::{Desk, Held};
use super::{Form, Outcome, Over, PAGE, Pair, PairError, measured, timed};
use crate::jacobi::plate::rows_of;

/// A package and what it needs on each line. The file says where it comes from.
const PACKAGES: &str = include_str!("../../data/packages.txt");
/// All ranks together.
const WHOLE: u64 = 1 << 40;
/// Of a package's rank, what it passes on to those that it needs; of 100.
const PASSED: u64 = 85;

/// The job.
pub const PAIR: Pair = Pair {
    name: "rank",
    shows: "a graph whose edges lead everywhere",
    unit: "rounds of PageRank",
    size: 5,
    quick_size: 1,
    forms: &[
        Form {
            name: "dsm-naive",
            over: Over::Dsm,
            what: "an addition at the home for each edge",
            items: &["struct Graph", "impl Graph", "fn by_edges"],
            run: by_edges,
        },
        Form {
            name: "dsm",
            over: Over::Dsm,
            what: "all read at once, each node's share written at once",
            items: &["struct Graph", "impl Graph", "fn by_blocks"],
            run: by_blocks,
        },
        Form {
            name: "rpc-naive",
            over: Over::Rpc,
            what: "calls for each package",
            items: CALLS,
            run: |dsm, rounds| call(dsm, rounds, 1),
        },
        Form {
            name: "rpc",
            over: Over::Rpc,
            what: "calls for all packages of a node",
            items: CALLS,
            run: |dsm, rounds| call(dsm, rounds, usize::MAX),
        },
    ],
    source: include_str!("rank.rs"),
    answer: |_, rounds| alone(&Graph::new(), rounds),
    plain: |_, rounds| {
        let graph = Graph::new();
        timed(|| alone(&graph, rounds))
    },
};

const CALLS: &[&str] =
    &["struct Graph", "impl Graph", "trait Ranks", "struct Owner", "impl Ranks for Owner", "fn call"];

/// The packages, by number.
struct Graph {
    /// Which ones need a package.
    needed_by: Vec<Vec<u32>>,
    /// Which ones it needs.
    needs: Vec<Vec<u32>>,
}

impl Graph {
    fn new() -> Graph {
        let lines = PACKAGES.lines().filter(|line| !line.starts_with('#'));
        let numbers = |line: &str| line.split(' ').skip(1).filter_map(|number| number.parse().ok()).collect();
        let needs: Vec<Vec<u32>> = lines.map(numbers).collect();
        let mut needed_by = vec![Vec::new(); needs.len()];
        for (package, needs) in (0..).zip(&needs) {
            for need in needs {
                needed_by[*need as usize].push(package);
            }
        }
        Graph { needed_by, needs }
    }

    fn len(&self) -> usize {
        self.needs.len()
    }

    fn first(&self) -> u64 {
        WHOLE / self.len() as u64
    }

    /// What a package of this rank passes on to each that it needs.
    fn share(&self, package: usize, rank: u64) -> u64 {
        rank.checked_div(self.needs[package].len() as u64).unwrap_or(0)
    }

    /// The rank of a package that gets so much in all.
    fn rank(&self, gets: u64) -> u64 {
        self.first() * (100 - PASSED) / 100 + gets * PASSED / 100
    }
}

/// What a node hands in for a package. Below 2^50 for all together.
fn digest(package: usize, rank: u64) -> u64 {
    (package as u64 % 512 + 1) * rank
}

fn alone(graph: &Graph, rounds: u64) -> u64 {
    let mut ranks = vec![graph.first(); graph.len()];
    for _ in 0..rounds {
        let shares: Vec<_> = (0..).zip(&ranks).map(|(package, rank)| graph.share(package, *rank)).collect();
        let gets = |sources: &Vec<u32>| sources.iter().map(|source| shares[*source as usize]).sum();
        ranks = graph.needed_by.iter().map(|sources| graph.rank(gets(sources))).collect();
    }
    (0..).zip(&ranks).map(|(package, rank)| digest(package, *rank)).sum()
}

fn by_edges(dsm: &Dsm, rounds: u64) -> Result<Outcome, PairError> {
    let graph = Graph::new();
    let sums = dsm.alloc::<u64>(graph.len(), Placement::Block)?;
    let mine = || (dsm.rank()..graph.len()).step_by(dsm.size());
    let mut ranks: Vec<_> = mine().map(|_| graph.first()).collect();
    measured(dsm, || {
        for _ in 0..rounds {
            for (package, rank) in mine().zip(&ranks) {
                let share = graph.share(package, *rank);
                for need in &graph.needs[package] {
                    sums.fetch_add(*need as usize, share);
                }
            }
            dsm.barrier();
            for (package, rank) in mine().zip(&mut ranks) {
                *rank = graph.rank(sums.get(package));
                sums.set(package, 0);
            }
            dsm.barrier();
        }
        Ok(mine().zip(&ranks).map(|(package, rank)| digest(package, *rank)).sum())
    })
}

fn by_blocks(dsm: &Dsm, rounds: u64) -> Result<Outcome, PairError> {
    let graph = Graph::new();
    let (me, nodes) = (dsm.rank(), dsm.size());
    // Each node's part begins on a page of its own.
    let part = graph.len().div_ceil(nodes).next_multiple_of(PAGE);
    let mut old = dsm.alloc::<u64>(nodes * part, Placement::Block)?;
    let mut new = dsm.alloc::<u64>(nodes * part, Placement::Block)?;
    let mine = rows_of(me, nodes, graph.len());
    let places: Vec<_> = (0..nodes)
        .flat_map(|node| rows_of(node, nodes, graph.len()).enumerate().map(move |(place, _)| node * part + place))
        .collect();
    let mut ranks = vec![graph.first(); mine.len()];
    let shares = |ranks: &[u64]| mine.clone().zip(ranks).map(|(package, rank)| graph.share(package, *rank)).collect();
    measured(dsm, || {
        let mut all = vec![0; nodes * part];
        for _ in 0..rounds {
            let own: Vec<_> = shares(&ranks);
            new.write(me * part, &own);
            dsm.barrier();
            (old, new) = (new, old);
            old.read(0, &mut all);
            let gets = |sources: &Vec<u32>| sources.iter().map(|source| all[places[*source as usize]]).sum();
            ranks = graph.needed_by[mine.clone()].iter().map(|sources| graph.rank(gets(sources))).collect();
        }
        Ok(mine.clone().zip(&ranks).map(|(package, rank)| digest(package, *rank)).sum())
    })
}

/// Who has what the packages pass on: in this round and in the next.
#[rpc::service]
pub trait Ranks {
    /// What these packages pass on in a round; all, if none is named.
    #[rpc(inline)]
    fn shares(&self, round: u64, packages: Vec<u32>) -> Vec<u64>;
    /// What packages pass on in a round, from this one on.
    #[rpc(inline)]
    fn put(&self, round: u64, first: u32, shares: Vec<u64>);
}

struct Owner {
    shares: Held<[Vec<u64>; 2]>,
}

impl Ranks for Owner {
    fn shares(&self, round: u64, packages: Vec<u32>) -> Vec<u64> {
        let shares = &self.shares.lock()[(round % 2) as usize];
        if packages.is_empty() {
            return shares.clone();
        }
        packages.iter().map(|package| shares.get(*package as usize).copied().unwrap_or(0)).collect()
    }

    fn put(&self, round: u64, first: u32, shares: Vec<u64>) {
        let all = &mut self.shares.lock()[(round % 2) as usize];
        all.iter_mut().skip(first as usize).zip(shares).for_each(|(there, new)| *there = new);
    }
}

/// `batch` packages in one call.
fn call(dsm: &Dsm, rounds: u64, batch: usize) -> Result<Outcome, PairError> {
    let graph = Graph::new();
    let shares = || Held::new([vec![0; graph.len()], vec![0; graph.len()]]);
    let desk = Desk::open(dsm, || RanksServer::new(Owner { shares: shares() }))?;
    let client = RanksClient::new(desk.client());
    let mine = rows_of(dsm.rank(), dsm.size(), graph.len());
    let packages: Vec<_> = mine.clone().collect();
    let mut ranks = vec![graph.first(); mine.len()];
    desk.measured(dsm, || {
        for round in 0..rounds {
            for (packages, ranks) in packages.chunks(batch).zip(ranks.chunks(batch)) {
                let own = packages.iter().zip(ranks).map(|(package, rank)| graph.share(*package, *rank)).collect();
                client.put(round, packages[0] as u32, own)?;
            }
            dsm.barrier();
            let all = if batch == 1 { Vec::new() } else { client.shares(round, Vec::new())? };
            for (package, rank) in packages.iter().zip(&mut ranks) {
                let sources = &graph.needed_by[*package];
                let gets = match all.is_empty() {
                    true if sources.is_empty() => 0,
                    true => client.shares(round, sources.clone())?.iter().sum(),
                    false => sources.iter().map(|source| all[*source as usize]).sum(),
                };
                *rank = graph.rank(gets);
            }
        }
        Ok(packages.iter().zip(&ranks).map(|(package, rank)| digest(*package, *rank)).sum())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_graph_is_whole() {
        let graph = Graph::new();
        assert!(graph.len() > 2_000, "{}", graph.len());
        let needs: usize = graph.needs.iter().map(Vec::len).sum();
        assert!(graph.needs.iter().flatten().all(|need| (*need as usize) < graph.len()));
        assert_eq!(needs, graph.needed_by.iter().map(Vec::len).sum::<usize>());
        assert!(needs > 10_000, "{needs}");
    }
}
