//! The engine's thread, and how program threads share the engine with it.
//!
//! A sleeping thread costs more than the network: waking one takes longer than a datagram's round trip. So the thread polls
//! for a bounded time while an answer is due and for a short while after it served another node, and yields the processor in
//! between. When a yield comes back late, others want the processor, and the thread goes to sleep at once.

use std::fs::File;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, ppoll};
use nix::sys::eventfd::{EfdFlags, EventFd};
use nix::sys::prctl::set_timerslack;
use nix::sys::signal::SigSet;
use nix::sys::time::TimeSpec;
use protocol::NodeId;
use rpc::time::Time;

use super::fatal::die;
use super::waiters::Signal;
use super::{DEAD_AFTER, Engine, Fatal};

/// A yield that takes this long let somebody else run.
const YIELD_LATE: Duration = Duration::from_micros(20);

/// How long polling rests after a late yield.
const POLL_REST: Duration = Duration::from_millis(2);

/// The longest sleep: the thread looks at the clock this often, so that it notices when it was stopped.
const SLEEP_MAX: Duration = Duration::from_millis(500);

/// The engine of this process, as its thread and the program's threads share it.
pub(crate) struct Shared {
    me: NodeId,
    /// How long to poll before sleeping.
    poll: Duration,
    engine: Mutex<Engine>,
    wake: EventFd,
    /// Of the userfaultfd and of the socket, to sleep on without entering the engine.
    descriptors: [OwnedFd; 2],
    /// Until when the engine's thread sleeps, on the driver's clock; 0 while it is awake.
    asleep_until: AtomicU64,
    stop: AtomicBool,
}

impl Shared {
    /// Starts the engine's thread, which polls for `poll` before it sleeps. `lifeline` hangs up when the launcher is gone.
    pub(crate) fn start(
        me: NodeId,
        poll: Duration,
        engine: Engine,
        lifeline: Option<File>,
    ) -> std::io::Result<(Arc<Shared>, JoinHandle<()>)> {
        let descriptors = [engine.region.as_fd().try_clone_to_owned()?, engine.driver.as_fd().try_clone_to_owned()?];
        let shared = Arc::new(Shared {
            me,
            poll,
            descriptors,
            engine: Mutex::new(engine),
            wake: EventFd::from_flags(EfdFlags::EFD_CLOEXEC | EfdFlags::EFD_NONBLOCK)?,
            asleep_until: AtomicU64::new(0),
            stop: AtomicBool::new(false),
        });
        let engine_thread = Arc::clone(&shared);
        let thread = std::thread::Builder::new().name("dsm-engine".to_string()).spawn(move || {
            if let Err(why) = engine_thread.run(lifeline.as_ref()) {
                die(engine_thread.me, &why);
            }
        })?;
        Ok((shared, thread))
    }

    /// Ends the engine's thread. Faults are not served any more.
    pub(crate) fn stop(&self) {
        self.stop.store(true, Ordering::Release);
        self.kick();
    }

    /// Enters the engine. What it cannot survive ends the process.
    pub(crate) fn enter<R>(&self, work: impl FnOnce(&mut Engine) -> Result<R, Fatal>) -> R {
        let mut engine = self.lock();
        let result = work(&mut engine).unwrap_or_else(|why| self.end(&mut engine, &why));
        self.leave(engine);
        result
    }

    /// Leaves the engine. Its thread sleeps by what it knew; a timer that is due earlier is news to it.
    fn leave(&self, mut engine: MutexGuard<'_, Engine>) {
        engine.flush();
        let due = engine.next_timeout();
        drop(engine);
        if due.is_some_and(|due| due.0 < self.asleep_until.load(Ordering::Acquire)) {
            self.kick();
        }
    }

    /// Waits for `signal`: drives the engine for a while, then sleeps.
    pub(crate) fn wait(&self, signal: &Signal) -> u64 {
        let start = Instant::now();
        let mut drove = false;
        loop {
            let (value, tired) = (signal.poll(), start.elapsed() >= self.poll);
            if drove && (value.is_some() || tired) {
                self.leave(self.lock());
                drove = false;
            }
            if let Some(value) = value {
                return value;
            }
            if tired {
                std::thread::park();
                continue;
            }
            if let Ok(mut engine) = self.engine.try_lock() {
                engine.turn().unwrap_or_else(|why| self.end(&mut engine, &why));
                drove = true;
            }
            std::thread::yield_now();
        }
    }

    fn lock(&self) -> MutexGuard<'_, Engine> {
        // The engine does not panic half-way; if it did, the process is about to end.
        self.engine.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Ends the process, having told the others why where they should know.
    fn end(&self, engine: &mut Engine, why: &Fatal) -> ! {
        engine.say_farewell(why);
        die(self.me, why)
    }

    fn kick(&self) {
        // A full counter is as good as one more.
        let _ = self.wake.write(1);
    }

    fn run(&self, lifeline: Option<&File>) -> Result<(), Fatal> {
        // The program's signal handlers may touch the region; on this thread nobody would serve that.
        SigSet::all().thread_block()?;
        set_timerslack(1)?;
        let mut polling = Polling::new(self.poll);
        let mut last_turn = Instant::now();
        while !self.stop.load(Ordering::Acquire) {
            let mut engine = self.lock();
            let stood_still = last_turn.elapsed();
            if stood_still > DEAD_AFTER && engine.is_missed() {
                return Err(Fatal::Fenced { seconds: stood_still.as_secs_f64() });
            }
            last_turn = Instant::now();
            let busy = engine.turn().unwrap_or_else(|why| self.end(&mut engine, &why));
            if polling.goes_on(busy) {
                drop(engine);
                polling.pause();
                continue;
            }
            engine.flush();
            let now = engine.driver.now();
            let until = engine.next_timeout().unwrap_or(Time::MAX).min(now + SLEEP_MAX);
            self.asleep_until.store(until.0, Ordering::Release);
            drop(engine);
            self.sleep(lifeline, until - now)?;
            self.asleep_until.store(0, Ordering::Release);
        }
        Ok(())
    }

    /// Sleeps until a fault, a datagram, a kick, the end of the launcher, or the end of `time`.
    fn sleep(&self, lifeline: Option<&File>, time: Duration) -> Result<(), Fatal> {
        let [faults, socket] = &self.descriptors;
        let mut sources = vec![
            PollFd::new(faults.as_fd(), PollFlags::POLLIN),
            PollFd::new(socket.as_fd(), PollFlags::POLLIN),
            PollFd::new(self.wake.as_fd(), PollFlags::POLLIN),
        ];
        sources.extend(lifeline.map(|file| PollFd::new(file.as_fd(), PollFlags::empty())));
        match ppoll(&mut sources, Some(TimeSpec::from_duration(time)), None) {
            Ok(_) | Err(Errno::EINTR) => {}
            Err(errno) => return Err(Fatal::Poll(errno)),
        }
        let came = |index: usize| sources.get(index).and_then(PollFd::revents).unwrap_or(PollFlags::empty());
        if came(3).intersects(PollFlags::POLLHUP | PollFlags::POLLERR) {
            return Err(Fatal::LauncherGone);
        }
        if came(2).contains(PollFlags::POLLIN) {
            let _ = self.wake.read();
        }
        Ok(())
    }
}

/// Decides between polling and sleeping.
struct Polling {
    length: Duration,
    until: Instant,
    rests_until: Instant,
}

impl Polling {
    fn new(length: Duration) -> Polling {
        let now = Instant::now();
        Polling { length, until: now, rests_until: now }
    }

    /// After a turn that was `busy` or not: whether to poll once more.
    fn goes_on(&mut self, busy: bool) -> bool {
        let now = Instant::now();
        if busy && now >= self.rests_until {
            self.until = now + self.length;
        }
        busy || now < self.until
    }

    /// Lets others run between two polls.
    fn pause(&mut self) {
        let before = Instant::now();
        std::thread::yield_now();
        let after = Instant::now();
        if after - before > YIELD_LATE {
            self.until = after;
            self.rests_until = after + POLL_REST;
        }
    }
}
