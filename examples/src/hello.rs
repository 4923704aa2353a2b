//! The smallest program: every node writes its line into shared memory, node 0 reads them all.

use dsm_core::{Dsm, Error, Placement};

/// Bytes that each node has for its greeting.
const LINE_BYTES: usize = 64;

/// Collective. Node 0 gets the greetings of all nodes, the others none.
///
/// # Errors
/// The memory cannot be had.
pub fn run(dsm: &Dsm) -> Result<Vec<String>, Error> {
    let lines = dsm.alloc::<u8>(dsm.size() * LINE_BYTES, Placement::Block)?;
    let greeting = format!("hello from node {} of {}", dsm.rank(), dsm.size());
    lines.write(dsm.rank() * LINE_BYTES, greeting.as_bytes());
    // Without the barrier node 0 would read lines that are not written yet.
    dsm.barrier();
    let readers = if dsm.rank() == 0 { dsm.size() } else { 0 };
    let read = |node| {
        let mut line = [0; LINE_BYTES];
        lines.read(node * LINE_BYTES, &mut line);
        String::from_utf8_lossy(&line).trim_end_matches('\0').to_owned()
    };
    Ok((0..readers).map(read).collect())
}
