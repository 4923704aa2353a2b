//! A lower bound for what is still to travel: potentials on the cities, and minimum spanning trees.
//!
//! Add a number (a *potential*) to every leg that touches a city, and every tour grows by exactly twice the sum of the
//! potentials, because it touches each city twice: the shortest tour stays the shortest. A *1-tree* (a spanning tree
//! over all cities but one, and the two shortest legs from that one) is at most as long as the shortest tour, for a
//! tour is a 1-tree too. So the best potentials are those that make the shortest 1-tree long: raise them where too many
//! legs of the tree meet, lower them where it ends. M. Held and R. Karp, "The traveling-salesman problem and minimum
//! spanning trees", Operations Research 18 (1970) and Mathematical Programming 1 (1971).
//!
//! All legs and potentials are whole numbers in units of 1 / [`SCALE`], so that no rounding can cut off a tour.
//! *Any* potentials give a true bound: only how much is searched depends on how good they are, never the answer.

use super::Instance;

/// Units in one unit of distance.
pub(super) const SCALE: i64 = 1 << 10;

/// The legs with the potentials added, and what to take away again.
#[derive(Debug, Clone)]
pub(super) struct Potentials {
    n: usize,
    legs: Vec<i64>,
    /// Twice the sum of the potentials: how much longer every tour has become.
    surplus: i64,
}

impl Potentials {
    /// Ascends from no potentials at all, in that many rounds, with the length of a known tour as the height to aim at.
    pub(super) fn ascend(instance: &Instance, known_tour: u32, rounds: usize) -> Self {
        let n = instance.cities();
        let aim = i64::from(known_tour) * SCALE;
        let mut potentials = vec![0i64; n];
        let (mut best, mut best_bound) = (Self::with(instance, &potentials), i64::MIN);
        let (mut step, mut since_better) = (2.0f64, 0);
        for _ in 0..rounds {
            let current = Self::with(instance, &potentials);
            let (tree, degrees) = current.one_tree();
            let bound = tree - current.surplus;
            if bound > best_bound {
                (best, best_bound, since_better) = (current, bound, 0);
            } else {
                since_better += 1;
                if since_better == n {
                    (step, since_better) = (step / 2.0, 0);
                }
            }
            // How far the tree is from a tour, in which every city has two legs.
            let miss: i64 = degrees.iter().map(|degree| (degree - 2).pow(2)).sum();
            if miss == 0 {
                break;
            }
            let length = step * (aim - bound).max(SCALE) as f64 / miss as f64;
            for (potential, degree) in potentials.iter_mut().zip(&degrees) {
                *potential += (length * (degree - 2) as f64) as i64;
            }
        }
        best
    }

    fn with(instance: &Instance, potentials: &[i64]) -> Self {
        let n = instance.cities();
        let leg = |i, j| i64::from(instance.distance(i, j)) * SCALE + potentials[i] + potentials[j];
        let legs = (0..n * n).map(|cell| leg(cell / n, cell % n)).collect();
        Self { n, legs, surplus: 2 * potentials.iter().sum::<i64>() }
    }

    /// The leg between two cities, potentials included.
    pub(super) fn leg(&self, from: usize, to: usize) -> i64 {
        self.legs[from * self.n + to]
    }

    /// See the field.
    pub(super) fn surplus(&self) -> i64 {
        self.surplus
    }

    /// The shortest leg from a city to one of the others.
    pub(super) fn shortest(&self, from: usize, to: &[u8]) -> i64 {
        to.iter().map(|&city| self.leg(from, city.into())).min().unwrap_or(0)
    }

    /// The length of the shortest tree that spans `cities`: Prim's algorithm, quadratic. `joined(a, b)` is told each
    /// leg.
    pub(super) fn spanning_tree(&self, cities: &[u8], mut joined: impl FnMut(u8, u8)) -> i64 {
        // The cities outside the tree, each with the nearest one inside and the leg to it. At most 64: no allocation.
        let mut outside = [(0u8, 0u8, 0i64); super::tsplib::CITIES_MAX];
        let Some((&first, rest)) = cities.split_first() else { return 0 };
        for (slot, &city) in outside.iter_mut().zip(rest) {
            *slot = (city, first, self.leg(first.into(), city.into()));
        }
        let mut length = 0;
        for left in (1..=rest.len()).rev() {
            let nearest = (1..left).fold(0, |best, k| if outside[k].2 < outside[best].2 { k } else { best });
            let (city, inside, leg) = outside[nearest];
            outside[nearest] = outside[left - 1];
            length += leg;
            joined(city, inside);
            for slot in &mut outside[..left - 1] {
                let leg = self.leg(city.into(), slot.0.into());
                if leg < slot.2 {
                    (slot.1, slot.2) = (city, leg);
                }
            }
        }
        length
    }

    /// The shortest 1-tree with city 0 apart: its length, and how many of its legs meet in each city.
    fn one_tree(&self) -> (i64, Vec<i64>) {
        let others: Vec<u8> = (1..self.n as u8).collect();
        let mut degrees = vec![0; self.n];
        let tree = self.spanning_tree(&others, |a, b| {
            degrees[usize::from(a)] += 1;
            degrees[usize::from(b)] += 1;
        });
        let mut near: Vec<u8> = others;
        near.sort_by_key(|&city| self.leg(0, city.into()));
        for &city in near.iter().take(2) {
            degrees[0] += 1;
            degrees[usize::from(city)] += 1;
        }
        (tree + near.iter().take(2).map(|&city| self.leg(0, city.into())).sum::<i64>(), degrees)
    }
}
