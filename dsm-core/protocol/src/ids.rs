//! The numbers that mean something, each a type of its own.

use std::fmt;

use smallvec::SmallVec;

/// The largest number of nodes in a job: a [`NodeSet`] is one 64-bit word.
pub const NODES_MAX: usize = 64;

/// A node of the job, from 0 to the number of nodes less one (its *rank*).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NodeId(u8);

impl NodeId {
    /// The node of this rank, or `None` at [`NODES_MAX`] and above.
    pub fn new(rank: usize) -> Option<NodeId> {
        (rank < NODES_MAX).then_some(NodeId(rank as u8))
    }

    /// The rank, usable as an index.
    pub fn rank(self) -> usize {
        usize::from(self.0)
    }
}

impl fmt::Display for NodeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "node {}", self.0)
    }
}

/// A set of nodes.
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NodeSet(u64);

impl NodeSet {
    /// The set with no node in it.
    pub const EMPTY: NodeSet = NodeSet(0);

    /// The set of one node.
    pub fn of(node: NodeId) -> NodeSet {
        NodeSet(1 << node.0)
    }

    /// The set whose members are the bits of `bits`, node 0 in the lowest.
    pub fn from_bits(bits: u64) -> NodeSet {
        NodeSet(bits)
    }

    /// The members as bits, node 0 in the lowest.
    pub fn bits(self) -> u64 {
        self.0
    }

    /// Whether `node` is a member.
    pub fn contains(self, node: NodeId) -> bool {
        self.0 & (1 << node.0) != 0
    }

    /// Whether there is no member.
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// This set and `node`.
    #[must_use]
    pub fn with(self, node: NodeId) -> NodeSet {
        NodeSet(self.0 | (1 << node.0))
    }

    /// This set but for `node`.
    #[must_use]
    pub fn without(self, node: NodeId) -> NodeSet {
        NodeSet(self.0 & !(1 << node.0))
    }

    /// The members of this set that are not in `other`.
    #[must_use]
    pub fn minus(self, other: NodeSet) -> NodeSet {
        NodeSet(self.0 & !other.0)
    }

    /// How many members there are.
    pub fn len(self) -> usize {
        self.0.count_ones() as usize
    }

    /// The members in rising order.
    pub fn iter(self) -> impl Iterator<Item = NodeId> {
        let mut left = self.0;
        std::iter::from_fn(move || {
            let first = (left != 0).then(|| NodeId(left.trailing_zeros() as u8))?;
            left &= left - 1;
            Some(first)
        })
    }
}

impl FromIterator<NodeId> for NodeSet {
    fn from_iter<I: IntoIterator<Item = NodeId>>(nodes: I) -> NodeSet {
        nodes.into_iter().fold(NodeSet::EMPTY, NodeSet::with)
    }
}

impl fmt::Debug for NodeSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.iter().map(NodeId::rank)).finish()
    }
}

/// A page of the region: its offset from the region's start in units of one page.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Page(pub u64);

/// Counts the transactions on one page, at its home. A copy carries the epoch of the transaction that last changed it, and a
/// message of that epoch or an older one can tell it nothing new.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Epoch(pub u64);

impl Epoch {
    /// The epoch after this one.
    #[must_use]
    pub fn next(self) -> Epoch {
        Epoch(self.0 + 1)
    }
}

/// Numbers the requests of one node, rising from 1. With the node's id it names a request for ever.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RequestId(pub u64);

impl RequestId {
    /// The id after this one.
    #[must_use]
    pub fn next(self) -> RequestId {
        RequestId(self.0 + 1)
    }
}

/// The number by which programs name a lock. Any value is a lock.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LockId(pub u64);

/// The last request of each node that was taken up, so that a duplicate is known for what it is.
///
/// Holds one entry for every node that ever asked; most pages and locks are asked for by few.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LastSeen(SmallVec<[(NodeId, RequestId); 2]>);

impl LastSeen {
    /// Whether any request of `node` was recorded.
    pub fn knows(&self, node: NodeId) -> bool {
        self.0.iter().any(|(known, _)| *known == node)
    }

    /// Bytes that the entries take outside of this value: none for the first two nodes.
    pub(crate) fn bytes_elsewhere(&self) -> usize {
        if self.0.spilled() { self.0.capacity() * size_of::<(NodeId, RequestId)>() } else { 0 }
    }

    /// Records `request` of `node`. False when this request, or a later one of that node, was recorded before.
    pub fn record(&mut self, node: NodeId, request: RequestId) -> bool {
        match self.0.iter_mut().find(|(known, _)| *known == node) {
            Some((_, last)) if *last >= request => false,
            Some((_, last)) => {
                *last = request;
                true
            }
            None => {
                self.0.push((node, request));
                true
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn node(rank: usize) -> NodeId {
        NodeId::new(rank).unwrap()
    }

    #[test]
    fn a_set_holds_what_was_put_in_and_nothing_else() {
        let set: NodeSet = [node(0), node(5), node(63)].into_iter().collect();
        assert_eq!(set.iter().map(NodeId::rank).collect::<Vec<_>>(), [0, 5, 63]);
        assert_eq!(set.without(node(5)).len(), 2);
        assert_eq!(set.minus(NodeSet::of(node(0)).with(node(63))), NodeSet::of(node(5)));
    }

    #[test]
    fn a_rank_beyond_the_largest_job_is_no_node() {
        assert!(NodeId::new(NODES_MAX - 1).is_some());
        assert!(NodeId::new(NODES_MAX).is_none());
    }

    #[test]
    fn a_request_seen_before_is_not_recorded_again() {
        let mut seen = LastSeen::default();
        assert!(seen.record(node(1), RequestId(4)));
        assert!(!seen.record(node(1), RequestId(4)));
        assert!(!seen.record(node(1), RequestId(3)));
        assert!(seen.record(node(2), RequestId(1)));
        assert!(seen.record(node(1), RequestId(5)));
    }
}
