//! Heat on a plate: each point becomes the mean of its four neighbours, again and again (Jacobi's method).
//!
//! The upper edge is kept hot, the other three cold. Every node owns a block of rows. To compute them it needs one row
//! of each neighbour, so of all the memory that is shared only the border rows travel, once for every iteration: the
//! pattern that shared memory over pages serves best. There are two plates, one read and one written; a barrier ends
//! each iteration, and then they change places.
//!
//! [`Plate`] and [`relax_row`](plate::relax_row) are pure; [`over_dsm`] runs them on all nodes.

pub mod over_dsm;
pub mod plate;

pub use plate::Plate;
