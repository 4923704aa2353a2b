//! The jobs that are written over shared memory and over RPC ([`examples::pairs`]), in all forms, measured.
//!
//! One factor at a time is varied around a base case: how many nodes, how many datagrams are lost, how large the jobs are. A launch is one
//! job of real processes, which do all the jobs in all forms once, after one of each that does not count. Launches of all
//! cases take turns. Each answer is checked.
//!
//! * [`node`]: what a process of a launch does.
//! * [`measure`]: the launches, and what came of them.
//! * [`model`]: what a job should cost, reckoned from what single accesses cost.
//! * [`table`]: for people.

pub mod measure;
pub mod model;
pub mod node;
pub mod table;

use examples::pairs::Pair;
use serde::{Deserialize, Serialize};

/// Nodes of the base case.
pub const BASE_NODES: usize = 2;

/// How large the jobs are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Size {
    /// A quarter of the base case's.
    Small,
    /// The base case's.
    Base,
    /// Four times the base case's.
    Large,
}

impl Size {
    /// All.
    pub const ALL: [Size; 3] = [Size::Small, Size::Base, Size::Large];

    /// In the job's own unit.
    pub fn of(self, pair: &Pair, quick: bool) -> u64 {
        let base = if quick { pair.quick_size } else { pair.size };
        match self {
            Size::Small => (base / 4).max(1),
            Size::Base => base,
            Size::Large => base * 4,
        }
    }
}

/// Under which circumstances a launch runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Case {
    /// Processes.
    pub nodes: usize,
    /// Hundredths of datagrams that are lost, both of shared memory and of calls.
    pub loss: u32,
    /// How large the jobs are.
    pub size: Size,
}

impl Case {
    /// Around which the factors vary.
    pub const BASE: Case = Case { nodes: BASE_NODES, loss: 0, size: Size::Base };
}

impl std::fmt::Display for Case {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Case { nodes, loss, size } = self;
        let size = match size {
            Size::Small => ", small",
            Size::Base => "",
            Size::Large => ", large",
        };
        write!(f, "{nodes} node{}, {loss} % lost{size}", if *nodes == 1 { "" } else { "s" })
    }
}

/// Cases, and how often each is launched.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Whether all is so small that it takes less than a minute.
    pub quick: bool,
    /// Each case with its number of launches.
    pub cases: Vec<(Case, usize)>,
    /// These jobs alone, by name; all if there are none.
    pub jobs: Vec<String>,
}

impl Plan {
    /// In full, or in small.
    pub fn new(quick: bool, jobs: Vec<String>) -> Plan {
        let (base, nodes, others) = if quick { (5, 1, 1) } else { (9, 5, 3) };
        let losses: &[u32] = if quick { &[5] } else { &[1, 5] };
        let sizes: &[Size] = if quick { &[Size::Large] } else { &[Size::Small, Size::Large] };
        let mut cases = vec![(Case::BASE, base)];
        cases.extend([1, 3, 4].map(|count| (Case { nodes: count, ..Case::BASE }, nodes)));
        cases.extend(losses.iter().map(|loss| (Case { loss: *loss, ..Case::BASE }, others)));
        cases.extend(sizes.iter().map(|size| (Case { size: *size, ..Case::BASE }, others)));
        Plan { quick, cases, jobs }
    }

    /// All launches.
    pub fn launches(&self) -> usize {
        self.cases.iter().map(|(_, launches)| launches).sum()
    }

    /// So often every case has its turn that has launches left.
    pub fn rounds(&self) -> usize {
        self.cases.iter().map(|(_, launches)| *launches).max().unwrap_or(0)
    }

    /// The cases of a round.
    fn round(&self, round: usize) -> impl Iterator<Item = Case> {
        self.cases.iter().filter(move |(_, launches)| round < *launches).map(|(case, _)| *case)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cases_take_turns_and_each_has_its_launches() {
        let plan = Plan::new(false, Vec::new());
        let order: Vec<Case> = (0..plan.rounds()).flat_map(|round| plan.round(round)).collect();
        assert_eq!(order.len(), plan.launches());
        assert_eq!((order[0], order[plan.cases.len()]), (Case::BASE, Case::BASE));
        for (case, launches) in &plan.cases {
            assert_eq!(order.iter().filter(|other| *other == case).count(), *launches);
        }
    }
}
