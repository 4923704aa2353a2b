//! The replay window: which packet numbers of a session have been here.
//!
//! A bitmap of the newest numbers, as RFC 4303 describes it in section 3.4.3, kept as a ring of words that are cleared as the
//! window moves over them (RFC 6479), so that nothing is ever shifted.

/// How far behind the newest a packet may come and still be told from a copy.
pub(crate) const WINDOW_PACKETS: u64 = 2_048;

/// One word more than the window fills: it may begin and end in the middle of one.
const WORDS: usize = WINDOW_PACKETS as usize / 64 + 1;

/// Nothing has been here.
#[derive(Clone, Debug)]
pub(crate) struct ReplayWindow {
    /// One more than the newest number.
    next: u64,
    words: [u64; WORDS],
}

impl Default for ReplayWindow {
    fn default() -> Self {
        ReplayWindow { next: 0, words: [0; WORDS] }
    }
}

impl ReplayWindow {
    fn place(packet: u64) -> (usize, u64) {
        ((packet / 64 % WORDS as u64) as usize, 1 << (packet % 64))
    }

    /// Whether this number has certainly not been here.
    pub fn is_fresh(&self, packet: u64) -> bool {
        let Some(age) = self.next.checked_sub(packet).filter(|age| *age > 0) else { return true };
        let (word, bit) = Self::place(packet);
        age <= WINDOW_PACKETS && self.words.get(word).is_some_and(|word| word & bit == 0)
    }

    /// Notes a number whose datagram was genuine; [`Self::is_fresh`] said so before.
    pub fn note(&mut self, packet: u64) {
        if packet >= self.next {
            // Of the words that the window moves into, what they said of older numbers is over.
            let entered = self.next.div_ceil(64)..=packet / 64;
            for number in entered.take(WORDS) {
                if let Some(word) = self.words.get_mut((number % WORDS as u64) as usize) {
                    *word = 0;
                }
            }
            self.next = packet + 1;
        }
        let (word, bit) = Self::place(packet);
        if let Some(word) = self.words.get_mut(word) {
            *word |= bit;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_window_is_as_wide_as_it_says_and_ends_there() {
        let mut window = ReplayWindow::default();
        window.note(10_000);
        assert!(window.is_fresh(10_001) && !window.is_fresh(10_000));
        assert!(window.is_fresh(10_001 - WINDOW_PACKETS));
        assert!(!window.is_fresh(10_000 - WINDOW_PACKETS) && !window.is_fresh(0));
    }

    #[test]
    fn a_leap_over_the_whole_window_leaves_nothing_of_the_past() {
        let mut window = ReplayWindow::default();
        (0..5_000).for_each(|packet| window.note(packet));
        let far = 1 << 59;
        window.note(far);
        assert!((far - WINDOW_PACKETS + 1..far).all(|packet| window.is_fresh(packet)));
        assert!(!window.is_fresh(far) && !window.is_fresh(4_999));
    }

    proptest! {
        #[test]
        fn it_never_takes_a_number_twice_and_takes_all_that_are_new_enough(
            steps in proptest::collection::vec(prop_oneof![4 => 0..70u64, 2 => 0..2_200u64, 1 => 0..10_000u64], 1..400),
            back in proptest::collection::vec(0..2_200u64, 400)
        ) {
            let (mut window, mut model, mut newest) = (ReplayWindow::default(), BTreeSet::new(), 0u64);
            for (step, back) in steps.into_iter().zip(back) {
                for packet in [newest + step, (newest + step).saturating_sub(back)] {
                    let top = model.last().map_or(0, |last| last + 1);
                    let expected = !model.contains(&packet) && packet + WINDOW_PACKETS >= top;
                    prop_assert_eq!(window.is_fresh(packet), expected, "{} of {}", packet, top);
                    if expected {
                        window.note(packet);
                        model.insert(packet);
                    }
                }
                newest += step;
            }
        }
    }
}
