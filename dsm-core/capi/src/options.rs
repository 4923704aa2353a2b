//! `dsm_alloc_opts`.

use std::ffi::c_int;

use dsm_core::Placement;

use crate::call::Refusal;

/// How an allocation is placed: `dsm_alloc_opts` of `dsm.h`.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
pub struct DsmAllocOpts {
    placement: c_int,
    block_bytes: usize,
    node: c_int,
    consistency: c_int,
}

impl DsmAllocOpts {
    pub(crate) fn placement(self) -> Result<Placement, Refusal> {
        if !matches!(self.consistency, 0 | 1) {
            return Err(Refusal::Consistency(self.consistency));
        }
        match self.placement {
            0 => Ok(Placement::Block),
            1 => Ok(Placement::Cyclic { block_bytes: self.block_bytes }),
            2 => usize::try_from(self.node).map(Placement::Node).map_err(|_| Refusal::Node(self.node)),
            other => Err(Refusal::Placement(other)),
        }
    }
}
