//! Where a test's variables lie, who keeps their pages, and who has a copy at the start.

use std::fmt;

use super::test::{Operation, Test, Variable};

/// Which variables share a page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Layout {
    /// All.
    OnePage,
    /// None.
    Apart,
}

/// What is known of a page when the test starts. Its contents are 0 in any case.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Start {
    /// Nothing: nobody ever touched it.
    Cold,
    /// Every node has a copy.
    Shared,
    /// A thread that loads from it has the only copy, and may write it.
    Reader,
    /// A thread that stores to it has the only copy, and may write it.
    Writer,
}

impl Start {
    const ALL: [Start; 4] = [Start::Cold, Start::Shared, Start::Reader, Start::Writer];
}

/// One way to place a test.
///
/// Thread *t* runs on node *t*; the node after the last thread's takes no part and may be a home.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Placement {
    /// Which variables share a page.
    pub layout: Layout,
    /// The home of each page.
    pub homes: Vec<usize>,
    /// The state of every page at the start.
    pub start: Start,
}

impl Placement {
    /// Every placement of a test.
    ///
    /// With several pages, the homes of the first two take all pairs; a third and later page go on in the same step, which
    /// keeps the number of placements in bounds.
    pub fn all(test: &Test) -> Vec<Placement> {
        let nodes = nodes(test);
        let apart = test.variables.len();
        let mut all = Vec::new();
        for start in Start::ALL {
            for first in 0..nodes {
                all.push(Placement { layout: Layout::OnePage, homes: vec![first], start });
                let steps = if apart > 1 { 0..nodes } else { 0..0 };
                all.extend(steps.map(|step| {
                    let homes = (0..apart).map(|page| (first + step * page) % nodes).collect();
                    Placement { layout: Layout::Apart, homes, start }
                }));
            }
        }
        all
    }

    /// The page that a variable lies on, of those of the placement.
    pub fn page(&self, variable: Variable) -> usize {
        match self.layout {
            Layout::OnePage => 0,
            Layout::Apart => variable.0,
        }
    }

    /// The threads that load from `page`, or store to it.
    pub fn users(&self, test: &Test, page: usize, use_: Use) -> Vec<usize> {
        let uses = |operation: &Operation| {
            self.page(operation.variable()) == page && matches!(operation, Operation::Load(_)) == (use_ == Use::Load)
        };
        let threads = test.threads.iter().enumerate();
        threads.filter(|(_, steps)| steps.iter().any(uses)).map(|(thread, _)| thread).collect()
    }
}

/// What a thread does with a page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Use {
    /// It loads.
    Load,
    /// It stores.
    Store,
}

/// How many nodes a test has: one for each thread, and one that takes no part.
pub fn nodes(test: &Test) -> usize {
    test.threads.len() + 1
}

impl fmt::Display for Placement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let homes: Vec<String> = self.homes.iter().map(usize::to_string).collect();
        let pages = match self.layout {
            Layout::OnePage => "all on one page, home",
            Layout::Apart => "a page each, homes",
        };
        let start = match self.start {
            Start::Cold => "cold",
            Start::Shared => "shared everywhere",
            Start::Reader => "owned by a reader",
            Start::Writer => "owned by a writer",
        };
        write!(f, "{pages} {}, {start}", homes.join(" "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_pair_of_homes_occurs_with_every_start_and_with_one_page() {
        let tests = crate::litmus::parse::parse(crate::litmus::SEQUENTIAL).unwrap();
        let sb = tests.iter().find(|test| test.name == "SB").unwrap();
        let all = Placement::all(sb);
        assert_eq!(all.len(), 4 * (3 + 9));
        for start in Start::ALL {
            for first in 0..3 {
                assert!(all.contains(&Placement { layout: Layout::OnePage, homes: vec![first], start }));
                for second in 0..3 {
                    assert!(all.contains(&Placement { layout: Layout::Apart, homes: vec![first, second], start }));
                }
            }
        }
        assert_eq!(all[0].users(sb, 0, Use::Load), [0, 1]);
        let apart = all.iter().find(|placement| placement.layout == Layout::Apart).unwrap();
        assert_eq!((apart.users(sb, 0, Use::Load), apart.users(sb, 0, Use::Store)), (vec![1], vec![0]));
        assert_eq!(all[0].to_string(), "all on one page, home 0, cold");
    }

    #[test]
    fn no_placement_occurs_twice() {
        for test in crate::litmus::parse::parse(crate::litmus::SEQUENTIAL).unwrap() {
            let all = Placement::all(&test);
            let words: std::collections::BTreeSet<String> = all.iter().map(ToString::to_string).collect();
            assert_eq!(words.len(), all.len(), "{}", test.name);
        }
    }
}
