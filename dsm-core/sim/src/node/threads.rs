//! The threads of a node's program.

use protocol::message::Access;
use protocol::{NodeId, Page};

use super::sync::Purpose;
use super::{Around, Node, Stop};
use crate::program::{Operation, ThreadId, Word};

/// What a thread waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Waits {
    /// Nothing: it runs.
    No,
    /// The node's first thread to begin the others.
    Begin,
    Page(Page),
    Lock,
    Barrier,
    Join,
}

/// A thread of the simulated program.
#[derive(Debug)]
pub(crate) struct Thread {
    pub id: ThreadId,
    program: Vec<Operation>,
    next: usize,
    waits: Waits,
    /// What the last load gave.
    loaded: u64,
}

impl Thread {
    pub fn new(node: NodeId, thread: usize, program: Vec<Operation>) -> Thread {
        let waits = if thread == 0 { Waits::No } else { Waits::Begin };
        Thread { id: ThreadId { node, thread }, program, next: 0, waits, loaded: 0 }
    }

    pub fn is_done(&self) -> bool {
        self.next == self.program.len()
    }

    /// Whether it would do something if it had the processor.
    pub fn is_ready(&self) -> bool {
        self.waits == Waits::No && !self.is_done()
    }

    pub fn waits_for(&self, page: Page) -> bool {
        self.waits == Waits::Page(page)
    }

    /// It tries its operation again.
    pub fn resume(&mut self) {
        self.waits = Waits::No;
    }

    /// Its operation is done.
    pub fn advance(&mut self) {
        self.waits = Waits::No;
        self.next += 1;
    }

    /// For a person: what it is at.
    pub fn describe(&self) -> String {
        match self.program.get(self.next) {
            None => format!("{} is done", self.id),
            Some(operation) => format!("{} is at {operation:?}, waits: {:?}", self.id, self.waits),
        }
    }
}

impl Node {
    /// Lets a thread do its next operation. `true`: it goes on after that; else somebody will wake it.
    pub fn step(&mut self, number: usize, cx: &mut Around<'_, '_>) -> Result<bool, Stop> {
        let thread = &self.threads[number];
        let id = thread.id;
        let Some(&operation) = thread.program.get(thread.next).filter(|_| thread.is_ready()) else { return Ok(false) };
        if !self.is_running() && operation.enters_engine() {
            return Ok(false);
        }
        match operation {
            Operation::Load(word) => {
                if !self.reach(number, word.page, Access::Read, cx) {
                    return Ok(false);
                }
                let value = *self.memory.word(word.page, word.place);
                note_access(id, word, value, "loads", cx);
                self.threads[number].loaded = value;
                cx.ghost.loaded(id, word, value)?;
            }
            Operation::Store(word) => {
                let value = cx.ghost.next_value(word);
                return self.store(number, word, value, cx);
            }
            Operation::StoreIncremented(word) => return self.store(number, word, self.threads[number].loaded + 1, cx),
            Operation::Lock(lock) => {
                cx.trace.say(|| format!("{id} wants lock {:#x}", lock.0));
                self.threads[number].waits = Waits::Lock;
                self.acquire(number, lock, cx)?;
                self.flush(cx);
                return Ok(false);
            }
            Operation::Unlock(lock) => {
                cx.trace.say(|| format!("{id} releases lock {:#x}", lock.0));
                self.release(number, lock, cx)?;
                self.flush(cx);
            }
            Operation::Barrier => return self.collective(number, Purpose::Barrier, cx),
            Operation::Finalize => return self.collective(number, Purpose::Finalize, cx),
            Operation::Allocate(segment) => {
                let (pages, placement) = cx.scenario.segments[segment];
                self.machines.pages.extend(pages, placement);
                return self.collective(number, Purpose::Allocation(segment), cx);
            }
            Operation::Begin => {
                self.threads[1..].iter_mut().for_each(Thread::resume);
                cx.woken.extend(1..self.threads.len());
            }
            Operation::Join => {
                if !self.threads[1..].iter().all(Thread::is_done) {
                    self.threads[number].waits = Waits::Join;
                    return Ok(false);
                }
            }
        }
        self.finish(number, cx);
        Ok(true)
    }

    fn store(&mut self, number: usize, word: Word, value: u64, cx: &mut Around<'_, '_>) -> Result<bool, Stop> {
        if !self.reach(number, word.page, Access::Write, cx) {
            return Ok(false);
        }
        let id = self.threads[number].id;
        note_access(id, word, value, "stores", cx);
        *self.memory.word(word.page, word.place) = value;
        cx.ghost.stored(id, word, value)?;
        self.finish(number, cx);
        Ok(true)
    }

    fn collective(&mut self, number: usize, purpose: Purpose, cx: &mut Around<'_, '_>) -> Result<bool, Stop> {
        let id = self.threads[number].id;
        cx.trace.say(|| format!("{id} comes to a barrier: {purpose:?}"));
        self.threads[number].waits = Waits::Barrier;
        self.enter_barrier(number, purpose, cx)?;
        self.flush(cx);
        Ok(false)
    }

    fn finish(&mut self, number: usize, cx: &mut Around<'_, '_>) {
        self.threads[number].advance();
        let [first, others @ ..] = &mut self.threads[..] else { return };
        if first.waits == Waits::Join && others.iter().all(Thread::is_done) {
            first.resume();
            cx.woken.push(0);
        }
    }

    /// Whether the program may touch the page like this. If not, the thread sleeps in a fault.
    fn reach(&mut self, number: usize, page: Page, access: Access, cx: &mut Around<'_, '_>) -> bool {
        if cx.random.chance(cx.scenario.dropped_mapping) {
            self.memory.drop_mapping(page);
        }
        if self.memory.reach(page) >= Some(access) {
            return true;
        }
        self.threads[number].waits = Waits::Page(page);
        self.raise_fault(page, access, cx);
        false
    }
}

fn note_access(id: ThreadId, word: Word, value: u64, verb: &str, cx: &mut Around<'_, '_>) {
    let words = [id.node.rank() as u64, id.thread as u64, word.page.0, word.place as u64, value];
    cx.trace.note(&words, || format!("{id} {verb} {word}: {value}"));
}
