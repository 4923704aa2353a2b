//! Every node writes a line into shared memory; node 0 reads and prints them all.
//!
//! Run it alone with `cargo run --release -p examples --bin hello`, or as three processes with
//! `dsm-node run -n 3 -- target/release/hello`.

use dsm_core::{Dsm, Error};

fn main() -> Result<(), Error> {
    let dsm = Dsm::join()?;
    for line in examples::hello::run(&dsm)? {
        println!("{line}");
    }
    dsm.finalize()
}
