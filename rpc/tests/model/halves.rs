//! A sender, a receiver and what is under way between them, as a state space.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use rpc::planted::Bug;
use rpc::time::Time;
use rpc::transport::pool::Pool;
use rpc::transport::receive::{Accepted, ReceiveHalf};
use rpc::transport::send::{Outgoing, SendHalf, SendLimits};
use rpc::wire::{AckBlock, Echo, Fragment, Frames, Reader};
use stateright::{Model, Property};

use crate::drain::Drained;

const FRAGMENT_BYTES: usize = 2;
const MESSAGE_MAX: usize = 4;
/// Reassembly memory: enough for one message at a time.
const REASSEMBLY_BYTES: usize = 140;
/// Room for one fragment in a datagram, bytes.
const FRAGMENT_ROOM: usize = rpc::wire::FRAME_HEADER_BYTES + FRAGMENT_BYTES;

/// What to explore.
#[derive(Debug)]
pub struct Session {
    /// What is sent: each has bytes of its own.
    pub messages: Vec<Vec<u8>>,
    /// How many fragments a datagram holds.
    pub fragments: usize,
    /// How many datagrams may be lost, duplicated and reordered; those that follow arrive.
    pub datagrams: u64,
    pub bug: Option<Bug>,
    pub drained: Drained,
}

/// What an [`AckBlock`] says.
type Ack = (u64, u64, Option<u64>);

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct State {
    send: SendHalf,
    receive: ReceiveHalf,
    /// The number of the next datagram, and what went out so far: it may arrive now, again, later or never.
    packet: u64,
    datagrams: Arc<BTreeMap<u64, Vec<u8>>>,
    acks: Arc<BTreeSet<Ack>>,
    newest: Option<u64>,
    /// What was delivered, and how often.
    delivered: BTreeMap<Vec<u8>, u8>,
    /// What the last step showed.
    again: bool,
    lost: bool,
    refused: bool,
    broken: Option<&'static str>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    Transmit,
    Deliver(u64),
    Acknowledge,
    Acked(Ack),
    TimeOut,
}

impl State {
    fn quiet(&self) -> State {
        State { again: false, lost: false, refused: false, ..self.clone() }
    }

    fn transmit(&self, room: usize) -> State {
        let mut next = self.quiet();
        let mut out = Vec::new();
        let filled = next.send.fill(Time::ZERO, next.packet, room, &mut out, None);
        next.again = filled.again > 0;
        if out.is_empty() && filled.fresh + filled.again > 0 || out.len() > room {
            next.broken = Some("a datagram that is not what the sender says");
        }
        Arc::make_mut(&mut next.datagrams).insert(next.packet, out);
        next.packet += 1;
        next
    }

    fn deliver(&self, packet: u64) -> State {
        let mut next = self.quiet();
        next.newest = next.newest.max(Some(packet));
        let Some(datagram) = self.datagrams.get(&packet) else { return next };
        for frame in Frames::new(Reader::new(datagram)) {
            match frame {
                Ok((fragment, bytes)) => next.accept(fragment, bytes),
                Err(_) => next.broken = Some("a datagram that cannot be read"),
            }
        }
        next
    }

    fn accept(&mut self, fragment: Fragment, bytes: &[u8]) {
        let allowance = REASSEMBLY_BYTES.saturating_sub(self.receive.reserved());
        let message = match self.receive.accept(fragment, bytes, allowance) {
            Accepted::Single => bytes.to_vec(),
            Accepted::Assembled(message) => message,
            Accepted::Refused => return self.refused = true,
            Accepted::Part | Accepted::Duplicate => return,
            Accepted::Invalid => return self.broken = Some("an honest fragment is called invalid"),
        };
        *self.delivered.entry(message).or_default() += 1;
    }

    fn acknowledge(&self) -> State {
        let mut next = self.quiet();
        let echo = next.newest.map(|packet| Echo { packet, waited_us: 0 });
        let ack = next.receive.ack(echo);
        let words = ack.words().first().copied().unwrap_or(0);
        Arc::make_mut(&mut next.acks).insert((ack.next, words, next.newest));
        next
    }

    fn acked(&self, (number, words, newest): Ack) -> State {
        let mut next = self.quiet();
        let echo = newest.map(|packet| Echo { packet, waited_us: 0 });
        match next.send.acked(&AckBlock::new(number, echo, &[words]), false, &mut Pool::default()) {
            Ok(progress) => next.lost = progress.lost > 0,
            Err(_) => next.broken = Some("an honest acknowledgement is refused"),
        }
        next
    }

    fn time_out(&self) -> State {
        let mut next = self.quiet();
        next.send.expired(next.packet);
        next
    }
}

impl Session {
    pub fn new(messages: &[&str], fragments: usize, datagrams: u64) -> Session {
        let messages = messages.iter().map(|message| message.as_bytes().to_vec()).collect();
        Session { messages, fragments, datagrams, bug: None, drained: Drained::default() }
    }

    fn room(&self) -> usize {
        self.fragments * FRAGMENT_ROOM
    }

    /// From now on nothing is lost, late or duplicated: what is sent arrives and is acknowledged; when nothing can be sent, the
    /// timer runs out.
    fn drain_step(&self, state: &State) -> Option<State> {
        if state.send.outstanding() == 0 {
            return None;
        }
        let sending = if state.send.can_fill() { state.clone() } else { state.time_out() };
        if !sending.send.can_fill() {
            // Stuck: the timer was the last hope.
            return None;
        }
        let sending = sending.transmit(self.room());
        let mut acknowledged = sending.deliver(sending.packet - 1).acknowledge();
        // What was sent before the network healed says nothing new: leave it out, so that few states are met.
        let newest = acknowledged.receive.ack(acknowledged.newest.map(|packet| Echo { packet, waited_us: 0 }));
        let ack = (newest.next, newest.words().first().copied().unwrap_or(0), acknowledged.newest);
        acknowledged.acks = Arc::default();
        acknowledged.datagrams = Arc::default();
        Some(acknowledged.acked(ack))
    }

    fn is_settled(&self, state: &State) -> bool {
        state.broken.is_none() && self.messages.iter().all(|message| state.delivered.get(message) == Some(&1))
    }
}

impl Model for Session {
    type State = State;
    type Action = Action;

    fn init_states(&self) -> Vec<State> {
        let limits = SendLimits { fragment_bytes: FRAGMENT_BYTES, window_bytes: 1_000, window_fragments: 4 };
        let mut send = SendHalf::new(limits);
        let mut receive = ReceiveHalf::new(FRAGMENT_BYTES, MESSAGE_MAX);
        if let Some(bug) = self.bug {
            send.plant(bug);
            receive.plant(bug);
        }
        for message in &self.messages {
            send.push(1, Outgoing::of(&[message]), &mut Pool::default());
        }
        vec![State {
            send,
            receive,
            packet: 0,
            datagrams: Arc::default(),
            acks: Arc::default(),
            newest: None,
            delivered: BTreeMap::new(),
            again: false,
            lost: false,
            refused: false,
            broken: None,
        }]
    }

    fn actions(&self, state: &State, actions: &mut Vec<Action>) {
        if state.broken.is_some() {
            return;
        }
        if state.packet < self.datagrams {
            if state.send.can_fill() {
                actions.push(Action::Transmit);
            }
            if state.send.is_flying() {
                actions.push(Action::TimeOut);
            }
        }
        actions.extend(state.datagrams.keys().copied().map(Action::Deliver));
        actions.push(Action::Acknowledge);
        actions.extend(state.acks.iter().copied().map(Action::Acked));
    }

    fn next_state(&self, last: &State, action: Action) -> Option<State> {
        let next = match action {
            Action::Transmit => last.transmit(self.room()),
            Action::Deliver(packet) => last.deliver(packet),
            Action::Acknowledge => last.acknowledge(),
            Action::Acked(ack) => last.acked(ack),
            Action::TimeOut => last.time_out(),
        };
        (next != *last).then_some(next)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        vec![
            Property::always("each half takes what the other says", |_, state: &State| state.broken.is_none()),
            Property::always("every message arrives once at most", |_, state: &State| {
                state.delivered.values().all(|&times| times == 1)
            }),
            Property::always("nothing arrives that was not sent", |session: &Session, state: &State| {
                state.delivered.keys().all(|message| session.messages.contains(message))
            }),
            Property::always("only what has arrived is acknowledged", |session: &Session, state: &State| {
                state.send.outstanding() > 0 || session.is_settled(state)
            }),
            Property::always("reassembly stays within its memory", |_, state: &State| {
                state.receive.reserved() <= REASSEMBLY_BYTES
            }),
            Property::always("when the network heals, all arrives", |session: &Session, state: &State| {
                state.broken.is_some()
                    || session.drained.drains(
                        state,
                        |state| session.drain_step(state),
                        |state| session.is_settled(state),
                    )
            }),
            Property::sometimes("something is sent again", |_, state: &State| state.again),
            Property::sometimes(
                "a later datagram shows a loss, where there are enough",
                |session: &Session, state: &State| state.lost || session.fragments > 1,
            ),
            Property::sometimes("something arrives ahead", |_, state: &State| state.receive.has_gap()),
            Property::sometimes("a second message finds no room", |_, state: &State| state.refused),
            Property::sometimes("all has arrived and is known to have", |session: &Session, state: &State| {
                state.send.outstanding() == 0 && session.is_settled(state)
            }),
        ]
    }
}
