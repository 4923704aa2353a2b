//! Locks and the barrier: requests of the program in, messages and wake-ups out.

use std::sync::Arc;

use protocol::barrier::BarrierEffect;
use protocol::locks::LockEffect;
use protocol::message::{BarrierMessage, LockMessage};
use protocol::{LockId, NodeId};

use super::waiters::Signal;
use super::{Engine, Fatal, Purpose};

impl Engine {
    /// A thread wants `lock`; `signal` completes when it has it.
    pub(crate) fn acquire(&mut self, lock: LockId, signal: Arc<Signal>) -> Result<(), Fatal> {
        self.locks.admit(lock)?;
        let waiter = self.waiters.add(signal);
        let mut effects = std::mem::take(&mut self.lock_effects);
        self.locks.acquire(lock, waiter, &mut effects);
        self.carry_out_locks(effects)
    }

    /// A thread lets go of `lock`. `false` when no thread of this node holds it.
    pub(crate) fn release(&mut self, lock: LockId) -> Result<bool, Fatal> {
        let mut effects = std::mem::take(&mut self.lock_effects);
        let held = self.locks.release(lock, &mut effects);
        self.carry_out_locks(effects)?;
        Ok(held)
    }

    /// A thread arrives at the barrier; `signal` completes when every node has. `false` when another thread of this node waits
    /// there already.
    pub(crate) fn enter_barrier(&mut self, purpose: Purpose, signal: Arc<Signal>) -> Result<bool, Fatal> {
        let mut effects = Vec::new();
        if !self.barrier.enter(purpose.to_word(), &mut effects) {
            return Ok(false);
        }
        self.barrier_waiter = Some(signal);
        self.carry_out_barrier(effects)?;
        Ok(true)
    }

    pub(super) fn lock_message(&mut self, from: NodeId, message: &LockMessage) -> Result<(), Fatal> {
        let mut effects = std::mem::take(&mut self.lock_effects);
        self.locks.receive(from, message, &mut effects);
        self.carry_out_locks(effects)
    }

    pub(super) fn barrier_message(&mut self, from: NodeId, message: &BarrierMessage) -> Result<(), Fatal> {
        if self.barrier.predecessor(message.round) != Some(from) {
            return Ok(());
        }
        let mut effects = Vec::new();
        self.barrier.receive(message, &mut effects);
        self.carry_out_barrier(effects)
    }

    fn carry_out_locks(&mut self, mut effects: Vec<LockEffect>) -> Result<(), Fatal> {
        for effect in effects.drain(..) {
            match effect {
                LockEffect::Send { to, message } => self.send(to, &message)?,
                LockEffect::Acquired { waiter, .. } => self.waiters.complete(waiter, 0),
            }
        }
        self.lock_effects = effects;
        Ok(())
    }

    fn carry_out_barrier(&mut self, effects: Vec<BarrierEffect>) -> Result<(), Fatal> {
        for effect in effects {
            match effect {
                BarrierEffect::Send { to, message } => self.send(to, &message)?,
                BarrierEffect::Released { purpose } => {
                    self.stats.barriers += 1;
                    self.leaving |= Purpose::from_word(purpose) == Purpose::Finalize;
                    if let Some(signal) = self.barrier_waiter.take() {
                        signal.complete(0);
                    }
                }
                BarrierEffect::Disagreement { node, theirs, ours } => {
                    let (ours, theirs) = (Purpose::from_word(ours), Purpose::from_word(theirs));
                    return Err(Fatal::Disagreement { node, ours, theirs });
                }
            }
        }
        Ok(())
    }
}
