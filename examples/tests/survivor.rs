//! A process dies in the midst of a job.

use std::path::PathBuf;

use examples::survivor::{PRIMES, Process, SHARES, over_dsm, over_rpc};

fn process(word: &str) -> Process {
    Process { program: PathBuf::from(env!("CARGO_BIN_EXE_survivor")), words: vec![word.into()] }
}

#[test]
fn over_shared_memory_the_job_ends_with_an_error_that_names_the_dead_node() {
    let ending = over_dsm::run(&process("node")).unwrap();
    assert_eq!(ending.primes, None, "{ending}");
    assert!(ending.done < SHARES, "{ending}");
    assert!(ending.said.contains("lost node 1 (pid "), "{ending}");
}

#[test]
fn over_rpc_another_worker_takes_the_place_of_the_dead_one_and_the_answer_is_right() {
    let ending = over_rpc::run(&process("worker")).unwrap();
    assert_eq!((ending.done, ending.primes), (SHARES, Some(PRIMES)), "{ending}");
}
