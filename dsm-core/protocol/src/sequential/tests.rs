//! A cluster of machines over a network that reorders and duplicates, with ghost values for the pages' bytes.

use std::collections::BTreeMap;

use super::*;
use crate::message::{Contents, Handover};

/// Page bytes as a number: how many writes they have seen.
type Ghost = u64;

#[derive(Clone, Debug)]
struct Packet {
    from: NodeId,
    to: NodeId,
    message: PageMessage,
    bytes: Option<Ghost>,
}

#[derive(Clone, Debug, Default)]
struct View {
    frame: Ghost,
    mapped: Option<Access>,
}

struct Cluster {
    nodes: Vec<Pages>,
    views: Vec<BTreeMap<Page, View>>,
    flight: Vec<Packet>,
    holds: Vec<(NodeId, Page, Epoch)>,
    /// The newest value of each page: what every readable copy must show.
    truth: BTreeMap<Page, Ghost>,
    sent: usize,
    bytes_sent: usize,
}

fn node(rank: usize) -> NodeId {
    NodeId::new(rank).unwrap()
}

impl Cluster {
    fn new(nodes: usize, pages: u64, placement: Placement) -> Cluster {
        let mut machines: Vec<_> = (0..nodes).map(|rank| Pages::new(node(rank), nodes)).collect();
        machines.iter_mut().for_each(|machine| {
            machine.extend(pages, placement);
        });
        Cluster {
            nodes: machines,
            views: vec![BTreeMap::new(); nodes],
            flight: Vec::new(),
            holds: Vec::new(),
            truth: BTreeMap::new(),
            sent: 0,
            bytes_sent: 0,
        }
    }

    fn view(&mut self, me: NodeId, page: Page) -> &mut View {
        self.views[me.rank()].entry(page).or_default()
    }

    fn carry_out(&mut self, me: NodeId, effects: Vec<Effect>, received: Option<Ghost>) {
        for effect in effects {
            match effect {
                Effect::Send { to, message } => {
                    assert_ne!(to, me);
                    let bytes = message.carries_bytes().then(|| self.view(me, message.page()).frame);
                    self.sent += 1;
                    self.bytes_sent += usize::from(bytes.is_some());
                    self.flight.push(Packet { from: me, to, message, bytes });
                }
                Effect::Fill { page } => {
                    let view = self.view(me, page);
                    assert_eq!(view.mapped, None, "bytes landed in a live page");
                    view.frame = received.expect("a fill without bytes");
                }
                Effect::Zero { page } => {
                    let view = self.view(me, page);
                    assert_eq!((view.mapped, view.frame), (None, 0));
                }
                Effect::Map { page, access } => self.view(me, page).mapped = Some(access),
                Effect::Upgrade { page } => {
                    assert_eq!(self.view(me, page).mapped.replace(Access::Write), Some(Access::Read));
                }
                Effect::Protect { page } => {
                    assert_eq!(self.view(me, page).mapped.replace(Access::Read), Some(Access::Write))
                }
                Effect::Discard { page } => assert!(self.view(me, page).mapped.take().is_some()),
                Effect::Hold { page, epoch } => self.holds.push((me, page, epoch)),
            }
        }
        self.check();
    }

    fn fault(&mut self, rank: usize, page: Page, access: Access) {
        let mut out = Vec::new();
        self.nodes[rank].fault(page, access, &mut out).unwrap();
        self.carry_out(node(rank), out, None);
    }

    /// The program's access, where the page allows it; a fault where it does not.
    fn touch(&mut self, rank: usize, page: Page, access: Access) -> bool {
        let view = self.views[rank].entry(page).or_default();
        if view.mapped < Some(access) {
            self.fault(rank, page, access);
            return false;
        }
        if access == Access::Write {
            view.frame += 1;
            *self.truth.entry(page).or_default() = view.frame;
        }
        true
    }

    fn deliver(&mut self, index: usize, keep: bool) {
        let packet = if keep { self.flight[index].clone() } else { self.flight.swap_remove(index) };
        let mut out = Vec::new();
        self.nodes[packet.to.rank()].receive(packet.from, packet.message, &mut out);
        self.carry_out(packet.to, out, packet.bytes);
    }

    fn expire(&mut self, index: usize) {
        let (me, page, epoch) = self.holds.swap_remove(index);
        let mut out = Vec::new();
        self.nodes[me.rank()].hold_expired(page, epoch, &mut out);
        self.carry_out(me, out, None);
    }

    fn settle(&mut self) {
        while !self.flight.is_empty() || !self.holds.is_empty() {
            if self.flight.is_empty() { self.expire(0) } else { self.deliver(0, false) }
        }
    }

    fn run(&mut self, rank: usize, page: Page, access: Access) {
        while !self.touch(rank, page, access) {
            self.settle();
        }
        self.settle();
    }

    /// One writer or many readers, and every readable copy is fresh.
    fn check(&self) {
        let mut mapped: BTreeMap<Page, Vec<Access>> = BTreeMap::new();
        for views in &self.views {
            for (&page, view) in views {
                if let Some(access) = view.mapped {
                    mapped.entry(page).or_default().push(access);
                    assert_eq!(view.frame, self.truth.get(&page).copied().unwrap_or(0), "a stale copy is readable");
                }
            }
        }
        for (page, accesses) in mapped {
            assert!(
                accesses.len() == 1 || accesses.iter().all(|&access| access == Access::Read),
                "{page:?} {accesses:?}"
            );
        }
    }
}

/// A small linear congruential generator (Knuth's MMIX constants): enough to vary an order, and needs nothing.
fn random(state: &mut u64, below: usize) -> usize {
    *state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
    (*state >> 33) as usize % below
}

#[test]
fn copies_stay_coherent_and_everyone_gets_there_under_reordering_and_duplication() {
    let mut done = 0;
    for seed in 0..2_000u64 {
        let mut state = seed;
        let nodes = 2 + random(&mut state, 4);
        let pages = 1 + random(&mut state, 3);
        let mut cluster = Cluster::new(nodes, pages as u64, Placement::Cyclic { block_pages: 1 });
        for _ in 0..600 {
            match random(&mut state, 8) {
                0..3 => {
                    let access = if random(&mut state, 2) == 0 { Access::Read } else { Access::Write };
                    let page = Page(random(&mut state, pages) as u64);
                    done += usize::from(cluster.touch(random(&mut state, nodes), page, access));
                }
                3 if !cluster.holds.is_empty() => cluster.expire(random(&mut state, cluster.holds.len())),
                4 if !cluster.flight.is_empty() && cluster.flight.len() < 40 => {
                    cluster.deliver(random(&mut state, cluster.flight.len()), true);
                }
                _ if !cluster.flight.is_empty() => cluster.deliver(random(&mut state, cluster.flight.len()), false),
                _ => {}
            }
        }
        cluster.settle();
        for rank in 0..nodes {
            for page in 0..pages as u64 {
                cluster.run(rank, Page(page), Access::Write);
            }
        }
    }
    assert!(done > 100_000, "the runs did nothing: {done} accesses");
}

#[test]
fn a_page_that_nobody_wrote_moves_no_bytes() {
    let mut cluster = Cluster::new(3, 1, Placement::Node(node(0)));
    for rank in 0..3 {
        cluster.run(rank, Page(0), Access::Read);
    }
    cluster.run(2, Page(0), Access::Write);
    assert_eq!(cluster.bytes_sent, 0);
}

#[test]
fn a_read_from_a_home_that_has_the_page_takes_two_messages() {
    let mut cluster = Cluster::new(2, 1, Placement::Node(node(0)));
    cluster.run(0, Page(0), Access::Write);
    assert_eq!(cluster.sent, 0);
    cluster.run(1, Page(0), Access::Read);
    assert_eq!((cluster.sent, cluster.bytes_sent), (2, 1), "request and grant");
}

#[test]
fn a_read_through_a_forward_takes_three_messages_before_the_reader_goes_on() {
    let mut cluster = Cluster::new(3, 1, Placement::Node(node(0)));
    cluster.run(1, Page(0), Access::Write);
    let before = cluster.sent;
    cluster.run(2, Page(0), Access::Read);
    assert_eq!(cluster.sent - before, 4);
}

#[test]
fn an_upgrade_moves_no_bytes() {
    let mut cluster = Cluster::new(2, 1, Placement::Node(node(0)));
    cluster.run(0, Page(0), Access::Write);
    cluster.run(1, Page(0), Access::Read);
    let before = cluster.bytes_sent;
    cluster.run(1, Page(0), Access::Write);
    assert_eq!(cluster.bytes_sent, before);
}

#[test]
fn an_upgrade_that_lost_to_another_writer_gets_the_bytes() {
    let mut cluster = Cluster::new(3, 1, Placement::Node(node(0)));
    cluster.run(1, Page(0), Access::Write);
    cluster.run(2, Page(0), Access::Read);
    cluster.fault(1, Page(0), Access::Write);
    cluster.fault(2, Page(0), Access::Write);
    cluster.settle();
    assert!(cluster.touch(2, Page(0), Access::Write) || cluster.touch(1, Page(0), Access::Write));
    cluster.run(1, Page(0), Access::Write);
    cluster.run(2, Page(0), Access::Read);
    assert_eq!(cluster.truth[&Page(0)], 3);
}

#[test]
fn a_write_wanted_while_a_read_is_pending_follows_it() {
    let mut cluster = Cluster::new(2, 1, Placement::Node(node(0)));
    cluster.run(0, Page(0), Access::Write);
    cluster.fault(1, Page(0), Access::Read);
    cluster.fault(1, Page(0), Access::Write);
    cluster.settle();
    assert_eq!(cluster.nodes[1].access(Page(0)), Some(Access::Write));
}

/// Nodes read and write the page in turn, so often that it is taken for one that migrates. The last one has it.
fn in_turn(nodes: usize, ranks: &[usize]) -> Cluster {
    let mut cluster = Cluster::new(nodes, 1, Placement::Node(node(0)));
    for &rank in ranks {
        cluster.run(rank, Page(0), Access::Read);
        cluster.run(rank, Page(0), Access::Write);
    }
    cluster
}

#[test]
fn a_page_that_nodes_read_and_write_in_turn_comes_with_leave_to_write() {
    let mut cluster = in_turn(3, &[0, 1, 2]);
    for rank in [1, 0, 2, 0, 1] {
        cluster.run(rank, Page(0), Access::Read);
        assert!(cluster.nodes[rank].is_exclusive(Page(0)));
        assert!((0..3).filter(|&other| other != rank).all(|other| cluster.nodes[other].access(Page(0)).is_none()));
        let before = cluster.sent;
        cluster.run(rank, Page(0), Access::Write);
        assert_eq!(cluster.sent, before, "a store that asks nobody");
        assert!(!cluster.nodes[rank].is_exclusive(Page(0)));
    }
}

#[test]
fn one_turn_does_not_make_a_page_migrate() {
    let mut cluster = in_turn(3, &[0, 1]);
    cluster.run(2, Page(0), Access::Read);
    assert_eq!(cluster.nodes[2].access(Page(0)), Some(Access::Read));
    assert_eq!(cluster.nodes[1].access(Page(0)), Some(Access::Read));
    assert!(!cluster.nodes[2].is_exclusive(Page(0)));
}

#[test]
fn what_is_written_by_one_and_read_by_others_is_shared() {
    let mut cluster = in_turn(3, &[0, 1, 1, 1, 1]);
    for _ in 0..4 {
        cluster.run(0, Page(0), Access::Read);
        assert_eq!(cluster.nodes[1].access(Page(0)), Some(Access::Read));
        cluster.run(1, Page(0), Access::Write);
    }
}

#[test]
fn what_several_have_read_before_one_writes_is_shared() {
    let mut cluster = in_turn(3, &[0]);
    for writer in [1, 2, 1, 2] {
        (0..3).for_each(|rank| cluster.run(rank, Page(0), Access::Read));
        cluster.run(writer, Page(0), Access::Write);
    }
    cluster.run(0, Page(0), Access::Read);
    assert_eq!(cluster.nodes[2].access(Page(0)), Some(Access::Read));
}

#[test]
fn a_page_that_came_with_leave_to_write_and_was_not_written_is_shared_and_migrates_no_more() {
    for sharer in 0..3 {
        let mut cluster = in_turn(3, &[0, 1, 2]);
        let other = (sharer + 1) % 3;
        if sharer == 2 {
            cluster.run(0, Page(0), Access::Read);
            cluster.run(0, Page(0), Access::Write);
        }
        cluster.run(sharer, Page(0), Access::Read);
        assert!(cluster.nodes[sharer].is_exclusive(Page(0)));
        cluster.run(other, Page(0), Access::Read);
        assert!((0..3).all(|rank| !cluster.nodes[rank].is_exclusive(Page(0))));
        assert_eq!(cluster.nodes[sharer].access(Page(0)), Some(Access::Read), "nothing was taken from it");
        assert_eq!(cluster.nodes[other].access(Page(0)), Some(Access::Read));
        // Its store has to ask now, and the next who reads shares.
        let before = cluster.sent;
        cluster.run(sharer, Page(0), Access::Write);
        assert!(cluster.sent > before);
        cluster.run(other, Page(0), Access::Read);
        assert_eq!(cluster.nodes[sharer].access(Page(0)), Some(Access::Read));
    }
}

#[test]
fn what_is_asked_for_while_it_is_held_goes_by_what_its_holder_has_done_when_the_hold_ends() {
    for stores in [false, true] {
        let mut cluster = in_turn(2, &[0, 1, 0]);
        cluster.fault(1, Page(0), Access::Read);
        while !cluster.flight.is_empty() {
            cluster.deliver(0, false);
        }
        cluster.fault(0, Page(0), Access::Read);
        while !cluster.flight.is_empty() {
            cluster.deliver(0, false);
        }
        assert!(cluster.nodes[1].has_deferred() && cluster.nodes[1].is_exclusive(Page(0)));
        if stores {
            cluster.fault(1, Page(0), Access::Write);
        }
        cluster.settle();
        assert_eq!(cluster.nodes[0].is_exclusive(Page(0)), stores);
        assert_eq!(cluster.nodes[1].access(Page(0)).is_none(), stores);
    }
}

#[test]
fn what_one_writes_without_reading_and_another_reads_migrates_no_more() {
    let mut cluster = in_turn(3, &[0, 1, 2]);
    cluster.run(1, Page(0), Access::Read);
    cluster.run(2, Page(0), Access::Write);
    for _ in 0..3 {
        cluster.run(1, Page(0), Access::Read);
        assert_eq!(cluster.nodes[2].access(Page(0)), Some(Access::Read), "a copy stays with who writes");
        cluster.run(2, Page(0), Access::Write);
    }
}

/// Each has words of its own there: false sharing.
#[test]
fn what_all_read_and_then_all_write_does_not_migrate() {
    let mut cluster = in_turn(2, &[0]);
    for _ in 0..4 {
        (0..2).for_each(|rank| cluster.run(rank, Page(0), Access::Read));
        (0..2).for_each(|rank| assert!(!cluster.nodes[rank].is_exclusive(Page(0))));
        (0..2).for_each(|rank| cluster.run(rank, Page(0), Access::Write));
    }
}

#[test]
fn a_turn_after_one_who_has_not_written_does_not_count() {
    let mut cluster = in_turn(3, &[0, 1, 2]);
    cluster.run(0, Page(0), Access::Read);
    // Node 0 refuses, not having written; nodes 1 and 2 take turns, but node 1 not after a writer.
    for rank in [1, 2] {
        cluster.run(rank, Page(0), Access::Read);
        cluster.run(rank, Page(0), Access::Write);
    }
    cluster.run(1, Page(0), Access::Read);
    assert!(!cluster.nodes[1].is_exclusive(Page(0)));
}

#[test]
fn a_write_that_is_wanted_while_a_migrating_page_is_on_its_way_asks_nobody() {
    let mut cluster = in_turn(3, &[0, 1, 2]);
    let before = cluster.sent;
    cluster.fault(1, Page(0), Access::Read);
    cluster.fault(1, Page(0), Access::Write);
    cluster.settle();
    assert_eq!(cluster.nodes[1].access(Page(0)), Some(Access::Write));
    assert_eq!(cluster.sent - before, 4, "request, forward, grant, done");
}

#[test]
fn a_page_that_is_written_for_the_first_time_here_is_held_again() {
    let mut cluster = in_turn(2, &[0, 1, 0]);
    cluster.run(1, Page(0), Access::Read);
    cluster.fault(1, Page(0), Access::Write);
    cluster.fault(0, Page(0), Access::Read);
    while !cluster.flight.is_empty() {
        cluster.deliver(0, false);
    }
    assert_eq!(cluster.nodes[1].access(Page(0)), Some(Access::Write), "the store gets through");
    cluster.settle();
    assert_eq!((cluster.nodes[1].access(Page(0)), cluster.nodes[0].is_exclusive(Page(0))), (None, true));
}

#[test]
fn a_held_page_is_not_given_up_before_its_time() {
    let mut cluster = Cluster::new(2, 1, Placement::Node(node(0)));
    cluster.fault(0, Page(0), Access::Write);
    cluster.fault(1, Page(0), Access::Write);
    while !cluster.flight.is_empty() {
        cluster.deliver(0, false);
    }
    assert_eq!(cluster.nodes[0].access(Page(0)), Some(Access::Write));
    cluster.settle();
    assert_eq!((cluster.nodes[0].access(Page(0)), cluster.nodes[1].access(Page(0))), (None, Some(Access::Write)));
}

#[test]
fn messages_about_pages_that_they_cannot_be_about_are_ignored() {
    let mut machine = Pages::new(node(0), 2);
    machine.extend(2, Placement::Cyclic { block_pages: 1 });
    let untouched = machine.clone();
    let mut out = Vec::new();
    for page in [Page(1), Page(2), Page(u64::MAX)] {
        let (epoch, request, access) = (Epoch(u64::MAX), RequestId(u64::MAX), Access::Write);
        let awaiting = crate::ids::NodeSet::from_bits(u64::MAX);
        for message in [
            PageMessage::Request { page, request, access },
            PageMessage::Done { page, epoch, access },
            PageMessage::Forward { page, epoch, requester: node(1), request, handover: Handover::Take, awaiting },
            PageMessage::Grant { page, epoch, request, access, contents: Contents::Bytes, awaiting },
            PageMessage::Invalidated { page, epoch },
        ] {
            machine.receive(node(1), message, &mut out);
        }
    }
    assert_eq!((machine, out), (untouched, Vec::new()));
}

#[test]
fn a_fault_outside_every_allocation_is_an_error() {
    let mut machine = Pages::new(node(0), 1);
    assert_eq!(machine.fault(Page(0), Access::Read, &mut Vec::new()), Err(Unallocated(Page(0))));
}
