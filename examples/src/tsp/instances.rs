//! The instances that the programs carry inside themselves, with their published optima.

use super::{Instance, tsplib};

/// A TSPLIB instance with a published shortest tour. `data/README.md` says where they come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Published {
    /// Its name in TSPLIB.
    pub name: &'static str,
    /// The file.
    pub text: &'static str,
    /// The length of the shortest tour.
    pub optimum: u32,
}

impl Published {
    /// All of them, the quickest to solve first.
    pub const ALL: [Published; 3] = [
        Published { name: "burma14", text: include_str!("../../data/burma14.tsp"), optimum: 3323 },
        Published { name: "gr17", text: include_str!("../../data/gr17.tsp"), optimum: 2085 },
        Published { name: "bays29", text: include_str!("../../data/bays29.tsp"), optimum: 2020 },
    ];

    /// The instance of that name, if it is one of these.
    pub fn named(name: &str) -> Option<Published> {
        Self::ALL.into_iter().find(|published| published.name == name)
    }

    /// The instance itself.
    pub fn instance(&self) -> Instance {
        tsplib::parse(self.text).expect("the files that are compiled in are read by the tests")
    }
}
