//! What single faults cost.

use std::time::Instant;

use dsm_core::{Placement, SharedArray};

use super::{Bench, WORDS_PER_PAGE, consume, say, written};

impl Bench<'_> {
    pub(super) fn pair_faults(&self) -> Result<(), String> {
        self.first_touch()?;
        self.read_fault("remote_read_fault", Placement::Node(1))?;
        self.write_fault()?;
        self.upgrade_alone()?;
        self.upgrade_with_one_reader()?;
        self.alone()?;
        self.ping_pong()
    }

    fn first_touch(&self) -> Result<(), String> {
        let pages = self.pages(Placement::Node(0))?;
        if self.is_first() {
            say("first_touch", self.each_page(|index| consume(pages.get(index))));
        }
        self.dsm.barrier();
        Ok(())
    }

    /// Node 1 has written pages that live at `placement`; node 0 never had them.
    pub(super) fn read_fault(&self, name: &str, placement: Placement) -> Result<(), String> {
        let pages = self.written_by_node_1(placement)?;
        let mut right = Ok(());
        if self.is_first() {
            let mut seen = vec![0; self.order.len()];
            let took = self.each_page(|index| seen[index / WORDS_PER_PAGE] = pages.get(index));
            right = expect_written(&seen);
            say(name, took);
        }
        self.dsm.barrier();
        right
    }

    fn write_fault(&self) -> Result<(), String> {
        let pages = self.written_by_node_1(Placement::Node(1))?;
        if self.is_first() {
            say("remote_write_fault", self.each_page(|index| pages.set(index + 1, 1)));
            // The page came with what was in it.
            let seen: Vec<u64> = (0..self.order.len()).map(|page| pages.get(page * WORDS_PER_PAGE)).collect();
            expect_written(&seen)?;
        }
        self.dsm.barrier();
        Ok(())
    }

    /// Nobody else has a copy, and the home is another node.
    fn upgrade_alone(&self) -> Result<(), String> {
        let pages = self.pages(Placement::Node(1))?;
        if self.is_first() {
            self.each_page(|index| consume(pages.get(index)));
            say("write_upgrade_readers_0", self.each_page(|index| pages.set(index, 1)));
        }
        self.dsm.barrier();
        Ok(())
    }

    fn upgrade_with_one_reader(&self) -> Result<(), String> {
        let pages = self.written_by_node_1(Placement::Node(1))?;
        if self.is_first() {
            self.each_page(|index| consume(pages.get(index)));
            say("write_upgrade_readers_1", self.each_page(|index| pages.set(index, 1)));
        }
        self.dsm.barrier();
        Ok(())
    }

    pub(super) fn upgrade_with_three_readers(&self) -> Result<(), String> {
        let pages = self.written_by_node_1(Placement::Node(1))?;
        if self.dsm.rank() != 1 {
            self.each_page(|index| consume(pages.get(index)));
        }
        self.dsm.barrier();
        if self.is_first() {
            say("write_upgrade_readers_3", self.each_page(|index| pages.set(index, 1)));
        }
        self.dsm.barrier();
        Ok(())
    }

    /// A read fault and an upgrade of pages that lie so far apart that one says nothing of the others: at their home, nothing is done
    /// before it is asked for.
    fn alone(&self) -> Result<(), String> {
        /// More than are dealt with together.
        const APART: usize = 33;
        let words = self.order.len() * APART * WORDS_PER_PAGE;
        let pages = self.dsm.alloc::<u64>(words, Placement::Node(1)).map_err(|error| error.to_string())?;
        if self.dsm.rank() == 1 {
            (0..self.order.len()).for_each(|page| pages.set(page * APART * WORDS_PER_PAGE, written(page)));
        }
        self.dsm.barrier();
        let mut right = Ok(());
        if self.is_first() {
            let mut seen = vec![0; self.order.len()];
            let took = self.each_page(|index| seen[index / WORDS_PER_PAGE] = pages.get(index * APART));
            right = expect_written(&seen);
            say("remote_read_fault_alone", took);
            say("write_upgrade_readers_1_alone", self.each_page(|index| pages.set(index * APART, 1)));
        }
        self.dsm.barrier();
        right
    }

    /// Nodes 0 and 1 write one word in turn: one turn.
    fn ping_pong(&self) -> Result<(), String> {
        let word = self.dsm.alloc::<u64>(1, Placement::Node(0)).map_err(|error| error.to_string())?;
        let me = self.dsm.rank() as u64;
        let mut took = Vec::with_capacity(self.order.len());
        for round in 0..self.order.len() as u64 {
            let (start, mine) = (Instant::now(), 2 * round + me);
            while word.get(0) != mine {
                // The other node, and both engines, may need this processor.
                std::thread::yield_now();
            }
            word.set(0, mine + 1);
            // Two turns: the other's and mine.
            took.push(start.elapsed().as_nanos() as f64 / 2e3);
        }
        self.dsm.barrier();
        if self.is_first() {
            say("page_ping_pong", took);
        }
        Ok(())
    }

    fn written_by_node_1(&self, placement: Placement) -> Result<SharedArray<'_, u64>, String> {
        let pages = self.pages(placement)?;
        if self.dsm.rank() == 1 {
            (0..self.order.len()).for_each(|page| pages.set(page * WORDS_PER_PAGE, written(page)));
        }
        self.dsm.barrier();
        Ok(pages)
    }
}

fn expect_written(seen: &[u64]) -> Result<(), String> {
    match seen.iter().enumerate().find(|(page, value)| **value != written(*page)) {
        Some((page, value)) => Err(format!("page {page} showed {value:#x}, and {:#x} was stored", written(page))),
        None => Ok(()),
    }
}
