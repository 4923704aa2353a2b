//! What programs see: join a job, allocate shared arrays, synchronise, leave.

mod array;
mod collective;
mod dsm;
mod lock;
mod raw;

pub use array::SharedArray;
pub use collective::Placement;
pub use dsm::Dsm;
pub use lock::LockGuard;
