//! The same jobs over distributed shared memory and over remote procedure call.
//!
//! Each job is a module with a *pure* part that knows neither memory nor network (and is the reference that the others
//! must equal), a part over shared memory, and for [`tsp`] a part over RPC. The programs in `src/bin` only read
//! arguments and print; whoever wants the figures calls the library.
//!
//! | job | shows | program |
//! | --- | --- | --- |
//! | [`hello`] | the smallest program: one array, one barrier | `hello` |
//! | [`counter`] | one hot word: lock, atomic, and the update that gets lost | `counter` |
//! | [`mutual_exclusion`] | what plain loads and stores can do where memory is sequentially consistent | `dekker`, `peterson`, `bakery` |
//! | [`jacobi`] | neighbours that exchange borders once per barrier | `jacobi` |
//! | [`tsp`] | a work queue and a best bound: shared memory beside RPC | `tsp`, `tsp_rpc` |
//! | [`bank`] | a service with a name: what may be repeated, what may not; numbers in another byte order | `bank` |
//! | [`lessons`] | what each part of RPC over UDP is for: it is switched off | `lessons` |
//! | [`pairs`] | small jobs in four forms: over shared memory and over RPC, naive and good | `pair` |
//! | [`survivor`] | a process dies in the midst of a job: shared memory ends, RPC goes on | `survivor` |
//! | [`file_transfer`] | the end-to-end argument, over RPC alone: a relay that damages what it keeps | `file_transfer` |

#![forbid(unsafe_code)]

pub mod bank;
pub mod counter;
pub mod figures;
pub mod file_transfer;
pub mod guard;
pub mod hello;
pub mod jacobi;
pub mod ladder;
pub mod lessons;
pub mod mutual_exclusion;
pub mod pairs;
pub mod survivor;
pub mod tsp;
