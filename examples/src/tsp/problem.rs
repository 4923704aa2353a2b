//! An instance made ready for the search, and the tasks that its tree is cut into.

use super::Instance;
use super::bound::{Potentials, SCALE};

/// The most cities that a task fixes after the first: 64 cities then give a quarter of a million tasks.
pub const DEPTH_MAX: usize = 3;

/// How many rounds of Held and Karp's ascent the programs make, unless told otherwise.
///
/// Ten times as many tighten the bound so far that bays29 falls in a moment and hardly anything is left to share; with
/// 20 it is so loose that bays29 takes more than a minute and a half. Half a second is a good size for watching several
/// nodes at it.
pub const ASCENT_ROUNDS: usize = 60;

/// The most rounds that make sense.
pub const ASCENT_ROUNDS_MAX: usize = 100_000;

/// The first cities of a tour after city 0, where every tour starts: one task of the search.
///
/// It fits one word of shared memory: a byte for each city, the first in the lowest byte, and zeroes above (city 0
/// never comes again, so a zero byte ends the list).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Prefix(u64);

impl Prefix {
    /// The word.
    pub fn to_word(self) -> u64 {
        self.0
    }

    /// From a word that [`Prefix::to_word`] gave, perhaps to another process. What is in it is checked by
    /// [`Problem::search`].
    pub fn from_word(word: u64) -> Self {
        Self(word)
    }

    fn new(cities: &[u8]) -> Self {
        Self(cities.iter().rev().fold(0, |word, &city| word << 8 | u64::from(city)))
    }

    /// The cities, without the leading city 0.
    pub fn cities(self) -> impl Iterator<Item = u8> {
        self.0.to_le_bytes().into_iter().take_while(|&city| city != 0)
    }
}

/// An instance with its potentials: everything that a worker needs to search, made alike in every process.
#[derive(Debug, Clone)]
pub struct Problem {
    instance: Instance,
    potentials: Potentials,
    first_tour: (u32, Vec<u8>),
}

impl Problem {
    /// Prepares an instance: a first tour, and potentials for the bound, improved in `ascent` rounds (see
    /// [`ASCENT_ROUNDS`]). The answer does not depend on them, only the time to it does. A few milliseconds.
    pub fn new(instance: Instance, ascent: usize) -> Self {
        let tour = nearest_neighbours(&instance);
        let length = instance.tour_length(&tour).expect("a walk over all cities is a tour");
        let potentials = Potentials::ascend(&instance, length, ascent);
        Self { instance, potentials, first_tour: (length, tour) }
    }

    /// The instance.
    pub fn instance(&self) -> &Instance {
        &self.instance
    }

    /// A tour to begin with, and its length: always on to the nearest city. Some 20 % too long, as a rule.
    pub fn first_tour(&self) -> (u32, Vec<u8>) {
        self.first_tour.clone()
    }

    /// The tasks: every way to begin a tour with `depth` cities after the first (from 1 to [`DEPTH_MAX`]), less those
    /// that cannot beat the first tour. The most promising come first, so that good tours, which cut the rest short,
    /// are found early.
    pub fn tasks(&self, depth: usize) -> Vec<Prefix> {
        let mut path = Path::new(self);
        let mut found = Vec::new();
        self.collect(&mut path, self.depth(depth), &mut found);
        found.sort_by_key(|&(bound, prefix): &(i64, Prefix)| (bound, prefix.to_word()));
        found.into_iter().map(|(_, prefix)| prefix).collect()
    }

    /// At most how many tasks there are of that depth, before any is found not to be worth it.
    pub fn tasks_max(&self, depth: usize) -> usize {
        let others = self.instance.cities - 1;
        (0..self.depth(depth)).fold(1, |tasks: usize, taken| tasks.saturating_mul(others - taken))
    }

    fn depth(&self, asked: usize) -> usize {
        asked.clamp(1, DEPTH_MAX.min(self.instance.cities - 1))
    }

    fn collect(&self, path: &mut Path<'_>, depth: usize, found: &mut Vec<(i64, Prefix)>) {
        for (bound, city) in path.next_cities(self.first_tour.0) {
            path.push(city);
            if depth == 1 {
                found.push((bound, Prefix::new(&path.cities[1..])));
            } else {
                self.collect(path, depth - 1, found);
            }
            path.pop();
        }
    }
}

/// A path from city 0 through some cities: a node of the search tree.
pub(super) struct Path<'p> {
    problem: &'p Problem,
    cities: Vec<u8>,
    visited: u64,
    /// The path's length so far, without and with the potentials.
    length: u32,
    legs: i64,
}

impl<'p> Path<'p> {
    pub(super) fn new(problem: &'p Problem) -> Self {
        Self { problem, cities: vec![0], visited: 1, length: 0, legs: 0 }
    }

    fn last(&self) -> usize {
        self.cities.last().copied().unwrap_or(0).into()
    }

    pub(super) fn push(&mut self, city: u8) {
        self.length += self.problem.instance.distance(self.last(), city.into());
        self.legs += self.problem.potentials.leg(self.last(), city.into());
        self.visited |= 1 << city;
        self.cities.push(city);
    }

    pub(super) fn pop(&mut self) {
        let Some(city) = self.cities.pop() else { return };
        self.visited &= !(1 << city);
        self.length -= self.problem.instance.distance(self.last(), city.into());
        self.legs -= self.problem.potentials.leg(self.last(), city.into());
    }

    /// The path with all cities, closed to a tour: its length and cities. `None` while some are missing.
    pub(super) fn tour(&self) -> Option<(u32, &[u8])> {
        let complete = self.cities.len() == self.problem.instance.cities;
        complete.then(|| (self.length + self.problem.instance.distance(self.last(), 0), &self.cities[..]))
    }

    /// Whether the path may be followed by this city at all.
    pub(super) fn may_visit(&self, city: u8) -> bool {
        // Each tour can be walked both ways; only the way that meets city 1 before city 2 is searched.
        let other_way = city == 2 && self.visited & (1 << 1) == 0;
        usize::from(city) < self.problem.instance.cities && self.visited & (1 << city) == 0 && !other_way
    }

    /// Whether a tour that is at least `bound` long (in units of 1 / [`SCALE`]) may be shorter than `limit`.
    pub(super) fn may_beat(&self, bound: i64, limit: u32) -> bool {
        // Tours are whole: one that is shorter is shorter by a whole unit.
        bound <= (i64::from(limit) - 1) * SCALE
    }

    /// Where the path can go on to a tour shorter than `limit`, as far as the bound can tell; the most promising first.
    pub(super) fn next_cities(&self, limit: u32) -> Vec<(i64, u8)> {
        let potentials = &self.problem.potentials;
        let all = 0..self.problem.instance.cities as u8;
        let left: Vec<u8> = all.filter(|&city| self.visited & (1 << city) == 0).collect();
        let mut next = Vec::new();
        let mut beyond = Vec::with_capacity(left.len());
        for &city in left.iter().filter(|&&city| self.may_visit(city)) {
            beyond.clear();
            beyond.extend(left.iter().filter(|&&other| other != city));
            // What is left after `city` is a path through the others and home: no shorter than a tree through them and
            // the shortest leg at either end.
            let path = self.legs + potentials.leg(self.last(), city.into());
            let rest = match beyond.is_empty() {
                true => potentials.leg(city.into(), 0),
                false => {
                    let ends = potentials.shortest(city.into(), &beyond) + potentials.shortest(0, &beyond);
                    ends + potentials.spanning_tree(&beyond, |_, _| {})
                }
            };
            let bound = path + rest - potentials.surplus();
            if self.may_beat(bound, limit) {
                next.push((bound, city));
            }
        }
        next.sort_unstable();
        next
    }
}

fn nearest_neighbours(instance: &Instance) -> Vec<u8> {
    let mut tour = vec![0u8];
    let mut left: Vec<u8> = (1..instance.cities() as u8).collect();
    while let Some(&last) = tour.last()
        && let Some(nearest) = (0..left.len()).min_by_key(|&k| instance.distance(last.into(), left[k].into()))
    {
        tour.push(left.swap_remove(nearest));
    }
    tour
}
