//! Mutual exclusion: one token for each lock, handed directly from holder to next.
//!
//! The lock's home remembers only the last node that asked. A new request is passed on to that node, which hands the token over
//! when it has done with it: a distributed queue in which each node knows its successor and nobody else (the queue lock of
//! Mellor-Crummey and Scott 1991, spread over nodes; TreadMarks used the same for its locks). A token stays where it was
//! last used, so a lock that one node uses alone costs no message. Threads of one node queue at their node; a waiting
//! node goes before waiting threads of the node that holds the token, so no node starves.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, VecDeque};

use crate::ids::{LastSeen, LockId, NodeId, RequestId};
use crate::message::{LockMessage, Message};
use crate::planted::{Bug, Planted};

/// How many different locks the threads of one node may use in the course of a job. What is known of a lock is kept for as long as
/// the job runs, at the node that used it and at the lock's home; so this bounds what a node can make others keep.
pub const LOCKS_MAX: usize = 1 << 18;

/// This node's program has used as many different locks as it may.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("this node has used {LOCKS_MAX} different locks, and may use no more: number them from a smaller range")]
pub struct TooManyLocks;

/// A thread of this node that wants a lock; the owner of the machine chooses the number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Waiter(pub u64);

/// What the owner of [`Locks`] must do, in order.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum LockEffect {
    /// Send `message` to `to`.
    Send {
        /// The receiver, never this node.
        to: NodeId,
        /// The message.
        message: Message,
    },
    /// The thread `waiter` holds the lock now.
    Acquired {
        /// The lock.
        lock: LockId,
        /// Who asked for it.
        waiter: Waiter,
    },
}

/// Where a lock's token is, as this node sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Token {
    /// Somewhere else, and we have not asked.
    Away,
    /// Asked for.
    Requested,
    /// Here, held by no thread.
    Free,
    /// Here, held by a thread.
    Held,
}

/// A lock as one node sees it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct LocalLock {
    token: Token,
    /// The request by which the token came here, or was asked for last. 0 where the token was at its home from the start.
    tenure: RequestId,
    successor: Option<(NodeId, RequestId)>,
    waiting: VecDeque<Waiter>,
    /// A thread of this node has wanted it.
    used: bool,
}

impl LocalLock {
    /// As it is before anything has happened to it: its token is at its home.
    fn new(at_home: bool) -> LocalLock {
        let token = if at_home { Token::Free } else { Token::Away };
        LocalLock { token, tenure: RequestId(0), successor: None, waiting: VecDeque::new(), used: false }
    }

    /// The token is asked for, by this request.
    fn ask(&mut self, request: RequestId) -> RequestId {
        self.token = Token::Requested;
        self.tenure = request;
        request
    }
}

/// A lock as its home sees it: the tail of the queue.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Tail {
    last: (NodeId, RequestId),
    seen: LastSeen,
}

/// All locks at one node: those that it uses and those that it is the home of.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Locks {
    me: NodeId,
    nodes: usize,
    last_request: RequestId,
    locals: BTreeMap<LockId, LocalLock>,
    /// How many of `locals` the threads of this node have wanted.
    used: usize,
    tails: BTreeMap<LockId, Tail>,
    /// For how many of `tails` each node has asked.
    asked: BTreeMap<NodeId, usize>,
    pub(crate) planted: Planted,
}

impl Locks {
    /// The locks of a job with `nodes` nodes, at node `me`.
    pub fn new(me: NodeId, nodes: usize) -> Locks {
        Locks {
            me,
            nodes,
            last_request: RequestId(0),
            locals: BTreeMap::new(),
            used: 0,
            tails: BTreeMap::new(),
            asked: BTreeMap::new(),
            planted: Planted::default(),
        }
    }

    /// The node that keeps the queue of `lock`.
    pub fn home(&self, lock: LockId) -> NodeId {
        NodeId::new((lock.0 % self.nodes as u64) as usize).unwrap_or(self.me)
    }

    /// Whether the threads of this node may use `lock`: to be asked before [`Locks::acquire`], for other nodes will not hear of it
    /// beyond the limit.
    ///
    /// # Errors
    ///
    /// [`TooManyLocks`] when it would be the first beyond [`LOCKS_MAX`].
    pub fn admit(&self, lock: LockId) -> Result<(), TooManyLocks> {
        let known = self.used < LOCKS_MAX || self.locals.get(&lock).is_some_and(|local| local.used);
        if known { Ok(()) } else { Err(TooManyLocks) }
    }

    /// A thread wants `lock`. [`LockEffect::Acquired`] follows, now or later.
    pub fn acquire(&mut self, lock: LockId, waiter: Waiter, out: &mut Vec<LockEffect>) {
        let home = self.home(lock);
        let local = self.locals.entry(lock).or_insert_with(|| LocalLock::new(home == self.me));
        let first = !std::mem::replace(&mut local.used, true);
        self.used += usize::from(first);
        match local.token {
            Token::Free => {
                local.token = Token::Held;
                out.push(LockEffect::Acquired { lock, waiter });
            }
            Token::Held | Token::Requested => local.waiting.push_back(waiter),
            Token::Away => {
                local.waiting.push_back(waiter);
                self.last_request = self.last_request.next();
                let request = local.ask(self.last_request);
                self.send(home, LockMessage::Acquire { lock, request }, out);
            }
        }
    }

    /// The holding thread lets go of `lock`. `false`, and no effect, when no thread of this node holds it.
    pub fn release(&mut self, lock: LockId, out: &mut Vec<LockEffect>) -> bool {
        let Some(local) = self.locals.get_mut(&lock) else { return false };
        if local.token != Token::Held {
            return false;
        }
        if let Some((to, request)) = local.successor.take() {
            local.token = Token::Away;
            let again = (!local.waiting.is_empty()).then(|| {
                self.last_request = self.last_request.next();
                local.ask(self.last_request)
            });
            self.send(to, LockMessage::Token { lock, request }, out);
            if let Some(request) = again {
                self.send(self.home(lock), LockMessage::Acquire { lock, request }, out);
            }
        } else if let Some(waiter) = local.waiting.pop_front() {
            out.push(LockEffect::Acquired { lock, waiter });
        } else {
            local.token = Token::Free;
        }
        true
    }

    /// A message arrives from node `from`. One that `from` has no right to send, or that no request of this node has led to, is
    /// ignored, and leaves nothing behind.
    pub fn receive(&mut self, from: NodeId, message: &LockMessage, out: &mut Vec<LockEffect>) {
        match *message {
            LockMessage::Acquire { lock, request } => self.queue(lock, from, request, out),
            LockMessage::Pass { lock, tenure, to, request } if from == self.home(lock) => {
                self.pass(lock, tenure, to, request, out);
            }
            LockMessage::Pass { .. } => {}
            LockMessage::Token { lock, request } => self.token_arrived(lock, request, out),
        }
    }

    fn send(&mut self, to: NodeId, message: LockMessage, out: &mut Vec<LockEffect>) {
        if to == self.me {
            self.receive(to, &message, out);
        } else {
            out.push(LockEffect::Send { to, message: Message::Lock(message) });
        }
    }

    /// At the home: the request becomes the tail, and the one before it learns its successor.
    fn queue(&mut self, lock: LockId, from: NodeId, request: RequestId, out: &mut Vec<LockEffect>) {
        if self.home(lock) != self.me {
            return;
        }
        let asked = self.asked.entry(from).or_default();
        let tail = match self.tails.entry(lock) {
            Entry::Occupied(known) => known.into_mut(),
            Entry::Vacant(_) if *asked >= LOCKS_MAX => return,
            Entry::Vacant(new) => new.insert(Tail { last: (self.me, RequestId(0)), seen: LastSeen::default() }),
        };
        if !tail.seen.knows(from) {
            if *asked >= LOCKS_MAX {
                return;
            }
            *asked += 1;
        }
        if !tail.seen.record(from, request) && !self.planted.has(Bug::LockRequestQueuedTwice) {
            return;
        }
        let (before, tenure) = std::mem::replace(&mut tail.last, (from, request));
        self.send(before, LockMessage::Pass { lock, tenure, to: from, request }, out);
    }

    /// At a node in the queue: when its tenure of that number ends, the token goes to `to`.
    fn pass(&mut self, lock: LockId, tenure: RequestId, to: NodeId, request: RequestId, out: &mut Vec<LockEffect>) {
        let any_tenure = self.planted.has(Bug::LockPassForAnyTenure);
        let at_home = self.home(lock) == self.me;
        let local = match self.locals.entry(lock) {
            Entry::Occupied(known) => known.into_mut(),
            // The first tenure of all is the home's, which need not have asked.
            Entry::Vacant(new) if at_home => new.insert(LocalLock::new(at_home)),
            Entry::Vacant(_) => return,
        };
        if local.tenure != tenure && !any_tenure {
            return;
        }
        match local.token {
            Token::Free => {
                local.token = Token::Away;
                self.send(to, LockMessage::Token { lock, request }, out);
            }
            Token::Held | Token::Requested => local.successor = Some((to, request)),
            Token::Away => {}
        }
    }

    fn token_arrived(&mut self, lock: LockId, request: RequestId, out: &mut Vec<LockEffect>) {
        let any_token = self.planted.has(Bug::LockTokenTakenTwice);
        let Some(local) = self.locals.get_mut(&lock) else { return };
        if (local.token != Token::Requested || local.tenure != request) && !any_token {
            return;
        }
        // The thread that asked is still there: a waiter leaves the queue only by acquiring.
        if let Some(waiter) = local.waiting.pop_front() {
            local.token = Token::Held;
            out.push(LockEffect::Acquired { lock, waiter });
        } else {
            local.token = Token::Free;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOCK: LockId = LockId(1);

    struct Cluster {
        nodes: Vec<Locks>,
        flight: Vec<(NodeId, NodeId, LockMessage)>,
        holders: Vec<(usize, Waiter)>,
        sent: usize,
    }

    impl Cluster {
        fn new(nodes: usize) -> Cluster {
            Cluster {
                nodes: (0..nodes).map(|rank| Locks::new(NodeId::new(rank).unwrap(), nodes)).collect(),
                flight: Vec::new(),
                holders: Vec::new(),
                sent: 0,
            }
        }

        fn carry_out(&mut self, rank: usize, effects: Vec<LockEffect>) {
            for effect in effects {
                match effect {
                    LockEffect::Send { to, message: Message::Lock(message) } => {
                        self.sent += 1;
                        self.flight.push((NodeId::new(rank).unwrap(), to, message));
                    }
                    LockEffect::Acquired { waiter, .. } => self.holders.push((rank, waiter)),
                    other => panic!("unexpected {other:?}"),
                }
            }
        }

        fn acquire(&mut self, rank: usize, waiter: u64) {
            let mut out = Vec::new();
            self.nodes[rank].acquire(LOCK, Waiter(waiter), &mut out);
            self.carry_out(rank, out);
        }

        fn release(&mut self) -> (usize, Waiter) {
            let (rank, waiter) = self.holders.pop().unwrap();
            let mut out = Vec::new();
            assert!(self.nodes[rank].release(LOCK, &mut out));
            self.carry_out(rank, out);
            (rank, waiter)
        }

        fn deliver(&mut self, index: usize) {
            let (from, to, message) = self.flight.swap_remove(index);
            let mut out = Vec::new();
            self.nodes[to.rank()].receive(from, &message, &mut out);
            self.carry_out(to.rank(), out);
        }

        fn settle(&mut self) {
            while !self.flight.is_empty() {
                self.deliver(0);
            }
        }
    }

    /// A small linear congruential generator (Knuth's MMIX constants): enough to vary an order, and needs nothing.
    fn random(state: &mut u64, below: usize) -> usize {
        *state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        (*state >> 33) as usize % below
    }

    #[test]
    fn at_most_one_holder_and_everyone_in_the_end_under_reordering_and_duplication() {
        for seed in 0..300u64 {
            let (mut state, nodes) = (seed, 1 + seed as usize % 5);
            let mut cluster = Cluster::new(nodes);
            let mut served = Vec::new();
            let mut asked = 0;
            while served.len() < 40 {
                match random(&mut state, 4) {
                    0 if asked < 40 => {
                        cluster.acquire(random(&mut state, nodes), asked);
                        asked += 1;
                    }
                    1 if !cluster.holders.is_empty() => served.push(cluster.release().1),
                    2 if !cluster.flight.is_empty() => {
                        let copy = cluster.flight[random(&mut state, cluster.flight.len())];
                        cluster.flight.push(copy);
                        cluster.deliver(0);
                    }
                    _ if !cluster.flight.is_empty() => cluster.deliver(random(&mut state, cluster.flight.len())),
                    _ => {}
                }
                assert!(cluster.holders.len() <= 1, "two holders, seed {seed}");
            }
            served.sort();
            assert_eq!(served, (0..40).map(Waiter).collect::<Vec<_>>());
        }
    }

    #[test]
    fn a_lock_used_by_one_node_alone_costs_no_message_after_the_first() {
        let mut cluster = Cluster::new(2);
        cluster.acquire(0, 0);
        cluster.settle();
        cluster.release();
        let sent = cluster.sent;
        for waiter in 1..10 {
            cluster.acquire(0, waiter);
            cluster.release();
        }
        assert_eq!((sent, cluster.sent), (2, 2));
    }

    #[test]
    fn the_token_goes_from_holder_to_next_in_one_message() {
        let mut cluster = Cluster::new(3);
        cluster.acquire(0, 0);
        cluster.settle();
        cluster.acquire(2, 1);
        cluster.settle();
        let sent = cluster.sent;
        cluster.release();
        assert_eq!(cluster.sent, sent + 1);
        cluster.settle();
        assert_eq!(cluster.holders, [(2, Waiter(1))]);
    }

    #[test]
    fn a_waiting_node_goes_before_the_holders_own_threads() {
        let mut cluster = Cluster::new(2);
        cluster.acquire(0, 0);
        cluster.settle();
        cluster.acquire(0, 1);
        cluster.acquire(1, 2);
        cluster.settle();
        cluster.release();
        cluster.settle();
        assert_eq!(cluster.holders, [(1, Waiter(2))]);
        cluster.release();
        cluster.settle();
        assert_eq!(cluster.holders, [(0, Waiter(1))]);
    }

    #[test]
    fn releasing_what_is_not_held_is_refused() {
        let mut locks = Locks::new(NodeId::new(0).unwrap(), 1);
        assert!(!locks.release(LOCK, &mut Vec::new()));
    }
}
