//! One mutex, one driver, and whoever drives it: what clients and servers have in common.
//!
//! Whoever holds the mutex may drive. Mostly that is the endpoint's own thread. A thread that waits for the answer to a call
//! drives in its place (leader and followers; Schmidt and others, 2000), because to hand the answer from one thread to another
//! takes longer than the network: the endpoint's thread then looks after timers alone, and looks again for datagrams when
//! nobody has driven for some milliseconds ([`Watch`]).

mod watch;

use std::collections::BTreeMap;
use std::net::UdpSocket;
use std::os::fd::{AsFd, OwnedFd};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, TryLockError};
use std::thread::{self, JoinHandle, Thread};
use std::time::Duration;

use nix::sys::eventfd::EventFd;

use crate::driver::{Driver, DriverError, Inbox, Incoming, Pace, Polling};
use crate::time::{self, Time};

use super::bell::{Alarm, new_bell, ring, sleep};
use super::error::StartError;
use super::wake::Wake;
use watch::{SLACK_BUSY, Watch};

/// How long to poll before sleeping.
///
/// A sleeping thread is woken in tens of microseconds, several times as long as a datagram takes over loopback. So whoever waits
/// for an answer, and a server that has just served somebody, looks again and again for a short while before it sleeps,
/// and yields the processor in between. It gives up early when others want the processor ([`Polling`]).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Waiting {
    /// For how long to poll when nothing comes; zero: never, sleep at once. Where answers come promptly, who sleeps at once wakes once
    /// before the answer: its processor is then awake when that comes.
    pub poll: Duration,
}

impl Default for Waiting {
    fn default() -> Self {
        Waiting { poll: Duration::from_micros(50) }
    }
}

/// What an endpoint is for: its state, and what it does with what comes. Runs under the endpoint's mutex.
pub(crate) trait Role: Send + 'static {
    /// Work that something brought, to be done without the mutex by the endpoint's thread.
    type Errand: Send;
    /// What that takes.
    type Means;

    /// Something came. What is sent here is flushed after the batch.
    fn incoming(&mut self, driver: &mut Driver, incoming: Incoming<'_>);
    /// Moves the errands to the end of this list.
    fn take_errands(&mut self, errands: &mut Vec<Self::Errand>);
    /// What errands take: always the same.
    fn means(&self) -> Self::Means;
    /// Does an errand, without the mutex; it is `now`.
    fn run(means: &Self::Means, errand: &mut Self::Errand, now: Time);
    /// An errand is done.
    fn done(&mut self, driver: &mut Driver, errand: Self::Errand);
    /// Does what is due, after each batch.
    fn due(&mut self, driver: &mut Driver);
    /// When `due` wants to be called next; [`Time::MAX`]: not for its own sake.
    fn next_due(&self) -> Time;
    /// Whether somebody waits for an answer from the network.
    fn awaits(&self) -> bool;
    /// Whether the endpoint's thread should end.
    fn finished(&self) -> bool;
    /// Ends the sessions; the endpoint is closing in good order.
    fn close(&mut self, driver: &mut Driver);
    /// The endpoint's thread has ended, with this failure if any: nothing will come any more.
    fn ended(&mut self, failure: Option<String>);
    /// Whom to wake once the mutex is free again: moved from the role's list to the end of this one.
    fn take_wakes(&mut self, wakes: &mut Vec<Wake>);
}

/// Answers that take longer than several wake-ups come when whoever woke from a nap sleeps again.
const PROMPT: Duration = Duration::from_micros(500);

/// How often who polls looks in one turn.
const LOOKS: usize = 4;

/// What the mutex guards.
pub(crate) struct Core<R: Role> {
    pub(crate) driver: Driver,
    pub(crate) role: R,
    inbox: Inbox,
    wakes: Vec<Wake>,
    /// Until when the endpoint's thread sleeps if nothing comes; [`Time::ZERO`] while it is awake (or woken), for then it
    /// looks at the timers, and flushes, before it sleeps again.
    asleep_until: Time,
    /// Whether datagrams wake it, too.
    listens: bool,
    /// Threads that wait for an answer and look for it themselves.
    drivers: usize,
    /// How often one has found it.
    driven: u64,
    /// How long they took for it together.
    waited: Duration,
    /// What threads that polled have found of the processor.
    pace: Pace,
    /// The last answer came [`PROMPT`]ly, and nobody waited for another.
    prompt: bool,
    /// One of them sleeps at the socket.
    led: bool,
    /// Threads that wait and sleep, because another one looks, by the order in which they went to sleep: a thousand may, and each leaves
    /// when its own answer has come.
    followers: BTreeMap<u64, Thread>,
    /// How many have gone to sleep so.
    followed: u64,
    /// The endpoint's thread has ended.
    over: bool,
}

impl<R: Role> Core<R> {
    fn new(driver: Driver, role: R) -> Self {
        Core {
            driver,
            role,
            inbox: Inbox::new(),
            wakes: Vec::new(),
            asleep_until: Time::ZERO,
            listens: false,
            drivers: 0,
            driven: 0,
            waited: Duration::ZERO,
            pace: Pace::default(),
            prompt: true,
            led: false,
            followers: BTreeMap::new(),
            followed: 0,
            over: false,
        }
    }

    fn next_due(&self) -> Time {
        self.role.next_due().min(self.driver.next_timeout().unwrap_or(Time::MAX))
    }

    /// Whether the endpoint's thread is going to flush before it sleeps.
    pub(crate) fn is_awake(&self) -> bool {
        self.asleep_until == Time::ZERO && !self.over
    }

    /// How long threads waited for what they found, all together.
    pub(crate) fn waited(&self) -> Duration {
        self.waited
    }

    /// Takes in what has come, and does what is due. Returns how many datagrams came. Most turns of those who poll find nothing
    /// and should cost nothing.
    fn turn(&mut self, looks: usize) -> Result<usize, DriverError> {
        let Core { driver, role, inbox, .. } = self;
        let count = driver.look(inbox, looks)?;
        let mut busy = count > 0;
        for incoming in inbox.drain() {
            busy = true;
            role.incoming(driver, incoming);
        }
        if busy || role.next_due() <= driver.received_at() {
            role.due(driver);
        }
        Ok(count)
    }
}

/// A driver with a role, shared by the endpoint's thread and everybody who sends.
pub(crate) struct Endpoint<R: Role> {
    core: Mutex<Core<R>>,
    waiting: Waiting,
    socket: OwnedFd,
    bell: EventFd,
    /// Wakes the thread that sleeps at the socket.
    leaders_bell: Arc<EventFd>,
    /// For naps; where there is none, whoever would nap sleeps.
    leaders_alarm: Option<Alarm>,
}

type Guard<'a, R> = MutexGuard<'a, Core<R>>;

impl<R: Role> Endpoint<R> {
    /// Starts the endpoint's thread, which ends when the role is finished.
    pub(crate) fn start(
        driver: Driver,
        role: R,
        waiting: Waiting,
        name: &str,
    ) -> Result<(Arc<Self>, JoinHandle<()>), StartError> {
        let (bell, leaders_bell) = (new_bell()?, Arc::new(new_bell()?));
        let leaders_alarm = if waiting.poll.is_zero() { Alarm::new().ok() } else { None };
        let socket = driver.as_fd().try_clone_to_owned().map_err(StartError::Descriptor)?;
        let core = Mutex::new(Core::new(driver, role));
        let endpoint = Arc::new(Endpoint { core, waiting, socket, bell, leaders_bell, leaders_alarm });
        let run = Arc::clone(&endpoint);
        let thread =
            thread::Builder::new().name(name.to_owned()).spawn(move || run.run()).map_err(StartError::Thread)?;
        Ok((endpoint, thread))
    }

    /// A panic inside the mutex ends the endpoint's thread or its worker, whose own guard tells the others; the state is
    /// still good enough for that.
    pub(crate) fn lock(&self) -> Guard<'_, R> {
        self.core.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The mutex, unless somebody has it.
    pub(crate) fn try_lock(&self) -> Option<Guard<'_, R>> {
        match self.core.try_lock() {
            Ok(core) => Some(core),
            Err(TryLockError::Poisoned(poisoned)) => Some(poisoned.into_inner()),
            Err(TryLockError::WouldBlock) => None,
        }
    }

    /// Puts on the wire what was sent. If the endpoint's thread would sleep too long, wakes it.
    pub(crate) fn flush(&self, core: &mut Core<R>) {
        core.driver.flush();
        self.rearm(core);
    }

    /// Leaves what was sent to the endpoint's thread, to be put on the wire together with more: right away if it is awake.
    pub(crate) fn flush_soon(&self, core: &mut Core<R>) {
        if !core.is_awake() {
            core.asleep_until = Time::ZERO;
            self.ring();
        }
    }

    /// Flushes, releases the mutex, and wakes whom the role wants to be woken.
    pub(crate) fn leave(&self, mut core: Guard<'_, R>) {
        self.flush(&mut core);
        self.release(core);
    }

    /// Releases the mutex, and wakes whom the role wants to be woken. Returns whether that is anybody.
    fn release(&self, mut core: Guard<'_, R>) -> bool {
        let inner = &mut *core;
        inner.role.take_wakes(&mut inner.wakes);
        if inner.wakes.is_empty() {
            return false;
        }
        let mut wakes = std::mem::take(&mut inner.wakes);
        drop(core);
        wakes.drain(..).for_each(Wake::wake);
        // The allocation serves again, unless somebody has begun another list.
        if let Ok(mut core) = self.core.try_lock()
            && core.wakes.capacity() == 0
        {
            core.wakes = wakes;
        }
        true
    }

    /// Wakes the endpoint's thread if it would sleep too long.
    fn rearm(&self, core: &mut Core<R>) {
        if core.asleep_until == Time::ZERO {
            return;
        }
        let lateness = if core.listens { Duration::ZERO } else { SLACK_BUSY };
        let unheard = core.drivers == 0 && !core.listens;
        // What was due before the last look is done.
        let sleeps_long = core.driver.received_at() + lateness < core.asleep_until;
        if unheard && (core.role.awaits() || sleeps_long)
            || sleeps_long && core.next_due() + lateness < core.asleep_until
        {
            core.asleep_until = Time::ZERO;
            self.ring();
        }
    }

    /// Wakes the endpoint's thread.
    pub(crate) fn ring(&self) {
        ring(&self.bell);
    }

    /// Flushes, and drives the endpoint, or lets others do so, until `take` gives something. Whatever makes it do so must wake whom `register` has
    /// put down last. `start` is what the time is: the caller has just looked at the clock.
    pub(crate) fn wait<'a, T>(
        &'a self,
        mut core: Guard<'a, R>,
        start: Time,
        mut take: impl FnMut(&mut R) -> Option<T>,
        mut register: impl FnMut(&mut R, Option<Wake>),
    ) -> T {
        core.drivers += 1;
        // What is waited for may not have been sent yet.
        core.driver.flush_at(start);
        self.rearm(&mut core);
        let mut now = start;
        let mut polling = Polling::new(self.waiting.poll, now, core.pace);
        let taken = loop {
            if let Some(taken) = take(&mut core.role) {
                break taken;
            }
            core = if polling.goes_on(now) {
                self.poll(core, &mut polling, &mut now)
            } else {
                let core = if core.led { self.follow(core, &mut register) } else { self.lead(core, &mut register) };
                now = time::now();
                // What woke it may be the first piece of a long answer: the others follow more quickly than it would wake again.
                polling.expect(now);
                core
            };
        };
        core.pace = polling.pace();
        core.drivers -= 1;
        core.driven += 1;
        core.waited += now - start;
        core.prompt = now - start < PROMPT && core.drivers == 0 && core.followers.is_empty();
        if !core.led
            && let Some((_, next)) = core.followers.pop_last()
        {
            core.wakes.push(Wake::Thread(next));
        }
        self.rearm(&mut core);
        self.release(core);
        taken
    }

    /// Lets others run, and looks for datagrams.
    fn poll<'a>(&'a self, core: Guard<'a, R>, polling: &mut Polling, now: &mut Time) -> Guard<'a, R> {
        if self.release(core) {
            polling.restart(*now);
        }
        polling.pause(*now);
        let mut core = self.lock();
        let came = self.drive(&mut core, LOOKS);
        *now = match came {
            Some(_) => core.driver.received_at(),
            None => time::now(),
        };
        if came.is_some_and(|count| count > 0) {
            polling.expect(*now);
        }
        core
    }

    /// Sleeps until something comes. The endpoint's thread looks after the timers meanwhile.
    fn lead<'a>(&'a self, mut core: Guard<'a, R>, register: &mut impl FnMut(&mut R, Option<Wake>)) -> Guard<'a, R> {
        core.led = true;
        // Among several, who sleeps longer finds more answers.
        let alarm = self.leaders_alarm.as_ref().filter(|_| core.prompt && core.followers.is_empty());
        // Nobody else does what was put off, for as long as this thread sleeps.
        self.flush(&mut core);
        register(&mut core.role, Some(Wake::Bell(Arc::clone(&self.leaders_bell))));
        self.release(core);
        // If the descriptors cannot be waited for, neither can the endpoint's thread: it tells everybody.
        let watched = [self.leaders_bell.as_fd(), self.socket.as_fd()];
        if alarm.is_none_or(|alarm| alarm.nap(watched) != Ok(true)) {
            let _ = sleep(&watched, None, None);
        }
        let mut core = self.lock();
        core.led = false;
        register(&mut core.role, None);
        self.drive(&mut core, 1);
        core
    }

    /// Sleeps until the answer is here, or until it is this thread's turn to lead.
    fn follow<'a>(&'a self, mut core: Guard<'a, R>, register: &mut impl FnMut(&mut R, Option<Wake>)) -> Guard<'a, R> {
        let me = thread::current();
        register(&mut core.role, Some(Wake::Thread(me.clone())));
        core.followed += 1;
        let place = core.followed;
        core.followers.insert(place, me);
        core.drivers -= 1;
        self.release(core);
        thread::park();
        let mut core = self.lock();
        core.drivers += 1;
        core.followers.remove(&place);
        register(&mut core.role, None);
        core
    }

    /// A turn by a thread that waits: how many datagrams came. A failure of the socket (none) is found by the endpoint's thread too,
    /// which tells everybody.
    fn drive(&self, core: &mut Core<R>, looks: usize) -> Option<usize> {
        let turned = core.turn(looks).ok();
        match turned {
            Some(_) if core.driver.wants_flush() => core.driver.flush(),
            Some(_) => {}
            None => self.flush_soon(core),
        }
        turned
    }

    fn run(&self) {
        let outcome = catch_unwind(AssertUnwindSafe(|| self.turns()));
        let failure = match outcome {
            Ok(Ok(())) => None,
            Ok(Err(error)) => Some(error.to_string()),
            Err(_) => Some("its thread panicked".to_owned()),
        };
        let mut core = self.lock();
        let Core { driver, role, .. } = &mut *core;
        if failure.is_none() {
            role.close(driver);
            driver.flush();
        }
        role.ended(failure);
        core.over = true;
        self.release(core);
    }

    fn turns(&self) -> Result<(), DriverError> {
        let mut polling = Polling::new(self.waiting.poll, time::now(), Pace::default());
        let mut watch = Watch::new(time::now());
        let mut errands = Errands { means: self.lock().role.means(), list: Vec::new(), woke: false };
        let (mut look, mut rested, mut alone, mut looks) = (true, false, true, 1);
        loop {
            let Some(mut core) = self.enter(look || alone) else {
                // It is late already: the next time it waits for its turn.
                alone = true;
                look = self.sleep(false, None, Some(watch.briefly()))?;
                continue;
            };
            if std::mem::take(&mut rested) {
                core.driver.rested();
            }
            core.asleep_until = Time::ZERO;
            core.listens = false;
            let (mut busy, mut now) = (false, None);
            if look || core.next_due() <= time::now() {
                let count = core.turn(looks)?;
                busy = count > 0;
                let (after, at) = self.run_errands(core, &mut errands, count);
                (core, now) = (after, Some(at));
            }
            let now = now.unwrap_or_else(time::now);
            core.driver.flush_at(now);
            if core.role.finished() {
                self.release(core);
                return Ok(());
            }
            if busy {
                polling.expect(now);
            }
            if core.drivers == 0 && polling.goes_on(now) {
                if self.release(core) | std::mem::take(&mut errands.woke) {
                    polling.restart(now);
                }
                polling.pause(now);
                (look, looks) = (true, LOOKS);
                continue;
            }
            let now = time::now();
            let until = watch.until(&mut core, now);
            let lane = core.driver.lane();
            alone = core.listens;
            if alone && until > now {
                core.driver.rests(now);
            }
            self.release(core);
            let time = (until < Time::MAX).then(|| watch.timeout(until - now));
            rested = until > now;
            looks = 1;
            look = !rested || self.sleep(alone, lane, time)?;
        }
    }

    /// The mutex, unless nothing is asked of this thread, which is not alone, and somebody else has it, who then drives.
    fn enter(&self, asked: bool) -> Option<Guard<'_, R>> {
        if asked { Some(self.lock()) } else { self.try_lock() }
    }

    /// Does without the mutex what came of the last turn, of `count` datagrams. Says what the time is after it.
    fn run_errands<'a>(
        &'a self,
        mut core: Guard<'a, R>,
        Errands { means, list, woke }: &mut Errands<R>,
        count: usize,
    ) -> (Guard<'a, R>, Time) {
        core.role.take_errands(list);
        let mut now = core.driver.received_at();
        if list.is_empty() {
            return (core, now);
        }
        *woke |= self.release(core);
        if count > 1 {
            // Taking in the whole batch took a while, in which a deadline may have passed.
            now = time::now();
        }
        for errand in &mut *list {
            R::run(means, errand, now);
            now = time::now();
        }
        let mut core = self.lock();
        let Core { driver, role, .. } = &mut *core;
        list.drain(..).for_each(|errand| role.done(driver, errand));
        (core, now)
    }

    /// Sleeps until somebody rings, datagrams come (if it `listens`), or the time is over. Whether one of the first two.
    fn sleep(&self, listens: bool, lane: Option<Arc<UdpSocket>>, time: Option<Duration>) -> Result<bool, DriverError> {
        let lane = lane.as_ref().map_or(self.socket.as_fd(), |lane| lane.as_fd());
        let watched = [self.bell.as_fd(), self.socket.as_fd(), lane];
        let watched = if listens { &watched[..] } else { &watched[..1] };
        sleep(watched, None, time).map_err(|errno| DriverError::Receive(errno.into()))
    }
}

/// What the endpoint's thread does without the mutex.
struct Errands<R: Role> {
    means: R::Means,
    list: Vec<R::Errand>,
    /// Whether somebody was woken since the thread last polled.
    woke: bool,
}
