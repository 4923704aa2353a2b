//! The run: what happens next, to whom, and whether it may.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::time::Duration;

use protocol::NodeId;
use rpc::time::Time;

use crate::ghost::Ghost;
use crate::network::{Datagram, Network};
use crate::node::{Around, Fatal, Life, Machines, Node, Stop};
use crate::program;
use crate::random::Random;
use crate::report::Report;
use crate::scenario::{Death, Manner, Scenario, Trouble};
use crate::trace::{Listener, Trace};
use crate::violation::{Failure, Violation};

/// How soon every other node must have noticed a death.
pub const NOTICE_MAX: Duration = Duration::from_secs(5);

/// How soon everything must be finished once the network has healed.
pub const FINISH_MAX: Duration = Duration::from_secs(5);

/// The safety phase ends after this time at the latest.
const SAFETY_MAX: Duration = Duration::from_secs(60);

/// Something that happens to one node.
#[derive(Debug)]
enum Happening {
    Start,
    Arrive(Datagram),
    /// The network tells the node that nobody listens at this other one.
    Refuse(usize),
    Turn,
    Step(usize),
}

#[derive(Debug)]
struct Entry {
    at: Time,
    /// Keeps the order of what happens at the same time.
    number: u64,
    node: usize,
    what: Happening,
}

impl PartialEq for Entry {
    fn eq(&self, other: &Entry) -> bool {
        (self.at, self.number) == (other.at, other.number)
    }
}

impl Eq for Entry {}

impl PartialOrd for Entry {
    fn partial_cmp(&self, other: &Entry) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Entry {
    fn cmp(&self, other: &Entry) -> std::cmp::Ordering {
        (self.at, self.number).cmp(&(other.at, other.number))
    }
}

/// A whole cluster.
pub(crate) struct Cluster<'a> {
    scenario: Scenario,
    now: Time,
    nodes: Vec<Node>,
    network: Network,
    ghost: Ghost,
    trace: Trace<'a>,
    random: Random,
    queue: BinaryHeap<Reverse<Entry>>,
    happened: u64,
    woken: Vec<usize>,
    troubles_met: usize,
    healed_at: Option<Time>,
    died: Option<(Death, Time)>,
    noticed_at: Option<Time>,
}

impl<'a> Cluster<'a> {
    pub fn new(scenario: Scenario, prepare: &dyn Fn(&mut Machines), listener: Option<Listener<'a>>) -> Cluster<'a> {
        let mut random = Random::new(scenario.seed);
        let programs = program::draw(&scenario, &mut random).into_iter().enumerate();
        let nodes = programs.filter_map(|(rank, programs)| {
            let mut node = Node::new(NodeId::new(rank)?, &scenario, programs, &mut random);
            prepare(&mut node.machines);
            Some(node)
        });
        let nodes: Vec<Node> = nodes.collect();
        let pages = scenario.segments.iter().map(|(pages, _)| pages).sum();
        let mut cluster = Cluster {
            network: Network::new(scenario.links, scenario.nodes, Random::new(random.next())),
            ghost: Ghost::new(scenario.nodes, pages, scenario.words_per_page),
            now: Time::ZERO,
            nodes,
            trace: Trace::new(listener),
            random,
            queue: BinaryHeap::new(),
            happened: 0,
            woken: Vec::new(),
            troubles_met: 0,
            healed_at: None,
            died: None,
            noticed_at: None,
            scenario,
        };
        for node in 0..cluster.nodes.len() {
            let at = Time::ZERO + cluster.random.micros(0, 50_000);
            cluster.plan(at, node, Happening::Start);
        }
        cluster
    }

    /// Runs until everybody is through, or a rule is broken.
    pub fn run(mut self, seed: u64) -> Report {
        let verdict = self.play().map_err(|violation| Failure { at: self.now, violation });
        if let Err(failure) = &verdict {
            self.trace.say(|| format!("VIOLATION: {}", failure.violation));
        }
        let since = |from: Option<Time>, to: Option<Time>| Some(to? - from?);
        let counters: Vec<_> = self.nodes.iter().map(|node| node.machines.transport.counters()).collect();
        Report {
            seed,
            operations: self.ghost.operations,
            faults: self.network.faults,
            messages: counters.iter().map(|counters| counters.messages_sent).sum(),
            datagrams: counters.iter().map(|counters| counters.datagrams_sent).sum(),
            retransmissions: counters.iter().map(|counters| counters.retransmissions).sum(),
            simulated: self.now - Time::ZERO,
            finished_after: since(self.healed_at, Some(self.now)).filter(|_| self.died.is_none()),
            death: self.died.map(|(death, _)| death.manner),
            noticed_after: since(self.died.map(|(_, at)| at), self.noticed_at),
            trace_hash: self.trace.hash(),
            scenario: self.scenario,
            verdict,
        }
    }

    fn play(&mut self) -> Result<(), Violation> {
        while !self.is_over() {
            let Some(Reverse(entry)) = self.queue.pop() else { return Err(self.stuck()) };
            self.now = entry.at;
            self.trace.at(entry.at);
            self.happen(entry)?;
            self.meet_troubles();
            let seeing = self.nodes.iter().filter(|node| node.sees_memory()).map(|node| (node.me, &node.memory));
            self.ghost.check(seeing)?;
            self.check_time()?;
        }
        self.ghost.history.check()
    }

    fn is_over(&self) -> bool {
        match self.died {
            None => self.nodes.iter().all(Node::is_finished),
            Some(_) => self.nodes.iter().all(|node| !node.sees_memory() || node.is_finished()),
        }
    }

    fn happen(&mut self, Entry { at, node, what, .. }: Entry) -> Result<(), Violation> {
        let result = match what {
            Happening::Start => self.with(node, |node, cx| {
                node.start(cx);
                Ok(())
            }),
            Happening::Arrive(datagram) => {
                self.arrive(node, datagram);
                return Ok(());
            }
            Happening::Refuse(about) => {
                let addr = self.network.addr(about);
                self.nodes[node].refuse(addr);
                Ok(())
            }
            Happening::Turn if self.nodes[node].turn_at != Some(at) => return Ok(()),
            Happening::Turn => {
                self.nodes[node].turn_at = None;
                self.turn(node)
            }
            Happening::Step(thread) => self.step(node, thread),
        };
        match result {
            Ok(()) => {}
            Err(Stop::Violation(violation)) => return Err(violation),
            Err(Stop::Fatal(why)) => self.end(node, why)?,
        }
        self.plan_turn(node);
        Ok(())
    }

    fn turn(&mut self, node: usize) -> Result<(), Stop> {
        match self.nodes[node].life {
            Life::Running => self.with(node, Node::turn),
            Life::Farewell { lost, until } => self.with(node, |node, cx| {
                node.farewell(lost, until, cx);
                Ok(())
            }),
            Life::Stranger => self.with(node, |node, cx| {
                node.be_strange(cx);
                Ok(())
            }),
            Life::Unborn | Life::Gone { .. } => Ok(()),
        }
    }

    fn step(&mut self, node: usize, thread: usize) -> Result<(), Stop> {
        if !self.nodes[node].sees_memory() {
            return Ok(());
        }
        if self.nodes[node].paused_until > self.now {
            let at = self.nodes[node].paused_until + self.random.micros(1, 50);
            self.plan(at, node, Happening::Step(thread));
            return Ok(());
        }
        if self.with(node, |node, cx| node.step(thread, cx))? {
            let think = self.scenario.think.as_micros() as u64;
            // Most operations follow each other closely.
            let think = if self.random.chance(0.1) { think * 10 } else { think };
            let at = self.now + self.random.micros(0, think);
            self.plan(at, node, Happening::Step(thread));
        }
        Ok(())
    }

    fn arrive(&mut self, node: usize, datagram: Datagram) {
        match self.nodes[node].life {
            Life::Gone { refuses } => {
                if refuses {
                    let at = self.now + self.scenario.links.delay;
                    self.plan(at, datagram.from, Happening::Refuse(node));
                }
                self.network.give_back(datagram.bytes);
            }
            _ => {
                self.nodes[node].arrive(datagram, &mut self.network);
                self.plan_turn(node);
            }
        }
    }

    /// A node gives up.
    fn end(&mut self, node: usize, why: Fatal) -> Result<(), Violation> {
        let me = self.nodes[node].me;
        self.trace.note(&[me.rank() as u64], || format!("{me} ends: {why}"));
        match self.died {
            None => return Err(Violation::GaveUp { node: me, why }),
            Some((death, _)) if death.node != node => {
                let died = NodeId::new(death.node).filter(|died| why.blamed() != Some(*died));
                if let Some(died) = died {
                    return Err(Violation::WrongOneBlamed { node: me, died, why });
                }
                self.noticed_at = Some(self.now);
            }
            Some(_) => {}
        }
        self.with(node, |node, cx| node.end(why, cx));
        Ok(())
    }

    /// Lets a node act, and takes what comes of it.
    fn with<R>(&mut self, node: usize, act: impl FnOnce(&mut Node, &mut Around<'_, 'a>) -> R) -> R {
        let mut cx = Around {
            now: self.now,
            scenario: &self.scenario,
            ghost: &mut self.ghost,
            network: &mut self.network,
            trace: &mut self.trace,
            random: &mut self.random,
            woken: &mut self.woken,
        };
        let result = act(&mut self.nodes[node], &mut cx);
        while let Some(thread) = self.woken.pop() {
            let at = self.now + self.reaction(node);
            self.plan(at, node, Happening::Step(thread));
        }
        let mut sent = std::mem::take(&mut self.network.sent);
        sent.drain(..).for_each(|datagram| self.plan(datagram.at, datagram.to, Happening::Arrive(datagram)));
        self.network.sent = sent;
        result
    }

    fn plan(&mut self, at: Time, node: usize, what: Happening) {
        self.happened += 1;
        self.queue.push(Reverse(Entry { at, number: self.happened, node, what }));
    }

    /// Sees to it that the node has its next turn in time.
    fn plan_turn(&mut self, node: usize) {
        if matches!(self.nodes[node].life, Life::Unborn | Life::Gone { .. }) {
            return;
        }
        let due = self.nodes[node].next_turn(self.now).max(self.now);
        let at = (due + self.reaction(node)).max(self.nodes[node].paused_until);
        if self.nodes[node].turn_at.is_none_or(|planned| planned > at) {
            self.nodes[node].turn_at = Some(at);
            self.plan(at, node, Happening::Turn);
        }
    }

    fn reaction(&mut self, node: usize) -> Duration {
        let most = if self.healed_at.is_some() { 20 } else { self.scenario.reaction[node].as_micros() as u64 };
        self.random.micros(1, most.max(1))
    }

    fn meet_troubles(&mut self) {
        let done = self.ghost.operations;
        while let Some(&(after, trouble)) = self.scenario.troubles.get(self.troubles_met)
            && after <= done
            && self.healed_at.is_none()
        {
            self.troubles_met += 1;
            self.trace.say(|| format!("trouble: {trouble:?}"));
            match trouble {
                Trouble::Partition { from, to, lasts } => self.network.cut(from, to, self.now + lasts),
                Trouble::Pause { node, lasts } => self.pause(node, lasts),
            }
        }
        if let Some(death) = self.scenario.death
            && self.died.is_none()
            && death.after <= done
        {
            self.die(death);
        }
        let is_time = done >= self.scenario.heal_after || self.now >= Time::ZERO + SAFETY_MAX;
        if self.healed_at.is_none() && is_time {
            self.heal();
        }
    }

    fn heal(&mut self) {
        self.trace.say(|| "the network heals".to_string());
        self.healed_at = Some(self.now);
        self.network.heal();
        let stopped = self.died.filter(|(death, _)| death.manner == Manner::Stopped).map(|(death, _)| death.node);
        for node in (0..self.nodes.len()).filter(|node| Some(*node) != stopped) {
            self.nodes[node].paused_until = Time::ZERO;
            self.plan_turn(node);
        }
    }

    fn pause(&mut self, node: usize, lasts: Duration) {
        self.network.faults.pauses += 1;
        self.nodes[node].paused_until = self.now + lasts;
        self.nodes[node].turn_at = None;
        self.plan_turn(node);
    }

    fn die(&mut self, death: Death) {
        self.trace.say(|| format!("node {} dies: {:?}", death.node, death.manner));
        self.died = Some((death, self.now));
        let life = match death.manner {
            Manner::Silent => Life::Gone { refuses: false },
            Manner::Refusing => Life::Gone { refuses: true },
            Manner::Replaced => return self.with(death.node, Node::be_replaced),
            Manner::Stopped => {
                let lasts = self.random.micros(6_000_000, 9_000_000);
                return self.pause(death.node, lasts);
            }
        };
        self.nodes[death.node].die(life);
    }

    fn check_time(&self) -> Result<(), Violation> {
        match self.died {
            Some((death, at)) if self.now > at + NOTICE_MAX => {
                let unaware = self.nodes.iter().find(|node| node.must_notice() && node.me.rank() != death.node);
                let died = NodeId::new(death.node);
                if let (Some(unaware), Some(died)) = (unaware, died) {
                    return Err(Violation::NotNoticed { node: unaware.me, died, within: NOTICE_MAX });
                }
                let woken = &self.nodes[death.node];
                if self.now > woken.paused_until + NOTICE_MAX && woken.must_notice() {
                    return Err(self.stuck());
                }
                Ok(())
            }
            None if self.healed_at.is_some_and(|at| self.now > at + FINISH_MAX) => Err(self.stuck()),
            _ => Ok(()),
        }
    }

    fn stuck(&self) -> Violation {
        let threads = self.nodes.iter().flat_map(|node| &node.threads).filter(|thread| !thread.is_done());
        let waiting = threads.map(|thread| thread.describe()).collect::<Vec<_>>().join("; ");
        Violation::Stuck { within: FINISH_MAX, waiting }
    }
}
