//! What is true: the newest value of every word, who holds which lock, who came to which barrier. The nodes do not know it.

use std::collections::BTreeMap;

use protocol::message::Access;
use protocol::{LockId, NodeId, Page};

use crate::history::{History, Seen};
use crate::memory::Memory;
use crate::program::{ThreadId, Word};
use crate::violation::Violation;

type Checked = Result<(), Violation>;

/// The view from outside.
#[derive(Debug)]
pub(crate) struct Ghost {
    truth: Vec<Vec<u64>>,
    holders: BTreeMap<LockId, ThreadId>,
    /// Barriers that each node has come to, and that it has gone on from.
    arrived: Vec<u64>,
    left: Vec<u64>,
    pub history: History,
    /// Loads and stores done.
    pub operations: u64,
    /// Messages that were sent and have not arrived, by sender, receiver and contents.
    under_way: BTreeMap<(NodeId, NodeId, u64), u32>,
    /// Pages that something happened to since they were checked.
    touched: Vec<Page>,
}

impl Ghost {
    pub fn new(nodes: usize, pages: u64, words_per_page: usize) -> Ghost {
        Ghost {
            truth: vec![vec![0; words_per_page]; pages as usize],
            holders: BTreeMap::new(),
            arrived: vec![0; nodes],
            left: vec![0; nodes],
            history: History::default(),
            operations: 0,
            under_way: BTreeMap::new(),
            touched: Vec::new(),
        }
    }

    /// The newest contents of a page.
    pub fn truth(&self, page: Page) -> &[u64] {
        &self.truth[page.0 as usize]
    }

    /// What the only thread that stores to `word` stores next.
    pub fn next_value(&self, word: Word) -> u64 {
        self.truth(word.page)[word.place] + 1
    }

    /// A page changes somewhere.
    pub fn touch(&mut self, page: Page) {
        if self.touched.last() != Some(&page) {
            self.touched.push(page);
        }
    }

    pub fn loaded(&mut self, reader: ThreadId, word: Word, value: u64) -> Checked {
        self.operations += 1;
        self.history.push(reader, Seen::Load(word, value));
        let newest = self.truth(word.page)[word.place];
        if value == newest { Ok(()) } else { Err(Violation::StaleLoad { reader, word, value, newest }) }
    }

    pub fn stored(&mut self, writer: ThreadId, word: Word, value: u64) -> Checked {
        self.operations += 1;
        self.history.push(writer, Seen::Store(word, value));
        self.touch(word.page);
        let newest = &mut self.truth[word.page.0 as usize][word.place];
        if value != *newest + 1 {
            return Err(Violation::LostUpdate { word, value });
        }
        *newest = value;
        Ok(())
    }

    pub fn acquired(&mut self, other: ThreadId, lock: LockId) -> Checked {
        self.history.push(other, Seen::Acquire(lock));
        match self.holders.insert(lock, other) {
            None => Ok(()),
            Some(holder) => Err(Violation::TwoLockHolders { lock, holder, other }),
        }
    }

    /// To be called before the release takes effect.
    pub fn released(&mut self, thread: ThreadId, lock: LockId) {
        self.history.push(thread, Seen::Release(lock));
        self.holders.remove(&lock);
    }

    pub fn arrives(&mut self, thread: ThreadId) {
        let arrived = &mut self.arrived[thread.node.rank()];
        self.history.push(thread, Seen::Arrive(*arrived));
        *arrived += 1;
    }

    pub fn leaves(&mut self, thread: ThreadId) -> Checked {
        let left = &mut self.left[thread.node.rank()];
        let generation = *left;
        self.history.push(thread, Seen::Leave(generation));
        *left += 1;
        match self.arrived.iter().position(|&arrived| arrived <= generation).and_then(NodeId::new) {
            None => Ok(()),
            Some(late) => Err(Violation::LeftEarly { early: thread.node, late, generation }),
        }
    }

    /// A node gives a message to its transport.
    pub fn sent(&mut self, from: NodeId, to: NodeId, digest: u64) {
        *self.under_way.entry((from, to, digest)).or_default() += 1;
    }

    /// A transport delivers a message: one that was sent, and once.
    pub fn delivered(&mut self, from: NodeId, to: NodeId, digest: u64) -> Checked {
        match self.under_way.get_mut(&(from, to, digest)) {
            Some(count) if *count > 1 => *count -= 1,
            Some(_) => drop(self.under_way.remove(&(from, to, digest))),
            None => return Err(Violation::NotSent { from, to }),
        }
        Ok(())
    }

    /// One writer or many readers, and whoever can read a page reads the newest: of the pages that were touched. The others are as
    /// they were when they were checked last.
    pub fn check<'m>(&mut self, memories: impl Iterator<Item = (NodeId, &'m Memory)> + Clone) -> Checked {
        while let Some(page) = self.touched.pop() {
            self.check_page(page, memories.clone())?;
        }
        Ok(())
    }

    fn check_page<'m>(&self, page: Page, memories: impl Iterator<Item = (NodeId, &'m Memory)> + Clone) -> Checked {
        let mapped = memories.filter_map(|(node, memory)| Some((node, memory.mapped(page)?, memory.frame(page))));
        if let Some((writer, ..)) = mapped.clone().find(|(_, access, _)| *access == Access::Write)
            && let Some((other, ..)) = mapped.clone().find(|(node, ..)| *node != writer)
        {
            return Err(Violation::TwoHolders { page, writer, other });
        }
        let truth = self.truth(page);
        match mapped.clone().find(|(_, _, frame)| *frame != truth) {
            Some((node, ..)) => Err(Violation::StaleCopy { page, node }),
            None => Ok(()),
        }
    }
}
