//! Each lesson shows what it says that it shows.

use std::process::{Command, Stdio};

use examples::lessons::{ALL, Comparison, Lesson};
use rpc::CallErrorKind;

fn run(name: &str) -> Comparison {
    let lesson = Lesson::named(name).unwrap();
    let comparison = lesson.run(None).unwrap();
    assert!(!lesson.tell(&comparison).is_empty());
    comparison
}

#[test]
fn without_a_checksum_damage_is_delivered_and_with_it_none() {
    let Comparison { without, with } = run("checksum-off");
    assert!(without.tally.wrong > 0, "{without:?}");
    assert_eq!((with.tally.wrong, with.tally.failed()), (0, 0), "{with:?}");
    assert!(with.seen.damaged > 0, "{with:?}");
}

#[test]
fn without_retransmission_calls_are_lost_and_with_it_none() {
    let Comparison { without, with } = run("retry-off");
    assert!(without.tally.failed() > 0 && without.seen.retransmissions == 0, "{without:?}");
    // A reply that was lost is a call that ran, and failed.
    assert!(without.executions > without.tally.answered, "{without:?}");
    assert_eq!((with.tally.failed(), with.executions), (0, with.tally.calls), "{with:?}");
    assert!(with.seen.retransmissions > 0, "{with:?}");
}

#[test]
fn without_suppression_calls_run_twice_and_with_it_once() {
    let Comparison { without, with } = run("duplicates");
    assert!(without.executions > without.tally.calls, "{without:?}");
    assert_eq!(with.executions, with.tally.calls);
    assert!(with.seen.duplicates > 0);
}

#[test]
fn a_timeout_that_does_not_adapt_sends_what_is_not_lost_again() {
    let Comparison { without, with } = run("fixed-timeout");
    assert!(without.seen.retransmissions > without.tally.calls, "{without:?}");
    assert!(with.seen.retransmissions < without.seen.retransmissions / 2, "{with:?} {without:?}");
}

#[test]
fn without_back_off_a_server_that_does_not_hear_gets_far_more() {
    let Comparison { without, with } = run("no-back-off");
    assert!(without.seen.retransmissions > 4 * with.seen.retransmissions, "{without:?} {with:?}");
    assert!(with.seen.retransmissions > 0, "{with:?}");
    assert_eq!((without.tally.failed(), with.tally.failed()), (0, 0));
}

#[test]
fn without_fragmentation_a_large_call_is_refused_by_name() {
    let Comparison { without, with } = run("no-fragments");
    assert_eq!((without.tally.answered, with.tally.answered), (1, 2));
    let error = without.tally.error.unwrap();
    assert!(matches!(error.kind, CallErrorKind::NotFragmented { .. }), "{error}");
    assert_eq!(with.tally.wrong, 0);
}

#[test]
fn explicit_acknowledgements_double_the_datagrams() {
    let Comparison { without, with } = run("explicit-acks");
    assert!(without.seen.datagrams >= without.tally.calls * 7 / 2, "{without:?}");
    assert!(with.seen.datagrams < with.tally.calls * 3, "{with:?}");
}

#[test]
fn without_working_acknowledgements_a_long_call_is_asked_for_again_and_again() {
    let Comparison { without, with } = run("no-working-acks");
    assert!(without.seen.retransmissions > with.seen.retransmissions + 3, "{without:?} {with:?}");
    assert_eq!(without.executions, 10, "the copies do not run");
}

#[test]
fn a_pool_of_one_thread_serves_one_after_the_other() {
    let Comparison { without, with } = run("pool");
    assert!(without.took.as_millis() >= 8 * 50, "{without:?}");
    assert!(with.took < without.took, "{with:?}");
}

#[test]
fn a_machine_of_the_other_kind_reads_other_numbers() {
    let Comparison { without, with } = run("byte-order");
    assert_eq!((without.tally.wrong, with.tally.wrong), (10, 0));
}

#[test]
fn a_receive_buffer_that_is_too_small_loses_datagrams_and_no_calls() {
    let Comparison { without, with } = run("overflow");
    assert!(without.seen.overflows > 0 && without.seen.retransmissions > 0, "{without:?}");
    assert_eq!((without.tally.failed(), without.tally.wrong), (0, 0));
    assert_eq!(with.seen.overflows, 0);
}

#[test]
fn the_program_gives_a_lesson_traces_it_and_ends_well() {
    let path = std::env::temp_dir().join(format!("lessons-{}.txt", std::process::id()));
    let mut command = Command::new(env!("CARGO_BIN_EXE_lessons"));
    command.args(["no-fragments", "--counters", "--trace"]).arg(&path).stdin(Stdio::null());
    let output = command.output().unwrap();
    let (text, ladder) = (String::from_utf8(output.stdout).unwrap(), std::fs::read_to_string(&path).unwrap());
    let mut capture = path.clone().into_os_string();
    capture.push(".pcapng");
    let captured = std::fs::metadata(&capture).unwrap().len();
    std::fs::remove_file(&path).unwrap();
    std::fs::remove_file(&capture).unwrap();
    assert!(output.status.success() && text.contains("fragmentation is switched off"), "{text}");
    assert!(text.contains("datagrams sent"), "{text}");
    assert!(ladder.contains("FRAGMENT 2/2") && ladder.contains("REPLY to call"), "{ladder}");
    // Both calls crossed, and were seen at both ends.
    assert!(captured > 4 * 100_000, "{captured}");
}

#[test]
fn every_lesson_has_a_name_of_its_own_and_stands_in_the_table_of_the_documentation() {
    let table = include_str!("../../docs/lessons.md");
    for lesson in ALL {
        assert_eq!(Lesson::named(lesson.name).map(|found| found.switch), Some(lesson.switch));
        assert!(table.contains(&format!("`lessons {}`", lesson.name)), "{}", lesson.name);
    }
}
