//! The travelling salesman over RPC: a server holds queue and best bound, the workers call it.
//!
//! The same solver as over shared memory, and the same two shared things; but where a node of the shared memory loads
//! the best bound as often as it likes, a call for every node of the tree would be ruinous. So the programmer decides
//! when a worker hears of it: with each task, and with each tour it hands in. Between the two it searches with an old
//! bound. In return the server sees every step: it checks what it is told, and a worker that dies costs nothing but its
//! last task, which another does again. Over shared memory a dead node takes the pages it owned with it, and the job
//! ends.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use rpc::driver::DriverConfig;
use rpc::{CallError, Client, ClientConfig, Failure, Server, ServerHandle, StartError};
use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::{ASCENT_ROUNDS_MAX, Best, Prefix, Problem, Report, tsplib};

/// What a worker needs to begin.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Description {
    /// The TSPLIB file.
    pub text: String,
    /// Rounds of the ascent.
    pub ascent: u32,
}

/// One task.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub struct Task {
    /// Its number, to report it by.
    pub id: u32,
    /// The [`Prefix`] below which to search.
    pub prefix: u64,
    /// The best length known now.
    pub limit: u32,
}

/// What became of a task.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub struct Finished {
    /// Its number.
    pub id: u32,
    /// Nodes that were expanded below it.
    pub expanded: u64,
}

/// What the workers ask of the server.
#[rpc::service]
pub trait TspQueue {
    /// The problem. A worker's first call.
    fn problem(&self) -> Description;
    /// Hands in the last task, if there was one, and asks for the next; none when all is done.
    fn next(&self, finished: Option<Finished>) -> Option<Task>;
    /// Hands in a tour that was shorter than the limit; answers the best length now.
    fn improve(&self, tour: Vec<u8>) -> Result<u32, String>;
}

/// Why a server or a worker stopped.
#[derive(Debug, Error)]
pub enum TspError {
    /// No socket, or no thread.
    #[error("cannot start: {0}")]
    Start(#[from] StartError),
    /// The server did not answer.
    #[error("call to the server failed: {0}")]
    Call(#[from] CallError),
    /// The server's problem is none.
    #[error("the server's problem cannot be read: {0}")]
    Problem(#[from] tsplib::ParseError),
    /// The server refused a tour.
    #[error("the server refused a tour: {0}")]
    Refused(String),
}

impl From<Failure<String>> for TspError {
    fn from(failure: Failure<String>) -> Self {
        match failure {
            Failure::Application(why) => TspError::Refused(why),
            Failure::Call(error) => TspError::Call(error),
        }
    }
}

/// The server, at work.
pub struct TspServer {
    desk: Arc<Desk>,
    handle: ServerHandle,
}

impl TspServer {
    /// Cuts the problem into tasks and serves them at `listen` (port 0: any free one). `text` is the file that
    /// `problem` was read from, `ascent` the rounds it was prepared with, `config` the server's socket and transport.
    ///
    /// # Errors
    /// The address cannot be had.
    pub fn start(
        listen: SocketAddr,
        problem: &Problem,
        text: &str,
        ascent: u32,
        depth: usize,
        config: DriverConfig,
    ) -> Result<TspServer, TspError> {
        let start = Instant::now();
        let tasks = problem.tasks(depth);
        let state = State {
            done: vec![false; tasks.len()],
            left: tasks.len(),
            tasks,
            untouched: 0,
            given: VecDeque::new(),
            best: problem.first_tour(),
            expanded: 0,
            workers: 0,
            dismissed: 0,
            preparing: start.elapsed(),
            first_asked: None,
            all_done: None,
        };
        let description = Description { text: text.to_owned(), ascent };
        let desk =
            Arc::new(Desk { problem: problem.clone(), description, state: Mutex::new(state), changed: Condvar::new() });
        // No handler waits for anything, so one thread serves all workers.
        let server = Server::builder(config).bind(listen)?.pool(1).serve(TspQueueServer::shared(Arc::clone(&desk)));
        Ok(TspServer { desk, handle: server.start()? })
    }

    /// Where the workers find it.
    pub fn local_addr(&self) -> SocketAddr {
        self.handle.local_addr()
    }

    /// How many tasks are done, and of how many.
    pub fn progress(&self) -> (usize, usize) {
        let state = self.desk.state();
        (state.tasks.len() - state.left, state.tasks.len())
    }

    /// Waits for the last task, at most that long; `None` when it is not done by then.
    pub fn wait(&self, at_most: Duration) -> Option<Report> {
        let waited = self.desk.changed.wait_timeout_while(self.desk.state(), at_most, |state| state.left > 0);
        let state = waited.unwrap_or_else(PoisonError::into_inner).0;
        if state.left > 0 {
            return None;
        }
        let working = state.first_asked.zip(state.all_done).map_or(Duration::ZERO, |(first, last)| last - first);
        let (length, tour) = state.best.clone();
        let (expanded, tasks, workers) = (state.expanded, state.tasks.len(), state.workers);
        let elapsed = state.preparing + working;
        drop(state);
        // Every message has the server at one end, so its own counts are those of all.
        let network = self.handle.counters().transport;
        let messages = network.messages_sent + network.messages_delivered;
        let bytes = network.bytes_sent + network.bytes_received;
        Some(Report { length, tour, expanded, tasks, workers, elapsed, messages, bytes })
    }

    /// Waits until every worker that came has been told that all is done, at most that long, and stops.
    pub fn dismiss(self, at_most: Duration) {
        let told = |state: &mut State| state.dismissed < state.workers;
        drop(self.desk.changed.wait_timeout_while(self.desk.state(), at_most, told));
        self.handle.stop();
    }
}

/// Where the calls arrive.
struct Desk {
    problem: Problem,
    description: Description,
    state: Mutex<State>,
    changed: Condvar,
}

struct State {
    tasks: Vec<Prefix>,
    /// The first task that nobody has been given.
    untouched: usize,
    /// Tasks that were given to a worker, the longest ago first; some are done.
    given: VecDeque<usize>,
    done: Vec<bool>,
    left: usize,
    best: (u32, Vec<u8>),
    expanded: u64,
    workers: usize,
    dismissed: usize,
    preparing: Duration,
    first_asked: Option<Instant>,
    all_done: Option<Instant>,
}

impl State {
    /// A task that a worker says it has done. What is not among the tasks is not believed; what comes twice counts
    /// once.
    fn finish(&mut self, finished: Finished) {
        let Some(done) = self.done.get_mut(finished.id as usize).filter(|done| !**done) else { return };
        *done = true;
        self.left -= 1;
        self.expanded = self.expanded.saturating_add(finished.expanded);
        if self.left == 0 {
            self.all_done = Some(Instant::now());
        }
    }

    /// The next task. When all have been given but some are not done, their workers may be dead: they are given again,
    /// the oldest first. If both finish, it was done twice, and no harm: a search changes nothing but the best tour.
    fn take(&mut self) -> Option<usize> {
        let index = if self.untouched < self.tasks.len() {
            self.untouched += 1;
            self.untouched - 1
        } else {
            while self.given.front().is_some_and(|&index| self.done[index]) {
                self.given.pop_front();
            }
            self.given.pop_front()?
        };
        self.given.push_back(index);
        Some(index)
    }
}

impl Desk {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl TspQueue for Desk {
    fn problem(&self) -> Description {
        self.state().workers += 1;
        self.description.clone()
    }

    fn next(&self, finished: Option<Finished>) -> Option<Task> {
        let mut state = self.state();
        state.first_asked.get_or_insert_with(Instant::now);
        if let Some(finished) = finished {
            state.finish(finished);
        }
        let task = state.take().map(|index| Task {
            id: index as u32,
            prefix: state.tasks[index].to_word(),
            limit: state.best.0,
        });
        if task.is_none() {
            state.dismissed += 1;
        }
        self.changed.notify_all();
        task
    }

    fn improve(&self, tour: Vec<u8>) -> Result<u32, String> {
        let length = self.problem.instance().tour_length(&tour).ok_or("it does not visit every city once")?;
        let mut state = self.state();
        if length < state.best.0 {
            state.best = (length, tour);
        }
        Ok(state.best.0)
    }
}

/// What one worker did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Worked {
    /// Tasks searched.
    pub tasks: u64,
    /// Nodes of the tree expanded.
    pub expanded: u64,
}

/// Works for the server at that address until it says that all is done.
///
/// # Errors
/// The server cannot be reached, or was lost.
pub fn work(server: SocketAddr, config: DriverConfig) -> Result<Worked, TspError> {
    let client =
        TspQueueClient::new(Client::connect(server, ClientConfig { driver: config, ..ClientConfig::plain() })?);
    let Description { text, ascent } = client.problem()?;
    let problem = Problem::new(tsplib::parse(&text)?, (ascent as usize).min(ASCENT_ROUNDS_MAX));
    let best = RemoteBest { client: &client, limit: Cell::new(u32::MAX), failure: RefCell::new(None) };
    let (mut worked, mut finished) = (Worked { tasks: 0, expanded: 0 }, None);
    while let Some(task) = client.next(finished)? {
        best.limit.set(task.limit);
        let expanded = problem.search(Prefix::from_word(task.prefix), &best);
        if let Some(error) = best.failure.take() {
            return Err(error);
        }
        worked = Worked { tasks: worked.tasks + 1, expanded: worked.expanded + expanded };
        finished = Some(Finished { id: task.id, expanded });
    }
    Ok(worked)
}

/// The server's best tour, as this worker last heard of it.
struct RemoteBest<'c> {
    client: &'c TspQueueClient,
    limit: Cell<u32>,
    failure: RefCell<Option<TspError>>,
}

impl Best for RemoteBest<'_> {
    fn limit(&self) -> u32 {
        self.limit.get()
    }

    fn offer(&self, _length: u32, tour: &[u8]) {
        match self.client.improve(tour.to_vec()) {
            Ok(limit) => self.limit.set(limit),
            Err(error) => {
                // Nothing beats 0, so the search comes back at once and the error can be told.
                self.limit.set(0);
                *self.failure.borrow_mut() = Some(error.into());
            }
        }
    }
}
