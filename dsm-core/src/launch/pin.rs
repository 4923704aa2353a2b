//! Giving each node its own share of the processors.

use nix::errno::Errno;
use nix::sched::{CpuSet, sched_getaffinity, sched_setaffinity};
use nix::unistd::Pid;

/// The calling thread, as the scheduler's calls know it.
const MYSELF: Pid = Pid::from_raw(0);

/// The processors that this process may use, to be dealt out to nodes.
pub(super) struct Processors {
    allowed: CpuSet,
    numbers: Vec<usize>,
}

impl Processors {
    /// Looks which there are.
    pub(super) fn look() -> Result<Processors, Errno> {
        let allowed = sched_getaffinity(MYSELF)?;
        let numbers = (0..CpuSet::count()).filter(|&number| allowed.is_set(number) == Ok(true)).collect();
        Ok(Processors { allowed, numbers })
    }

    /// Runs `start` so that the process which it starts is bound to the share of node `rank`: a child begins with the binding of the
    /// thread that started it.
    pub(super) fn bind<R>(&self, rank: usize, nodes: usize, start: impl FnOnce() -> R) -> Result<R, Errno> {
        let mut share = CpuSet::new();
        for number in share_of(&self.numbers, rank, nodes) {
            share.set(number)?;
        }
        sched_setaffinity(MYSELF, &share)?;
        let started = start();
        sched_setaffinity(MYSELF, &self.allowed)?;
        Ok(started)
    }
}

/// The processors of node `rank`: an equal run of neighbours, or one that it shares where there are more nodes than processors.
fn share_of(processors: &[usize], rank: usize, nodes: usize) -> Vec<usize> {
    let each = processors.len() / nodes.max(1);
    match each {
        0 => processors.get(rank % processors.len().max(1)).copied().into_iter().collect(),
        _ => processors.iter().copied().skip(rank * each).take(each).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_are_equal_and_do_not_overlap() {
        assert_eq!(share_of(&[0, 1, 2, 3, 6], 0, 2), [0, 1]);
        assert_eq!(share_of(&[0, 1, 2, 3, 6], 1, 2), [2, 3]);
    }

    #[test]
    fn more_nodes_than_processors_take_turns() {
        assert_eq!((0..5).flat_map(|rank| share_of(&[4, 7], rank, 5)).collect::<Vec<_>>(), [4, 7, 4, 7, 4]);
        assert!(share_of(&[], 0, 3).is_empty());
    }

    #[test]
    fn the_caller_keeps_its_own_binding() {
        let processors = Processors::look().unwrap();
        let inside = processors.bind(0, processors.numbers.len(), || sched_getaffinity(MYSELF).unwrap()).unwrap();
        assert_eq!((0..CpuSet::count()).filter(|&number| inside.is_set(number) == Ok(true)).count(), 1);
        assert_eq!(sched_getaffinity(MYSELF).unwrap(), processors.allowed);
    }
}
