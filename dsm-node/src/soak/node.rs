//! A node of a soak job: performs its threads' operations and checks everything that it sees.

use std::sync::atomic::{Ordering, fence};
use std::thread;
use std::time::{Duration, Instant};

use clap::Args;
use dsm_core::{Dsm, SharedArray};

use super::outcome::{Outcome, Word, words};
use super::plan::{Operation, Plan};
use crate::complain;
use crate::random::Random;

/// A node of a job that the long test starts
#[derive(Args)]
pub struct Node {
    /// The job's seed.
    seed: u64,
    /// How long to go on, milliseconds.
    time: u64,
}

impl Node {
    /// Plays the part and returns the status to exit with.
    pub fn execute(self) -> i32 {
        match self.play() {
            Ok(()) => 0,
            Err(why) => {
                complain(why);
                1
            }
        }
    }

    fn play(&self) -> Result<(), Box<dyn std::error::Error>> {
        let plan = Plan::draw(self.seed);
        let dsm = Dsm::join()?;
        let memory = dsm.alloc::<u64>(words(plan.pages), plan.placement)?;
        let (start, time) = (Instant::now(), Duration::from_millis(self.time));
        let mut before = Outcome::start(&plan);
        let mut round = 0;
        loop {
            let after = before.after(&plan, round);
            let job = Round { plan: &plan, dsm: &dsm, memory, before: &before, after: &after, round };
            job.perform()?;
            if dsm.rank() == 0 {
                memory.set(Word::Stop.index(plan.pages), u64::from(start.elapsed() >= time));
            }
            dsm.barrier();
            job.check_all()?;
            let last = memory.get(Word::Stop.index(plan.pages)) == 1;
            dsm.barrier();
            (before, round) = (after, round + 1);
            if last {
                break;
            }
        }
        let stats = dsm.stats();
        let rank = dsm.rank();
        dsm.finalize()?;
        println!("{rank} {round} {} {}", stats.messages_sent, stats.retransmissions);
        Ok(())
    }
}

/// One round on this node.
struct Round<'r> {
    plan: &'r Plan,
    dsm: &'r Dsm,
    memory: SharedArray<'r, u64>,
    /// What every word held at the barrier before.
    before: &'r Outcome,
    /// What it will hold at the barrier after.
    after: &'r Outcome,
    round: u64,
}

impl Round<'_> {
    /// Lets this node's threads do what they do in this round.
    fn perform(&self) -> Result<(), String> {
        let first = self.dsm.rank() * self.plan.threads;
        thread::scope(|scope| {
            let start = |writer| scope.spawn(move || Thread::new(self, writer).perform());
            let running: Vec<_> = (first..first + self.plan.threads).map(start).collect();
            running.into_iter().try_for_each(|thread| thread.join().map_err(|_| "a thread panicked".to_string())?)
        })
    }

    /// At the barrier: looks at about half of all words, each of which has one right value.
    fn check_all(&self) -> Result<(), String> {
        let mut random = Random::of(!self.plan.seed, self.round * 64 + self.dsm.rank() as u64);
        let stop = Word::Stop.index(self.plan.pages);
        for (index, &expected) in self.after.values().iter().enumerate() {
            if index == stop || random.percent(50) {
                continue;
            }
            let found = self.memory.get(index);
            if found != expected {
                return Err(self.wrong(format!("word {index} holds {found} at the barrier instead of {expected}")));
            }
        }
        Ok(())
    }

    fn wrong(&self, what: String) -> String {
        format!("VIOLATION in round {} at node {}: {what}", self.round, self.dsm.rank())
    }
}

/// One thread in one round.
struct Thread<'r> {
    round: &'r Round<'r>,
    writer: usize,
    /// The last that this thread saw of each word: none may go back.
    seen: Vec<u64>,
    /// What its own words hold.
    own: Outcome,
}

impl<'r> Thread<'r> {
    fn new(round: &'r Round<'r>, writer: usize) -> Thread<'r> {
        Thread { round, writer, seen: round.before.values().to_vec(), own: round.before.clone() }
    }

    fn perform(mut self) -> Result<(), String> {
        for operation in self.round.plan.operations(self.writer, self.round.round) {
            self.step(operation)
                .map_err(|what| self.round.wrong(format!("thread {}, {operation:?}: {what}", self.writer)))?;
            self.own.perform(self.writer, operation);
        }
        Ok(())
    }

    fn step(&mut self, operation: Operation) -> Result<(), String> {
        let writer = self.writer;
        match operation {
            Operation::Bump(page) => self.bump(Word::Own { page, writer }),
            Operation::Look { page, writer } => self.look(Word::Own { page, writer }).map(drop),
            Operation::Tell => {
                self.bump(Word::Datum(writer))?;
                // Threads of one node have only the processor between them, and the compiler.
                fence(Ordering::SeqCst);
                self.bump(Word::Flag(writer))
            }
            Operation::Hear(writer) => {
                let flag = self.look(Word::Flag(writer))?;
                fence(Ordering::SeqCst);
                let datum = self.look(Word::Datum(writer))?;
                if datum >= flag { Ok(()) } else { Err(format!("flag {flag} was seen before datum {datum}")) }
            }
            Operation::Guarded { lock, amount } => self.guarded(lock, amount),
            Operation::Add { word, amount } => {
                let old = self.memory().fetch_add(self.index(Word::Added(word)), amount);
                self.saw(Word::Added(word), old, amount)
            }
            Operation::Swap(word) => self.swap(Word::Swapped(word)),
            Operation::Rest => {
                thread::yield_now();
                Ok(())
            }
        }
    }

    fn memory(&self) -> SharedArray<'r, u64> {
        self.round.memory
    }

    fn index(&self, word: Word) -> usize {
        word.index(self.round.plan.pages)
    }

    /// Adds 1 to a word that only this thread stores to.
    fn bump(&mut self, word: Word) -> Result<(), String> {
        let (found, expected) = (self.memory().get(self.index(word)), self.own.of(word));
        if found != expected {
            return Err(format!("{word:?} holds {found}, and this thread stored {expected}"));
        }
        self.memory().set(self.index(word), found + 1);
        self.saw(word, found + 1, 0)
    }

    fn look(&mut self, word: Word) -> Result<u64, String> {
        let found = self.memory().get(self.index(word));
        self.saw(word, found, 0)?;
        Ok(found)
    }

    /// Adds to both words of a lock.
    fn guarded(&mut self, lock: usize, amount: u64) -> Result<(), String> {
        let [first, second] = [false, true].map(|second| Word::Guarded { lock, second });
        let held = self.round.dsm.lock(lock as u64);
        let (one, other) = (self.memory().get(self.index(first)), self.memory().get(self.index(second)));
        self.memory().set(self.index(first), one + amount);
        self.memory().set(self.index(second), other + amount);
        drop(held);
        if one != other {
            return Err(format!("the words of lock {lock} hold {one} and {other}"));
        }
        self.saw(first, one, amount)
    }

    /// Adds 1 by compare-and-swap.
    fn swap(&mut self, word: Word) -> Result<(), String> {
        let mut expect = self.look(word)?;
        loop {
            let old = self.memory().compare_swap(self.index(word), expect, expect + 1);
            self.saw(word, old, u64::from(old == expect))?;
            if old == expect {
                return Ok(());
            }
            expect = old;
        }
    }

    /// Checks a value that was there just now, before this thread added `added`: it neither went back nor is it more than all
    /// threads together will have added.
    fn saw(&mut self, word: Word, value: u64, added: u64) -> Result<(), String> {
        let (last, most) = (self.seen.get_mut(word.index(self.round.plan.pages)), self.round.after.of(word));
        let Some(last) = last else { return Ok(()) };
        if value < *last {
            return Err(format!("{word:?} went from {last} back to {value}"));
        }
        if value + added > most {
            return Err(format!("{word:?} holds {value}, and with {added} more it exceeds {most}"));
        }
        *last = value + added;
        Ok(())
    }
}
