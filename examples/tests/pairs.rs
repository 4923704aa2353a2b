//! The jobs that are written over shared memory and over RPC: the same answer in every form, on however many nodes.

mod common;

use common::run;
use examples::pairs;
use rpc::impair::Impairments;

const PAIR: &str = env!("CARGO_BIN_EXE_pair");

/// The program itself fails when an answer is wrong.
#[track_caller]
fn check(nodes: usize, impairments: Impairments) {
    let output = run(nodes, PAIR, &["--quick"], impairments);
    for form in ["dsm-naive ", "dsm ", "rpc-naive ", "rpc "] {
        assert_eq!(output.lines().filter(|line| line.starts_with(form)).count(), pairs::ALL.len(), "{output}");
    }
}

#[test]
fn every_form_of_every_job_gives_the_right_answer_on_one_to_four_nodes() {
    (1..=4).for_each(|nodes| check(nodes, Impairments::default()));
}

#[test]
fn one_process_without_shared_memory_gives_the_same_answers() {
    for pair in &pairs::ALL {
        for nodes in 1..=4 {
            let plain = pair.plain(nodes, pair.quick_size).answer;
            assert_eq!(plain, pair.answer(nodes, pair.quick_size), "{} on {nodes} nodes", pair.name);
        }
    }
}

#[test]
fn the_answers_are_right_over_links_that_lose_one_datagram_in_twenty() {
    for (seed, nodes) in [(1, 1), (2, 2), (3, 3), (4, 4)] {
        check(nodes, Impairments { loss: 0.05, seed, ..Impairments::default() });
    }
}
