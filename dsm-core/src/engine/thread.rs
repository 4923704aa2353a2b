//! The engine's thread, and how program threads share the engine with it.
//!
//! The engine's thread polls for a bounded time while an answer is due and for a short while after it served another node, and
//! sleeps otherwise. A thread of the program that waits for a lock, a barrier or an atomic operation looks for the answer itself;
//! meanwhile the engine's thread does not listen to the socket, so that a datagram wakes nobody but the one who waits for it.

use std::fs::File;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use nix::sys::prctl::set_timerslack;
use nix::sys::signal::SigSet;
use protocol::NodeId;
use rpc::driver::{Pace, Pause, Polling};
use rpc::time::{self, Time};

use super::fatal::die;
use super::next_fault::NextFault;
use super::waiters::Signal;
use super::watch::{Ready, Watch};
use super::{DEAD_AFTER, Engine, Fatal, Stats, Turn};

/// The longest sleep: the thread looks at the clock this often, so that it notices when it was stopped.
const SLEEP_MAX: Duration = Duration::from_millis(500);

/// How much longer than its polling a thread may look for datagrams before the engine's thread looks after it.
const DRIVE_SLACK: Duration = Duration::from_millis(2);

/// What a thread of the program waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Awaited {
    /// The answer to what it sends: nothing comes before that has left.
    Answer,
    /// What others send when they get there: it may come at any moment, also while this thread leaves, or comes back.
    Others,
}

/// The engine of this process, as its thread and the program's threads share it.
pub(crate) struct Shared {
    me: NodeId,
    /// How long to poll before sleeping.
    poll: Duration,
    seat: Mutex<Seat>,
    watch: Watch,
    /// Threads of the program that look for datagrams themselves; changes under the lock of `seat`.
    drivers: AtomicUsize,
    /// How often a thread of the program has gone to sleep here.
    parked: AtomicUsize,
    stop: AtomicBool,
}

/// The engine, and when its thread wakes by itself.
struct Seat {
    engine: Engine,
    /// The engine's thread sleeps, or is about to.
    asleep: bool,
    /// When the timer rings.
    rings_at: Time,
    /// What threads of the program that polled have found of the processor.
    pace: Pace,
}

impl Shared {
    /// Starts the engine's thread, which polls for `poll` before it sleeps. `lifeline` hangs up when the launcher is gone.
    pub(crate) fn start(
        me: NodeId,
        poll: Duration,
        engine: Engine,
        lifeline: Option<File>,
    ) -> std::io::Result<(Arc<Shared>, JoinHandle<()>)> {
        let shared = Arc::new(Shared::new(me, poll, engine, lifeline)?);
        let engine_thread = Arc::clone(&shared);
        let thread = std::thread::Builder::new().name("dsm-engine".to_string()).spawn(move || {
            if let Err(why) = engine_thread.run() {
                die(engine_thread.me, &why);
            }
        })?;
        Ok((shared, thread))
    }

    fn new(me: NodeId, poll: Duration, engine: Engine, lifeline: Option<File>) -> std::io::Result<Shared> {
        let watch = Watch::new(engine.region, &engine.driver, lifeline)?;
        Ok(Shared {
            me,
            poll,
            seat: Mutex::new(Seat { engine, asleep: false, rings_at: Time::MAX, pace: Pace::default() }),
            watch,
            drivers: AtomicUsize::new(0),
            parked: AtomicUsize::new(0),
            stop: AtomicBool::new(false),
        })
    }

    /// Ends the engine's thread. Faults are not served any more.
    pub(crate) fn stop(&self) {
        self.stop.store(true, Ordering::Release);
        self.watch.ring();
    }

    /// Enters the engine. What it cannot survive ends the process.
    pub(crate) fn enter<R>(&self, work: impl FnOnce(&mut Engine) -> Result<R, Fatal>) -> R {
        let mut seat = self.lock();
        let result = self.check(&mut seat, work);
        self.leave(seat);
        result
    }

    /// Starts `work`, waits until it has completed `signal`, and puts the time on an account. `None`, at once, when `work` gives
    /// `false`.
    pub(crate) fn perform(
        &self,
        awaited: Awaited,
        account: fn(&mut Stats) -> &mut Duration,
        work: impl FnOnce(&mut Engine, &Arc<Signal>) -> Result<bool, Fatal>,
    ) -> Option<u64> {
        let (start, signal) = (time::now(), Signal::new());
        let mut seat = self.lock();
        let begun = self.check(&mut seat, |engine| work(engine, &signal));
        if begun && signal.poll().is_none() {
            seat = self.drive(seat, awaited, &signal, start);
            let mut end = seat.engine.looked_at();
            if signal.poll().is_none() {
                seat.engine.flush();
                self.leave(seat);
                self.parked.fetch_add(1, Ordering::Relaxed);
                while signal.poll().is_none() {
                    std::thread::park();
                }
                seat = self.lock();
                end = time::now();
            }
            *account(&mut seat.engine.stats) += end - start;
        }
        self.leave(seat);
        begun.then(|| signal.poll()).flatten()
    }

    /// Looks for datagrams on behalf of a thread that waits for `signal` since `start`, for as long as that pays.
    fn drive<'s>(
        &'s self,
        mut seat: MutexGuard<'s, Seat>,
        awaited: Awaited,
        signal: &Signal,
        start: Time,
    ) -> MutexGuard<'s, Seat> {
        let mut polling = Polling::new(self.poll, start, seat.pace);
        if !polling.goes_on(start) {
            return seat;
        }
        if awaited == Awaited::Answer {
            seat.engine.flush();
        }
        if self.drivers.fetch_add(1, Ordering::Relaxed) == 0 {
            self.check(&mut seat, |_| self.watch.listen(false));
            if let Err(why) = self.set_timer(&mut seat) {
                self.end(&mut seat.engine, &why);
            }
        }
        seat.engine.flush();
        drop(seat);
        let mut now = start;
        loop {
            // Where the seat is taken, somebody does our work.
            now = match self.seat.try_lock() {
                Ok(mut seat) => self.check(&mut seat, |engine| {
                    engine.turn(Ready::SOCKET, now)?;
                    Ok(engine.looked_at())
                }),
                Err(_) => time::now(),
            };
            if signal.poll().is_some() || !polling.goes_on(now) {
                break;
            }
            polling.pause(now);
        }
        let mut seat = self.lock();
        seat.pace = polling.pace();
        if awaited == Awaited::Others {
            // What has come by now should not wake the engine's thread.
            self.check(&mut seat, |engine| engine.turn(Ready::SOCKET, now).map(drop));
        }
        if self.drivers.fetch_sub(1, Ordering::Relaxed) == 1 {
            self.check(&mut seat, |_| self.watch.listen(true));
        }
        seat
    }

    /// Leaves the engine. Its thread sleeps by what it knew; a timer that is due earlier is news to it.
    fn leave(&self, mut seat: MutexGuard<'_, Seat>) {
        seat.engine.flush_what_waits();
        if seat.asleep
            && seat.engine.next_timeout().is_some_and(|due| due < seat.rings_at)
            && let Err(why) = self.set_timer(&mut seat)
        {
            self.end(&mut seat.engine, &why);
        }
    }

    /// Lets the timer ring when the engine has something to do, or earlier.
    fn set_timer(&self, seat: &mut Seat) -> Result<(), Fatal> {
        let now = time::now();
        // Who looks for datagrams may lose the processor while the socket wakes nobody.
        let driven = self.drivers.load(Ordering::Relaxed) > 0;
        let sleep_max = if driven { self.poll + DRIVE_SLACK } else { SLEEP_MAX };
        let due = seat.engine.next_timeout().unwrap_or(Time::MAX).min(now + sleep_max);
        if due < seat.rings_at {
            self.watch.ring_after(due - now)?;
            seat.rings_at = due;
        }
        Ok(())
    }

    fn lock(&self) -> MutexGuard<'_, Seat> {
        // The engine does not panic half-way; if it did, the process is about to end.
        self.seat.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn check<R>(&self, seat: &mut Seat, work: impl FnOnce(&mut Engine) -> Result<R, Fatal>) -> R {
        work(&mut seat.engine).unwrap_or_else(|why| self.end(&mut seat.engine, &why))
    }

    fn end(&self, engine: &mut Engine, why: &Fatal) -> ! {
        engine.say_farewell(why);
        die(self.me, why)
    }

    fn run(&self) -> Result<(), Fatal> {
        // The program's signal handlers may touch the region; on this thread nobody would serve that.
        SigSet::all().thread_block()?;
        set_timerslack(1)?;
        let mut last_turn = time::now();
        let mut polling = Polling::new(self.poll, last_turn, Pace::steady());
        let mut next_fault = NextFault::default();
        let (mut ready, mut parked) = (Ready::ALL, 0);
        while !self.stop.load(Ordering::Acquire) {
            let mut seat = self.lock();
            seat.asleep = false;
            if ready.timer {
                seat.rings_at = Time::MAX;
            }
            let now = time::now();
            if now - last_turn > DEAD_AFTER && seat.engine.is_missed() {
                return Err(Fatal::Fenced { seconds: (now - last_turn).as_secs_f64() });
            }
            last_turn = now;
            let turn = self.check(&mut seat, |engine| engine.turn(ready, now));
            if turn != Turn::Idle {
                let before = std::mem::replace(&mut parked, self.parked.load(Ordering::Relaxed));
                if before != parked {
                    polling.end_rest(now);
                }
            }
            next_fault.learn(turn, seat.engine.faulted);
            match turn {
                Turn::Idle => {}
                Turn::Asked => polling.expect(time::now()),
                Turn::Worked | Turn::Resumed => polling.restart(now),
            }
            let polls = polling.goes_on(now) && self.drivers.load(Ordering::Relaxed) == 0;
            if !polls {
                seat.engine.flush();
                self.set_timer(&mut seat)?;
                seat.asleep = true;
            }
            drop(seat);
            ready = if polls { self.poll(&mut polling, &mut next_fault, now)? } else { self.watch.sleep()? };
        }
        Ok(())
    }

    /// Where to look next, after a turn that began at `now`.
    fn poll(&self, polling: &mut Polling, next_fault: &mut NextFault, now: Time) -> Result<Ready, Fatal> {
        if next_fault.is_likely() {
            return Ok(Ready::FAULTS);
        }
        match polling.pause(now) {
            Pause::None => {}
            Pause::Alone if next_fault.look() => return Ok(Ready::FAULTS),
            // Whoever ran has most likely stopped at a fault: to look whether there is one costs as much as to read it.
            Pause::Shared => return Ok(Ready::FAULTS),
            Pause::Alone => {
                let ready = self.watch.look()?;
                if ready.any() {
                    return Ok(ready);
                }
            }
        }
        // What comes are answers, most of the time: looking nowhere else saves a system call on their way.
        Ok(Ready::SOCKET)
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::Scene;
    use super::*;

    /// While a thread of the program looks for datagrams, they wake nobody; it may lose the processor in the middle of that.
    #[test]
    fn what_a_thread_that_lost_the_processor_would_have_looked_for_waits_for_no_longer_than_its_polling_and_a_little() {
        let Some(scene) = Scene::of(2) else { return };
        let poll = Duration::from_micros(100);
        let shared = Shared::new(NodeId::new(0).unwrap(), poll, scene.engine, None).unwrap();
        let sleep = |drivers| {
            shared.drivers.store(drivers, Ordering::Relaxed);
            let mut seat = shared.lock();
            seat.rings_at = Time::MAX;
            shared.set_timer(&mut seat).unwrap();
            seat.rings_at - time::now()
        };
        assert!(sleep(1) <= poll + DRIVE_SLACK);
        assert!(sleep(0) > poll + DRIVE_SLACK);
    }
}
