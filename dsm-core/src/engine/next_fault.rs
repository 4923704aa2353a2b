//! Where to look when a thread of the program has gone on from its fault.
//!
//! On one processor the kernel lets a thread that is woken run at once, most of the time. A program that goes from page to page has then
//! stopped at the next one before the engine's thread runs on, and to yield first, and to ask whether there are faults before they
//! are read, would put two system calls in its way. Where it does not run at once, it runs when the engine's thread yields. So
//! the engine's thread goes by what it found the last time.

use super::Turn;

/// After so many of these looks, the engine's thread lets others run once, and looks everywhere.
const LOOKS: u32 = 64;

/// Whether the next fault is there before the engine's thread lets others run.
#[derive(Debug, Default)]
pub(super) struct NextFault {
    /// The last turn let somebody go on, and it is time to look for this.
    resumed: bool,
    /// It is looked for, and nobody was seen to run since.
    looking: bool,
    /// It was there, the last time.
    is_early: bool,
    looks: u32,
}

impl NextFault {
    /// A turn is over, in which there were faults or not.
    pub(super) fn learn(&mut self, turn: Turn, faulted: bool) {
        if std::mem::take(&mut self.looking) {
            self.is_early = faulted;
        }
        self.resumed = turn == Turn::Resumed && self.looks < LOOKS;
        match turn {
            Turn::Resumed if self.resumed => self.looks += 1,
            Turn::Resumed => self.looks = 0,
            Turn::Idle | Turn::Asked | Turn::Worked => {}
        }
    }

    /// Whether to look for it before others are let run.
    pub(super) fn is_likely(&mut self) -> bool {
        self.is_early && self.look()
    }

    /// Whether to look for it when others were let run, and nobody did.
    pub(super) fn look(&mut self) -> bool {
        self.looking = self.resumed;
        self.looking
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What the engine's thread does after a turn that let somebody go on: whether it looks at once, and otherwise after a yield.
    fn after_resumption(next: &mut NextFault) -> [bool; 2] {
        next.learn(Turn::Resumed, false);
        let likely = next.is_likely();
        [likely, !likely && next.look()]
    }

    #[test]
    fn it_is_looked_for_at_once_where_it_was_there_the_last_time() {
        let mut next = NextFault::default();
        assert_eq!(after_resumption(&mut next), [false, true]);
        next.learn(Turn::Asked, true);
        assert_eq!(after_resumption(&mut next), [true, false]);
        // A datagram came instead.
        next.learn(Turn::Worked, false);
        assert_eq!(after_resumption(&mut next), [false, true]);
    }

    #[test]
    fn it_is_not_looked_for_when_nobody_has_gone_on() {
        let mut next = NextFault { is_early: true, ..NextFault::default() };
        for turn in [Turn::Idle, Turn::Asked, Turn::Worked] {
            next.learn(turn, false);
            assert!(!next.is_likely() && !next.look(), "{turn:?}");
        }
        assert!(next.is_early);
    }

    #[test]
    fn a_program_that_faults_without_end_does_not_keep_the_thread_from_looking_elsewhere() {
        let mut next = NextFault { is_early: true, ..NextFault::default() };
        for _ in 0..3 {
            let looks = (0..=LOOKS).map(|_| after_resumption(&mut next).contains(&true)).filter(|looks| *looks).count();
            assert_eq!(looks, LOOKS as usize);
        }
    }
}
