//! A line between two ends, to order: so fast, so long, with a queue that is bounded, and with loss that has nothing to do with
//! congestion. Pure: time is an argument, and one seed decides everything.
//!
//! What is sent waits in the queue of a bottleneck, is lost there if the queue is full, and takes its time to leave; then it is lost,
//! duplicated or held back by chance, and arrives after the line's delay. So what chance loses has used the line, and nobody
//! gets more than `rate * (1 - loss)` through.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// A line, the same in both directions.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Network {
    /// Megabits a second.
    pub rate_megabits: u32,
    /// From one end to the other, beside the time in the queue.
    pub delay: Duration,
    /// How much may wait for the bottleneck, bytes.
    pub queue_bytes: u64,
    /// Probability that a packet vanishes, 0 to 1.
    pub loss: f64,
    /// Probability that it comes twice.
    pub duplicate: f64,
    /// Probability that it is held back so that later ones overtake it.
    pub reorder: f64,
    /// The same seed and the same packets at the same times give the same faults.
    pub seed: u64,
}

/// A packet that is held back to be overtaken waits for so long.
const HELD_BACK: Duration = Duration::from_millis(2);

/// What became of packets.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Fates {
    /// Came to the bottleneck.
    pub sent: u64,
    /// Found its queue full.
    pub overflowed: u64,
    /// Left it, and vanished by chance.
    pub lost: u64,
}

/// One direction of a [`Network`]. Times are since some beginning.
#[derive(Debug)]
pub struct Direction {
    network: Network,
    random: Random,
    /// When the bottleneck has nothing more to do.
    free_at: Duration,
    /// By time of arrival, then by order.
    under_way: BTreeMap<(Duration, u64), Vec<u8>>,
    order: u64,
    fates: Fates,
}

impl Direction {
    /// With nothing under way. Directions of different numbers have different chances.
    pub fn new(network: &Network, number: u64) -> Direction {
        Direction {
            network: network.clone(),
            random: Random(network.seed.wrapping_mul(2).wrapping_add(number)),
            free_at: Duration::ZERO,
            under_way: BTreeMap::new(),
            order: 0,
            fates: Fates::default(),
        }
    }

    /// How long the line is busy with so many bytes.
    fn time_for(&self, bytes: u64) -> Duration {
        Duration::from_nanos(bytes * 8_000 / u64::from(self.network.rate_megabits.max(1)))
    }

    /// A packet comes to the line.
    pub fn send(&mut self, now: Duration, packet: &[u8]) {
        self.fates.sent += 1;
        let start = self.free_at.max(now);
        let bytes = packet.len() as u64;
        if start - now + self.time_for(bytes) > self.time_for(self.network.queue_bytes) {
            self.fates.overflowed += 1;
            return;
        }
        self.free_at = start + self.time_for(bytes);
        if self.random.chance(self.network.loss) {
            self.fates.lost += 1;
            return;
        }
        let copies = if self.random.chance(self.network.duplicate) { 2 } else { 1 };
        for _ in 0..copies {
            let held = if self.random.chance(self.network.reorder) { HELD_BACK } else { Duration::ZERO };
            self.order += 1;
            self.under_way.insert((self.free_at + self.network.delay + held, self.order), packet.to_vec());
        }
    }

    /// Hands out what has arrived, in order of arrival.
    pub fn arrivals(&mut self, now: Duration, mut out: impl FnMut(&[u8])) {
        while let Some(first) = self.under_way.first_entry()
            && first.key().0 <= now
        {
            out(&first.remove());
        }
    }

    /// When the next packet arrives.
    pub fn next_arrival(&self) -> Option<Duration> {
        self.under_way.keys().next().map(|(time, _)| *time)
    }

    /// What became of the packets so far.
    pub fn fates(&self) -> Fates {
        self.fates
    }
}

/// SplitMix64 (Steele, Lea, Flood: "Fast splittable pseudorandom number generators", 2014).
#[derive(Debug)]
struct Random(u64);

impl Random {
    fn chance(&mut self, probability: f64) -> bool {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^= z >> 31;
        // The upper 53 bits as a fraction.
        ((z >> 11) as f64) < probability * (1u64 << 53) as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CLEAN: Network = Network {
        rate_megabits: 80,
        delay: Duration::from_millis(5),
        queue_bytes: 100_000,
        loss: 0.0,
        duplicate: 0.0,
        reorder: 0.0,
        seed: 1,
    };

    /// What arrives of so many packets of 1,000 bytes, one every `gap`, with the time of the last arrival.
    fn run(network: &Network, count: u32, gap: Duration) -> (Vec<u32>, Duration, Fates) {
        let mut direction = Direction::new(network, 0);
        let (mut arrived, mut last) = (Vec::new(), Duration::ZERO);
        let mut take = |direction: &mut Direction, now| {
            while let Some(due) = direction.next_arrival().filter(|due| *due <= now) {
                last = due;
                direction.arrivals(due, |packet| {
                    arrived.push(u32::from_be_bytes(packet[..4].try_into().unwrap()));
                });
            }
        };
        for number in 0..count {
            let now = gap * number;
            take(&mut direction, now);
            let mut packet = [0; 1_000];
            packet[..4].copy_from_slice(&number.to_be_bytes());
            direction.send(now, &packet);
        }
        take(&mut direction, Duration::MAX);
        let fates = direction.fates();
        (arrived, last, fates)
    }

    #[test]
    fn a_clean_line_delays_and_keeps_the_order() {
        // 1,000 bytes take 100 us at 80 Mbit/s.
        let (arrived, last, fates) = run(&CLEAN, 100, Duration::from_micros(100));
        assert!(arrived.iter().copied().eq(0..100));
        assert_eq!(last, Duration::from_micros(100 * 100) + CLEAN.delay);
        assert_eq!(fates, Fates { sent: 100, overflowed: 0, lost: 0 });
    }

    #[test]
    fn a_full_queue_loses_what_comes_and_the_rate_is_kept() {
        let (arrived, last, fates) = run(&CLEAN, 10_000, Duration::from_micros(50));
        assert_eq!(arrived.len() as u64 + fates.overflowed, 10_000);
        let rate = arrived.len() as f64 * 8e3 / (last - CLEAN.delay).as_secs_f64();
        assert!((79e6..80.1e6).contains(&rate), "{rate}");
        assert!((4_500..5_000).contains(&fates.overflowed), "{fates:?}");
    }

    #[test]
    fn chance_is_as_often_as_asked_and_the_same_for_the_same_seed() {
        let network = Network { loss: 0.2, duplicate: 0.1, reorder: 0.1, ..CLEAN };
        let gap = Duration::from_micros(100);
        let (arrived, _, fates) = run(&network, 10_000, gap);
        assert!((1_850..2_150).contains(&fates.lost), "{fates:?}");
        assert!((8_600..9_000).contains(&arrived.len()), "{}", arrived.len());
        assert!(arrived.windows(2).any(|pair| pair[0] > pair[1]));
        assert_eq!(run(&network, 10_000, gap).0, arrived);
        assert_ne!(run(&Network { seed: 2, ..network }, 10_000, gap).0, arrived);
    }
}
