//! An engine among nodes that say whatever a test wants.

mod ahead;
mod allocations;
mod migration;
mod neighbours;

use std::os::fd::AsFd;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use nix::poll::{PollFd, PollFlags};
use protocol::Placement;
use protocol::message::{Access, AtomicMessage, AtomicOperation, BarrierMessage, Contents, Handover, LockMessage};
use protocol::{Epoch, LockId, NodeSet, RequestId};
use rpc::driver::DriverConfig;
use rpc::transport::LostReason;

use super::*;
use crate::mem;

const PAGE: Page = Page(0);

fn node(rank: usize) -> NodeId {
    NodeId::new(rank).unwrap()
}

fn bind() -> Driver {
    Driver::bind("127.0.0.1:0".parse().unwrap(), DriverConfig::plain()).unwrap()
}

/// A node without an engine, or nobody of the job.
struct Puppet {
    driver: Driver,
    inbox: Inbox,
    /// Its session with the engine.
    peer: Option<Peer>,
    heard: Vec<Message>,
    lost: Vec<LostReason>,
}

impl Puppet {
    fn new() -> Puppet {
        Puppet { driver: bind(), inbox: Inbox::new(), peer: None, heard: Vec::new(), lost: Vec::new() }
    }

    fn say(&mut self, message: &Message, bytes: &[u8]) {
        self.say_together(&[(*message, bytes)]);
    }

    /// Says all this, in one datagram where it fits.
    fn say_together(&mut self, messages: &[(Message, &[u8])]) {
        for (message, bytes) in messages {
            let mut encoded = Vec::new();
            message.encode(&mut encoded);
            self.driver.send(self.peer.unwrap(), Channel::MEMORY, &[&encoded, bytes]).unwrap();
        }
        self.driver.flush();
    }

    fn listen(&mut self) {
        self.driver.receive(&mut self.inbox).unwrap();
        for incoming in self.inbox.drain() {
            match incoming {
                Incoming::Up { peer, .. } => self.peer = Some(peer),
                Incoming::Lost { reason, .. } => self.lost.push(reason),
                Incoming::Message { body, .. } => self.heard.push(Message::decode(&body).unwrap().0),
            }
        }
        self.driver.flush();
    }
}

/// Node 0, and puppets for the nodes from 1 on.
pub(super) struct Scene {
    pub(super) engine: Engine,
    puppets: Vec<Puppet>,
}

impl Scene {
    /// With one page, at home at node 1, and all sessions open. `None`, said on stderr, where the machine grants no userfaultfd.
    pub(super) fn of(nodes: usize) -> Option<Scene> {
        Scene::with_pages(nodes, 1)
    }

    /// [`Scene::of`] with that many pages.
    fn with_pages(nodes: usize, pages: u64) -> Option<Scene> {
        Scene::at_home(nodes, pages, node(1))
    }

    /// With that many pages, at home at `home`.
    fn at_home(nodes: usize, pages: u64, home: NodeId) -> Option<Scene> {
        let region = Box::leak(Box::new(mem::tests::region(pages)?));
        let (driver, puppets) = (bind(), (1..nodes).map(|_| Puppet::new()).collect::<Vec<_>>());
        let addrs = [&driver].into_iter().chain(puppets.iter().map(|puppet| &puppet.driver)).map(Driver::local_addr);
        let roster = addrs.map(|addr| RosterEntry { addr, pid: 0 }).collect();
        let mut engine = Engine::new(node(0), driver, region, roster).unwrap();
        engine.extend(pages, Placement::Node(home));
        let mut scene = Scene { engine, puppets };
        scene.until(|scene| scene.puppets.iter().all(|puppet| puppet.peer.is_some()));
        Some(scene)
    }

    fn puppet(&mut self, rank: usize) -> &mut Puppet {
        &mut self.puppets[rank - 1]
    }

    /// Lets all of them go on until `done`.
    fn until(&mut self, done: impl Fn(&Scene) -> bool) {
        let guard = Instant::now();
        while !done(self) {
            assert!(guard.elapsed() < Duration::from_secs(60), "{:?}", self.engine.stats());
            self.engine.turn(Ready::ALL, rpc::time::now()).unwrap();
            self.puppets.iter_mut().for_each(Puppet::listen);
            std::thread::yield_now();
        }
    }

    /// One turn of the engine that finds a fault on a page, and nothing else. Gives who reads it, too.
    fn turn_with_a_fault(&mut self, page: Page) -> (Turn, JoinHandle<u64>) {
        let region = self.engine.region;
        let reader = std::thread::spawn(move || region.load::<u64>(page.0 * PAGE_BYTES as u64));
        nix::poll::poll(&mut [PollFd::new(region.as_fd(), PollFlags::POLLIN)], 60_000u16).unwrap();
        let faults = self.engine.stats().read_faults;
        let turn = self.engine.turn(Ready::FAULTS, rpc::time::now()).unwrap();
        assert_eq!(self.engine.stats().read_faults, faults + 1);
        (turn, reader)
    }

    /// Lets them go on until the engine has had that many messages.
    fn until_messages(&mut self, count: u64) {
        self.until(|scene| scene.engine.stats().messages_received == count);
    }
}

#[test]
fn a_page_of_the_wrong_length_is_dropped_and_the_right_one_is_taken_after_it() {
    let Some(mut scene) = Scene::of(2) else { return };
    scene.engine.need(PAGE, Access::Read).unwrap().unwrap();
    let request = RequestId(1);
    let asked = Message::Page(PageMessage::Request { page: PAGE, request, access: Access::Read });
    scene.until(|scene| scene.puppets[0].heard == [asked]);

    let (epoch, access, awaiting) = (Epoch(1), Access::Read, NodeSet::EMPTY);
    let grant = |contents| Message::Page(PageMessage::Grant { page: PAGE, epoch, request, access, contents, awaiting });
    let bytes = [7; PAGE_BYTES + 1];
    let wrong = [0, 1, PAGE_BYTES - 1, PAGE_BYTES + 1].map(|length| (Contents::Bytes, length));
    let wrong = wrong.into_iter().chain([(Contents::Zero, 1), (Contents::Zero, PAGE_BYTES)]);
    for (count, (contents, length)) in wrong.enumerate() {
        scene.puppet(1).say(&grant(contents), &bytes[..length]);
        scene.until_messages(1 + count as u64);
        assert_eq!(scene.engine.region.mapped(PAGE), Ok(None), "{contents:?} and {length} bytes");
    }

    scene.puppet(1).say(&grant(Contents::Bytes), &bytes[..PAGE_BYTES]);
    scene.until(|scene| scene.engine.region.mapped(PAGE) == Ok(Some(mem::Access::Read)));
    assert_eq!(scene.engine.region.with_frame(PAGE, |frame| *frame), Ok([7; PAGE_BYTES]));
}

/// To yield the processor after it would be for nobody of this node: who faulted waits.
#[test]
fn a_turn_that_has_only_asked_for_pages_says_so() {
    let Some(mut scene) = Scene::of(2) else { return };
    scene.engine.received_at = Time::MAX;
    let (turn, reader) = scene.turn_with_a_fault(PAGE);
    assert_eq!(turn, Turn::Asked);
    let (epoch, request, access, awaiting) = (Epoch(1), RequestId(1), Access::Read, NodeSet::EMPTY);
    let grant = PageMessage::Grant { page: PAGE, epoch, request, access, contents: Contents::Bytes, awaiting };
    scene.puppet(1).say(&Message::Page(grant), &[7; PAGE_BYTES]);
    scene.until(|_| reader.is_finished());
    assert_eq!(reader.join().unwrap(), u64::from_ne_bytes([7; 8]));
}

#[test]
fn a_node_that_cannot_answer_one_that_has_just_gone_names_its_loss() {
    let Some(mut scene) = Scene::of(3) else { return };
    // A lock whose queue is kept here, and that node 1 holds: what node 2 asks for is passed on to node 1.
    let lock = LockId(0);
    let acquire = |request| Message::Lock(LockMessage::Acquire { lock, request: RequestId(request) });
    scene.puppet(1).say(&acquire(1), &[]);
    scene.until(|scene| !scene.puppets[0].heard.is_empty());

    // The request and the end of the session arrive in one turn. The first message only makes the next turn take all that there is.
    scene.puppet(2).say(&Message::Lock(LockMessage::Token { lock: LockId(1), request: RequestId(0) }), &[]);
    scene.puppet(2).say(&acquire(1), &[]);
    let gone = scene.puppet(1);
    gone.driver.close(gone.peer.unwrap());
    gone.driver.flush();
    let why = loop {
        if let Err(why) = scene.engine.turn(Ready::ALL, rpc::time::now()) {
            break why;
        }
    };
    let lost = Lost::Seen(LostReason::Reset);
    assert!(matches!(&why, Fatal::PeerLost { node: gone, reason, .. } if (*gone, *reason) == (node(1), lost)), "{why}");
}

#[test]
fn each_round_of_the_barrier_is_heard_from_one_node_only() {
    let Some(mut scene) = Scene::of(3) else { return };
    let signal = Signal::new();
    assert!(scene.engine.enter_barrier(Purpose::Barrier, Arc::clone(&signal)).unwrap());
    let round = |round| Message::Barrier(BarrierMessage { generation: 0, round, purpose: Purpose::Barrier.to_word() });
    // Round 0 is node 2's to tell, round 1 node 1's.
    scene.puppet(1).say(&round(0), &[]);
    scene.puppet(1).say(&round(1), &[]);
    scene.until_messages(2);
    assert_eq!(signal.poll(), None);
    scene.puppet(2).say(&round(0), &[]);
    scene.until(|_| signal.poll().is_some());
}

/// A thread touches page after page that nobody else has: each time that the engine comes round there is a fault, and none of them
/// makes it expect a datagram.
#[test]
fn a_program_that_faults_without_end_on_its_own_pages_does_not_keep_the_engine_from_the_network() {
    let Some(mut scene) = Scene::at_home(2, 2, node(0)) else { return };
    while scene.engine.turn(Ready::ALL, rpc::time::now()).unwrap() != Turn::Idle {}
    let received = |scene: &Scene| scene.engine.stats().messages_received;
    let acquire = Message::Lock(LockMessage::Acquire { lock: LockId(0), request: RequestId(1) });
    scene.puppet(1).say(&acquire, &[]);

    // It has just looked at the socket, and then not for long.
    for (page, received_at, expected) in [(0, Time::MAX, 0), (1, Time::ZERO, 1)] {
        scene.engine.received_at = received_at;
        let (turn, reader) = scene.turn_with_a_fault(Page(page));
        assert_eq!((turn, received(&scene), reader.join().unwrap()), (Turn::Resumed, expected, 0));
    }
}

#[test]
fn a_program_that_faults_without_end_on_its_own_pages_does_not_keep_holds_from_ending() {
    let Some(mut scene) = Scene::at_home(2, 2, node(0)) else { return };
    scene.turn_with_a_fault(Page(0));
    // Of a grant that was never given, so that it is a hold of its own.
    scene.engine.holds.start(Time::ZERO, Page(0), Epoch(2));
    scene.engine.received_at = Time::MAX;
    scene.turn_with_a_fault(Page(1));
    // The one of the page that just came may run still.
    assert_ne!(scene.engine.holds.next(), Some(Time::ZERO));
}

#[test]
fn a_stranger_keeps_no_session() {
    // Of two nodes, each is connected to the other, and the kernel turns strangers away.
    let Some(mut scene) = Scene::of(3) else { return };
    let mut stranger = Puppet::new();
    stranger.driver.connect(scene.engine.driver.local_addr()).unwrap();
    scene.puppets.push(stranger);
    scene.until(|scene| scene.puppets[2].lost == [LostReason::Reset]);
}
