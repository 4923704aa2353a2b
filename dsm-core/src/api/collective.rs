//! Calls that every node makes: barrier and allocation.

use protocol::NodeId;

use super::{Dsm, SharedArray};
use crate::engine::{Awaited, Purpose};
use crate::error::Error;
use crate::mem::{Element, PAGE_BYTES};

/// Which node is the home of which page of an allocation: who keeps its directory entry, and performs atomic operations on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Placement {
    /// Equal contiguous shares, the first to node 0.
    Block,
    /// Blocks of this many bytes, rounded up to whole pages, go round the nodes.
    Cyclic {
        /// Bytes in a block, at least 1.
        block_bytes: usize,
    },
    /// All pages to one node.
    Node(usize),
}

impl Dsm {
    /// Waits until every node is here. Collective: one thread of each node.
    ///
    /// What any node stored before it is seen by every node after it.
    ///
    /// # Panics
    ///
    /// When another thread of this node is in a collective call at this moment: one thread of each node makes them.
    pub fn barrier(&self) {
        if let Err(error) = self.try_barrier() {
            panic!("{error}");
        }
    }

    /// [`Dsm::barrier`], with the misuse as an error.
    ///
    /// # Errors
    ///
    /// [`Error::CollectiveInUse`].
    pub fn try_barrier(&self) -> Result<(), Error> {
        self.arrive(Purpose::Barrier)
    }

    /// Allocates an array of `len` elements that every node sees at the same address, all zero. Collective: every node makes the
    /// same call, in the same order of allocations. It begins on a page of its own. Allocations last until the job ends.
    ///
    /// # Errors
    ///
    /// [`Error::RegionFull`] and [`Error::Placement`], on every node alike; the job can go on.
    pub fn alloc<T: Element>(&self, len: usize, placement: Placement) -> Result<SharedArray<'_, T>, Error> {
        let bytes = (len as u64).saturating_mul(size_of::<T>() as u64);
        let offset = self.alloc_offset(bytes, placement)?;
        Ok(SharedArray::new(self, offset, len))
    }

    /// Allocates `bytes` bytes as [`Dsm::alloc`] does, and returns their offset from the start of the region.
    pub(super) fn alloc_offset(&self, bytes: u64, placement: Placement) -> Result<u64, Error> {
        let homes = self.homes(placement)?;
        let pages = bytes.div_ceil(PAGE_BYTES as u64).max(1);
        let allocated = self.shared.enter(|engine| {
            let left = self.region.pages() - engine.pages_allocated();
            Ok(if pages > left { Err(left) } else { Ok(engine.extend(pages, homes)) })
        });
        let first = allocated.map_err(|left| Error::RegionFull {
            asked: bytes,
            left: left * PAGE_BYTES as u64,
            region: self.region.bytes(),
        })?;
        self.arrive(Purpose::Allocation(digest(bytes, homes)))?;
        Ok(first.0 * PAGE_BYTES as u64)
    }

    fn homes(&self, placement: Placement) -> Result<protocol::Placement, Error> {
        match placement {
            Placement::Block => Ok(protocol::Placement::Block),
            Placement::Cyclic { block_bytes: 0 } => {
                Err(Error::Placement("a cyclic placement needs blocks of at least one byte".to_string()))
            }
            Placement::Cyclic { block_bytes } => {
                Ok(protocol::Placement::Cyclic { block_pages: block_bytes.div_ceil(PAGE_BYTES) as u64 })
            }
            Placement::Node(rank) => NodeId::new(rank)
                .filter(|_| rank < self.size())
                .map(protocol::Placement::Node)
                .ok_or_else(|| Error::Placement(format!("there is no node {rank}: the job has {} nodes", self.size()))),
        }
    }

    pub(super) fn arrive(&self, purpose: Purpose) -> Result<(), Error> {
        let arrived = self.shared.perform(
            Awaited::Others,
            |stats| &mut stats.barrier_wait,
            |engine, signal| engine.enter_barrier(purpose, signal.clone()),
        );
        arrived.map(drop).ok_or(Error::CollectiveInUse)
    }
}

/// A number that differs, but for a freak, when the arguments of two allocations differ: FNV-1a over their words.
fn digest(bytes: u64, placement: protocol::Placement) -> u64 {
    let [kind, parameter] = placement.words();
    [bytes, kind, parameter]
        .into_iter()
        .flat_map(u64::to_be_bytes)
        .fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3))
}
