//! What a handler knows of the call that it serves: how long its caller waits, and whether it still does.

use std::cell::RefCell;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use crate::time::{self, Time};

thread_local! {
    static CURRENT: RefCell<Context> = const { RefCell::new(Context::BACKGROUND) };
}

/// The circumstances of the call that a handler serves. A handler asks for them with [`Context::current`]; calls that it makes
/// itself inherit the deadline without being told.
///
/// ```
/// # fn one_step() {}
/// fn handler(steps: u32) -> u32 {
///     let context = rpc::Context::current();
///     (0..steps).take_while(|_| !context.is_cancelled()).map(|_| one_step()).count() as u32
/// }
/// # assert_eq!(handler(3), 3);
/// ```
#[derive(Clone, Debug)]
pub struct Context {
    deadline: Option<Time>,
    given_up: Option<Arc<AtomicBool>>,
}

impl Context {
    /// Of threads that serve no call: no deadline, nobody who could give up.
    pub const BACKGROUND: Context = Context { deadline: None, given_up: None };

    pub(crate) fn new(deadline: Option<Time>, given_up: Option<Arc<AtomicBool>>) -> Self {
        Context { deadline, given_up }
    }

    /// Of the call that this thread serves.
    pub fn current() -> Context {
        CURRENT.with_borrow(Clone::clone)
    }

    /// The deadline of the call that this thread serves.
    pub(crate) fn current_deadline() -> Option<Time> {
        CURRENT.with_borrow(|context| context.deadline)
    }

    /// When the caller stops waiting; none if it never does.
    pub fn deadline(&self) -> Option<Instant> {
        self.deadline.map(Instant::from)
    }

    /// How long the caller is still going to wait; none: for ever.
    pub fn time_left(&self) -> Option<Duration> {
        self.deadline.map(|deadline| deadline - time::now())
    }

    /// Whether nobody waits for the result any more: the caller gave the call up (it dropped its future), or its time is over. A
    /// handler that takes long should look now and then, and may then end with any result: nobody reads it.
    pub fn is_cancelled(&self) -> bool {
        self.given_up.as_ref().is_some_and(|given_up| given_up.load(Ordering::Relaxed)) || !self.is_in_time(time::now())
    }

    /// Whether at `now` its caller still waits.
    pub(crate) fn is_in_time(&self, now: Time) -> bool {
        self.deadline.is_none_or(|deadline| deadline > now)
    }

    /// Does `work` in this context: for threads that a handler starts, and to give calls a common deadline. A future makes its call
    /// when it is first polled.
    pub fn enter<R>(&self, work: impl FnOnce() -> R) -> R {
        let _restored = Restored(CURRENT.replace(self.clone()));
        work()
    }

    /// A context whose deadline is this one, or the one of the current context if that is earlier.
    pub fn until(deadline: Instant) -> Context {
        let (current, deadline) = (Context::current(), Time::from(deadline));
        Context { deadline: Some(current.deadline.map_or(deadline, |other| other.min(deadline))), ..current }
    }
}

/// Puts the context back that was there before, also after a panic.
struct Restored(Context);

impl Drop for Restored {
    fn drop(&mut self) {
        let _ = CURRENT.try_with(|current| current.replace(std::mem::replace(&mut self.0, Context::BACKGROUND)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_context_lasts_for_the_work_done_in_it_even_if_that_panics() {
        let deadline = Instant::now() + Duration::from_secs(60);
        let context = Context::until(deadline);
        assert_eq!(context.enter(|| Context::current().deadline()), Some(deadline));
        let panicked = std::panic::catch_unwind(|| context.enter(|| panic!("on purpose")));
        assert!(panicked.is_err());
        assert_eq!(Context::current().deadline(), None);
    }

    #[test]
    fn the_earlier_deadline_counts() {
        let (early, late) = (Instant::now() + Duration::from_secs(1), Instant::now() + Duration::from_secs(2));
        Context::until(early).enter(|| assert_eq!(Context::until(late).deadline(), Some(early)));
        Context::until(late).enter(|| assert_eq!(Context::until(early).deadline(), Some(early)));
    }

    #[test]
    fn a_call_is_cancelled_when_it_was_given_up_or_its_time_is_over() {
        assert!(!Context::BACKGROUND.is_cancelled());
        let given_up = Arc::new(AtomicBool::new(false));
        let context = Context::new(None, Some(Arc::clone(&given_up)));
        assert!(!context.is_cancelled());
        given_up.store(true, Ordering::Relaxed);
        assert!(context.is_cancelled());
        assert!(Context::until(Instant::now()).is_cancelled());
    }
}
