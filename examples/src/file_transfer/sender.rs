//! The end that has the file, and sees to it that the other has the same.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use rpc::Bytes;

use super::line::Line;
use super::{FileTransferClient, Hop, Link, Plan, Report, Round, SUMMED_BYTES_MAX, Source, TransferError};

/// How long the relay may take.
const PATIENCE: Duration = Duration::from_secs(5);
/// How often it is asked.
const TRIES: u32 = 5;

/// How to send.
#[derive(Clone, Debug)]
pub struct Order {
    /// Bytes of a chunk.
    pub chunk_bytes: u32,
    /// How often chunks may be sent until the ends must agree.
    pub rounds: u32,
    /// Do not compare the ends.
    pub trust_the_hops: bool,
    /// What the hops are like.
    pub link: Link,
}

/// Sends a file to the station at `next`, which hands it on, and dismisses the stations.
///
/// # Errors
/// A station fails, or the ends differ after the last round; the received file then gets no name.
pub fn send(source: &Source, next: SocketAddr, order: &Order) -> Result<Report, TransferError> {
    let plan = Plan { length: source.length(), chunk_bytes: order.chunk_bytes };
    plan.check().map_err(TransferError::File)?;
    let sender = Sender { source, plan, line: Line::new(next, order.link.clone(), PATIENCE, TRIES)? };
    let report = sender.send(order);
    if matches!(report, Err(TransferError::Call { .. })) {
        // Who does not answer is not asked to go, either.
        return report;
    }
    let dismissed = sender.line.call(0, FileTransferClient::dismiss);
    let report = report?;
    dismissed.map(|()| report)
}

struct Sender<'a> {
    source: &'a Source,
    plan: Plan,
    line: Line,
}

/// What the sender's own file sums up to.
struct Sums {
    whole: u32,
    chunks: Vec<u32>,
}

impl Sender<'_> {
    fn send(&self, order: &Order) -> Result<Report, TransferError> {
        let start = Instant::now();
        self.line.call(0, |next| next.begin(self.plan))?;
        let sums = self.send_all()?;
        let first = Round { sent: self.plan.chunks(), wrong: None };
        let rounds = if order.trust_the_hops { vec![first] } else { self.repair(first, &sums, order.rounds)? };
        self.line.call(self.plan.length, FileTransferClient::keep)?;
        let elapsed = start.elapsed();
        // Only to show what has happened: who trusts the hops does not ask.
        let wrong = self.wrong_chunks(&sums)?.len() as u64;
        let account = self.line.call(0, FileTransferClient::account)?;
        let mut hops = vec![Hop::new("sender, of what the relay answered", self.line.counters())];
        hops.extend(account.hops);
        let (integrity, flipped) = (order.link.integrity, account.flipped);
        Ok(Report { plan: self.plan, sum: sums.whole, rounds, wrong, integrity, hops, flipped, elapsed })
    }

    /// Sends every chunk once, and sums up what was read.
    fn send_all(&self) -> Result<Sums, TransferError> {
        let mut whole = crc32fast::Hasher::new();
        let mut chunks = Vec::new();
        for chunk in 0..self.plan.chunks() {
            let bytes = self.read(chunk)?;
            whole.update(&bytes);
            chunks.push(crc32fast::hash(&bytes));
            self.put(chunk, &bytes)?;
        }
        Ok(Sums { whole: whole.finalize(), chunks })
    }

    /// The end-to-end check, and what follows from it, until the ends agree.
    fn repair(&self, first: Round, sums: &Sums, limit: u32) -> Result<Vec<Round>, TransferError> {
        let mut rounds = vec![first];
        loop {
            let agree = self.line.call(self.plan.length, FileTransferClient::file_sum)? == sums.whole;
            let wrong = if agree { Vec::new() } else { self.wrong_chunks(sums)? };
            if let Some(round) = rounds.last_mut() {
                round.wrong = Some(wrong.len() as u64);
            }
            if agree {
                return Ok(rounds);
            }
            if rounds.len() >= limit as usize {
                let (wrong, chunks) = (wrong.len() as u64, self.plan.chunks());
                return Err(TransferError::StillWrong { rounds: limit, wrong, chunks });
            }
            rounds.push(Round { sent: wrong.len() as u64, wrong: None });
            wrong.into_iter().try_for_each(|chunk| self.send_again(chunk, sums))?;
        }
    }

    fn send_again(&self, chunk: u64, sums: &Sums) -> Result<(), TransferError> {
        let bytes = self.read(chunk)?;
        if sums.chunks.get(chunk as usize) != Some(&crc32fast::hash(&bytes)) {
            let name = self.source.name();
            return Err(TransferError::File(format!(
                "{name} has changed while it was sent: send it again when nobody writes to it"
            )));
        }
        self.put(chunk, &bytes)
    }

    /// The chunks whose sums differ at the two ends.
    fn wrong_chunks(&self, sums: &Sums) -> Result<Vec<u64>, TransferError> {
        let (step, mut wrong) = (self.plan.summed_max(), Vec::new());
        for (first, ours) in (0..).step_by(step as usize).zip(sums.chunks.chunks(step as usize)) {
            let count = ours.len() as u32;
            let theirs = self.line.call(SUMMED_BYTES_MAX, |next| next.chunk_sums(first, count))?;
            let differs = |place: &usize| theirs.get(*place) != ours.get(*place);
            wrong.extend((0..ours.len()).filter(differs).map(|place| first + place as u64));
        }
        Ok(wrong)
    }

    fn read(&self, chunk: u64) -> Result<Bytes, TransferError> {
        let (start, length) = self.plan.place(chunk).unwrap_or_default();
        let mut bytes = vec![0; length];
        self.source.read(start, &mut bytes)?;
        Ok(Bytes::from(bytes))
    }

    fn put(&self, chunk: u64, bytes: &Bytes) -> Result<(), TransferError> {
        self.line.call(0, |next| next.put(chunk, bytes.clone()))
    }
}
