//! The smallest of the latest values.

use crate::time::Time;

/// The smallest value of a sliding window of time, from three of them: the smallest, and the smallest after each. This is Kathleen
/// Nichols' filter of the Linux kernel (`lib/win_minmax.c`): constant memory, and never more than the window too late.
/// Values and windows are nanoseconds.
#[derive(Copy, Clone, Debug, Default)]
pub(super) struct WindowedMin {
    best: Option<[(Time, u64); 3]>,
}

impl WindowedMin {
    /// The smallest value; none before the first.
    pub fn get(&self) -> Option<u64> {
        self.best.map(|[(_, value), ..]| value)
    }

    /// Takes a value; those that are older than `window` count no more.
    pub fn sample(&mut self, now: Time, value: u64, window: u64) {
        let new = (now, value);
        let Some([first, second, third]) = self.best else {
            self.best = Some([new; 3]);
            return;
        };
        let is_old = |(at, _): (Time, u64)| now.0.saturating_sub(at.0) > window;
        let kept = match () {
            _ if value <= first.1 || is_old(third) => [new; 3],
            _ if value <= second.1 => [first, new, new],
            _ if value <= third.1 => [first, second, new],
            () => [first, second, third],
        };
        self.best = Some(Self::age(kept, new, window));
    }

    /// Lets the first go when it is too old, and keeps the others apart, so that there is a successor by then.
    fn age([first, second, third]: [(Time, u64); 3], new: (Time, u64), window: u64) -> [(Time, u64); 3] {
        let since = |at: Time| new.0.0.saturating_sub(at.0);
        if since(first.0) > window {
            let [first, second, third] = [second, third, new];
            return if since(first.0) > window { [second, third, new] } else { [first, second, third] };
        }
        if second.0 == first.0 && since(second.0) > window / 4 {
            return [first, new, new];
        }
        if third.0 == second.0 && since(third.0) > window / 2 {
            return [first, second, new];
        }
        [first, second, third]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const US: u64 = 1_000;

    fn later(now: Time, by: u64) -> Time {
        Time(now.0 + by)
    }

    #[test]
    fn the_smallest_counts_for_one_window_and_then_the_next_one() {
        let mut min = WindowedMin::default();
        let mut now = Time::ZERO;
        assert_eq!(min.get(), None);
        for step in 0..100u32 {
            now = later(now, US);
            min.sample(now, if step == 10 { 5 * US } else { 20 * US }, 50 * US);
            let expected = if (10..=60).contains(&step) { 5 } else { 20 };
            assert_eq!(min.get(), Some(expected * US), "step {step}");
        }
    }

    #[test]
    fn it_never_reports_less_than_the_window_holds_nor_what_is_much_older() {
        let mut random = crate::transport::random::Random::new(3);
        let (mut min, mut now, mut values) = (WindowedMin::default(), Time::ZERO, Vec::new());
        let window = 40 * US;
        for _ in 0..10_000 {
            now = later(now, US * (1 + random.below(5)));
            let value = US * (10 + random.below(1_000));
            values.push((now, value));
            min.sample(now, value, window);
            let got = min.get().unwrap();
            let true_min =
                values.iter().rev().take_while(|(at, _)| now.0 - at.0 <= window).map(|(_, value)| *value).min();
            assert!(got >= true_min.unwrap());
            let (at, _) = values.iter().rev().find(|(_, value)| *value == got).unwrap();
            assert!(now.0 - at.0 <= window);
        }
    }
}
