//! Locks and the barrier. The double of the engine's `sync`.

use protocol::barrier::BarrierEffect;
use protocol::locks::{LockEffect, Waiter};
use protocol::message::{BarrierMessage, LockMessage};
use protocol::{LockId, NodeId};

use super::{Around, Fatal, Node, Stop};
use crate::violation::Violation;

/// What a barrier is for, as the engine's words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Purpose {
    Barrier,
    Finalize,
    Allocation(usize),
}

impl Purpose {
    fn to_word(self) -> u64 {
        match self {
            Purpose::Barrier => 0,
            Purpose::Finalize => FINALIZE,
            Purpose::Allocation(segment) => segment as u64 | 1 << 63,
        }
    }
}

const FINALIZE: u64 = 1;

impl Node {
    pub(super) fn acquire(&mut self, thread: usize, lock: LockId, cx: &mut Around<'_, '_>) -> Result<(), Stop> {
        self.last_waiter += 1;
        let waiter = Waiter(self.last_waiter);
        self.waiters.insert(waiter, thread);
        let mut effects = Vec::new();
        self.machines.locks.acquire(lock, waiter, &mut effects);
        self.carry_out_locks(effects, cx)
    }

    pub(super) fn release(&mut self, thread: usize, lock: LockId, cx: &mut Around<'_, '_>) -> Result<(), Stop> {
        let id = self.threads[thread].id;
        cx.ghost.released(id, lock);
        let mut effects = Vec::new();
        if !self.machines.locks.release(lock, &mut effects) {
            return Err(Violation::ReleaseRefused { lock, thread: id }.into());
        }
        self.carry_out_locks(effects, cx)
    }

    pub(super) fn enter_barrier(
        &mut self,
        thread: usize,
        purpose: Purpose,
        cx: &mut Around<'_, '_>,
    ) -> Result<(), Stop> {
        cx.ghost.arrives(self.threads[thread].id);
        let mut effects = Vec::new();
        if !self.machines.barrier.enter(purpose.to_word(), &mut effects) {
            return Err(Violation::BarrierConfused { node: self.me }.into());
        }
        self.at_barrier = Some(thread);
        self.carry_out_barrier(effects, cx)
    }

    pub(super) fn lock_message(
        &mut self,
        from: NodeId,
        message: &LockMessage,
        cx: &mut Around<'_, '_>,
    ) -> Result<(), Stop> {
        let mut effects = Vec::new();
        self.machines.locks.receive(from, message, &mut effects);
        self.carry_out_locks(effects, cx)
    }

    pub(super) fn barrier_message(
        &mut self,
        from: NodeId,
        message: &BarrierMessage,
        cx: &mut Around<'_, '_>,
    ) -> Result<(), Stop> {
        if self.machines.barrier.predecessor(message.round) != Some(from) {
            return Ok(());
        }
        let mut effects = Vec::new();
        self.machines.barrier.receive(message, &mut effects);
        self.carry_out_barrier(effects, cx)
    }

    fn carry_out_locks(&mut self, effects: Vec<LockEffect>, cx: &mut Around<'_, '_>) -> Result<(), Stop> {
        for effect in effects {
            match effect {
                LockEffect::Send { to, message } => self.send(to, &message, None, cx)?,
                LockEffect::Acquired { lock, waiter } => {
                    let Some(thread) = self.waiters.remove(&waiter) else { continue };
                    let id = self.threads[thread].id;
                    cx.trace.note(&[id.node.rank() as u64, id.thread as u64, lock.0], || {
                        format!("{id} holds lock {:#x}", lock.0)
                    });
                    cx.ghost.acquired(id, lock)?;
                    self.threads[thread].advance();
                    cx.woken.push(thread);
                }
            }
        }
        Ok(())
    }

    fn carry_out_barrier(&mut self, effects: Vec<BarrierEffect>, cx: &mut Around<'_, '_>) -> Result<(), Stop> {
        for effect in effects {
            match effect {
                BarrierEffect::Send { to, message } => self.send(to, &message, None, cx)?,
                BarrierEffect::Released { purpose } => {
                    let confused = Violation::BarrierConfused { node: self.me };
                    let thread = self.at_barrier.take().ok_or(confused)?;
                    let id = self.threads[thread].id;
                    cx.trace.note(&[id.node.rank() as u64, purpose], || format!("{id} leaves the barrier"));
                    cx.ghost.leaves(id)?;
                    self.leaving |= purpose == FINALIZE;
                    self.threads[thread].advance();
                    cx.woken.push(thread);
                }
                BarrierEffect::Disagreement { node, .. } => return Err(Stop::Fatal(Fatal::Disagreement { node })),
            }
        }
        Ok(())
    }
}
