//! The plate in C, built with the system's compiler: the same to the last bit.

#[path = "../../dsm-core/capi/tests/cc/mod.rs"]
mod cc;
mod common;

use std::path::Path;

use cc::{Library, compile};
use common::{bad_link, last_line, run};
use examples::jacobi::Plate;
use rpc::impair::Impairments;

#[test]
fn the_plate_in_c_is_the_same_to_the_last_bit_with_either_library_on_any_number_of_nodes() {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("c/jacobi.c");
    let expected = format!("checksum {:016x}", Plate::solve(64, 40).checksum());
    for library in [Library::Shared, Library::Static] {
        let Some(program) = compile(&source, library) else { return };
        for (nodes, link) in [(1, Impairments::default()), (3, Impairments::default()), (2, bad_link(7))] {
            let output = run(nodes, &program, &["64", "40"], link);
            assert_eq!(last_line(&output), expected, "{nodes} nodes, {library:?} library:\n{output}");
        }
    }
}
