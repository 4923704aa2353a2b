//! `dsm-node run` with programs that know nothing of shared memory: how nodes are started, labelled, ended.

mod ignored;
#[path = "../../dsm-core/tests/turn/mod.rs"]
mod turn;

use std::fs::File;
use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Child, Command, Output, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use ignored::is_ignored;
use nix::errno::Errno;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use turn::one_at_a_time;

/// Nothing here takes this long unless it hangs.
const HANG: Duration = Duration::from_secs(30);

fn dsm_node() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_dsm-node"));
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// `dsm-node run -n NODES -- sh -c SCRIPT`.
fn shell(nodes: usize, script: &str) -> Command {
    let mut command = dsm_node();
    command.args(["run", "-n", &nodes.to_string(), "--", "sh", "-c", script]);
    command
}

fn run(mut command: Command) -> Output {
    let _turn = one_at_a_time();
    command.output().unwrap()
}

fn stdout(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

fn sorted(text: &str) -> Vec<&str> {
    let mut lines: Vec<&str> = text.lines().collect();
    lines.sort_unstable();
    lines
}

/// A line for each node: its key, and what `ps` and others can see of it and its launcher.
const SHOW_KEY: &str = r#"hex() { od -An -v -tx1 "$@" | tr -d ' \n'; }
echo "$(hex /proc/self/fd/$DSM_KEY) $(hex /proc/$$/environ /proc/$$/cmdline /proc/$PPID/environ /proc/$PPID/cmdline)""#;

#[test]
fn the_nodes_of_a_job_share_a_key_of_their_own_that_no_command_line_and_no_environment_has() {
    let keys: Vec<String> = (0..2)
        .map(|_| {
            let output = run(shell(2, SHOW_KEY));
            assert!(output.status.success(), "{}", stderr(&output));
            let lines: Vec<String> = stdout(&output).lines().map(|line| line[4..].to_string()).collect();
            let shown: Vec<(&str, &str)> = lines.iter().map(|line| line.split_once(' ').unwrap()).collect();
            let key = shown[0].0.to_string();
            assert_eq!((shown.len(), key.len()), (2, 64));
            // Neither as it is, nor as digits.
            let digits: String = key.bytes().map(|digit| format!("{digit:02x}")).collect();
            for (same, visible) in shown {
                assert_eq!(same, key);
                assert!(visible.contains(&"DSM_KEY=".bytes().map(|byte| format!("{byte:02x}")).collect::<String>()));
                assert!(!visible.contains(&key) && !visible.contains(&digits));
            }
            assert!(!stderr(&output).contains(&key));
            key
        })
        .collect();
    assert_ne!(keys[0], keys[1]);
}

#[test]
fn a_plain_job_says_so_to_its_nodes() {
    let mut command = dsm_node();
    command.args(["run", "--plain", "-n", "1", "--", "sh", "-c", "echo $DSM_KEY"]);
    assert_eq!(stdout(&run(command)), "[0] plain\n");
}

/// Starts a job and reads `count` lines `[rank] pid` that its nodes print; gives them by rank.
fn start(mut command: Command, count: usize) -> (Child, Vec<Pid>) {
    let mut child = command.spawn().unwrap();
    let lines = BufReader::new(child.stdout.as_mut().unwrap()).lines();
    let mut lines: Vec<String> = lines.take(count).map(Result::unwrap).collect();
    lines.sort_unstable();
    let pids = lines.iter().map(|line| Pid::from_raw(line.rsplit(' ').next().unwrap().parse().unwrap()));
    (child, pids.collect())
}

/// Gone, or dead and only waiting for whoever inherited it to notice.
fn is_gone(pid: Pid) -> bool {
    let dead = |status: String| status.lines().any(|line| line.starts_with("State:\tZ"));
    kill(pid, None) == Err(Errno::ESRCH) || std::fs::read_to_string(format!("/proc/{pid}/status")).map_or(true, dead)
}

fn expect_gone(pids: &[Pid]) {
    let deadline = Instant::now() + HANG;
    while !pids.iter().all(|pid| is_gone(*pid)) {
        assert!(Instant::now() < deadline, "some of {pids:?} remain");
        thread::yield_now();
    }
}

/// A script that prints its own number and that of a child, and would go on for ever.
const LINGERER: &str = "sleep 1000 & echo $!; echo $$; wait";

#[test]
fn lines_carry_the_rank_of_their_node_on_both_streams() {
    let output = run(shell(3, "echo one $DSM_RANK of $DSM_SIZE; echo two >&2"));
    assert_eq!(sorted(&stdout(&output)), ["[0] one 0 of 3", "[1] one 1 of 3", "[2] one 2 of 3"]);
    assert_eq!(sorted(&stderr(&output)), ["[0] two", "[1] two", "[2] two"]);
    assert_eq!(output.status.code(), Some(0));
}

#[test]
fn labels_can_be_left_out() {
    let mut command = dsm_node();
    command.args(["run", "-n", "1", "--no-labels", "echo", "plain", "--loss"]);
    assert_eq!(stdout(&run(command)), "plain --loss\n");
}

#[test]
fn a_last_line_without_a_newline_is_printed_and_closed() {
    assert_eq!(sorted(&stdout(&run(shell(2, "printf half")))), ["[0] half", "[1] half"]);
}

#[test]
fn megabytes_of_output_arrive_whole_and_in_order() {
    let output = run(shell(
        2,
        "i=0; while [ $i -lt 20 ]; do head -c 100000 /dev/zero | tr '\\0' a; echo; i=$((i+1)); done; seq 30000",
    ));
    let text = stdout(&output);
    for label in ["[0] ", "[1] "] {
        let lines: Vec<&str> = text.lines().filter_map(|line| line.strip_prefix(label)).collect();
        let (long, numbers): (Vec<&str>, Vec<&str>) = lines.into_iter().partition(|line| line.starts_with('a'));
        assert_eq!(long.iter().map(|line| line.len()).sum::<usize>(), 20 * 100_000);
        assert_eq!(numbers, (1..=30_000).map(|number| number.to_string()).collect::<Vec<_>>());
    }
}

#[test]
fn the_exit_status_is_the_worst_of_the_nodes() {
    let output = run(shell(3, "exit $((DSM_RANK * 20))"));
    assert_eq!(output.status.code(), Some(40));
    assert!(stderr(&output).contains("dsm-node: node 2 (pid "), "{}", stderr(&output));
    assert!(stderr(&output).contains("exited with status 40"), "{}", stderr(&output));
}

#[test]
fn a_node_that_a_signal_killed_counts_as_128_and_the_signal() {
    let output = run(shell(2, "[ $DSM_RANK = 1 ] && kill -9 $$; exit 3"));
    assert_eq!(output.status.code(), Some(128 + 9));
    assert!(stderr(&output).contains("was killed by SIGKILL"), "{}", stderr(&output));
}

#[test]
fn what_a_node_printed_before_it_was_killed_is_not_lost() {
    let output = run(shell(2, "seq 20000; printf half; [ $DSM_RANK = 1 ] && kill -9 $$; exit 0"));
    let (text, mut expected): (_, Vec<String>) = (stdout(&output), (1..=20_000).map(|line| line.to_string()).collect());
    expected.push("half".to_string());
    for label in ["[0] ", "[1] "] {
        let lines: Vec<&str> = text.lines().filter_map(|line| line.strip_prefix(label)).collect();
        assert_eq!(lines, expected);
    }
    assert_eq!(output.status.code(), Some(128 + 9));
}

#[test]
fn when_a_node_fails_the_rest_is_ended_stopped_ones_too() {
    let _turn = one_at_a_time();
    let script = format!("[ $DSM_RANK = 0 ] && {{ echo $$; read line; exit 3; }}; trap '' TERM; {LINGERER}");
    let mut command = shell(2, &script);
    command.stdin(Stdio::piped());
    let (mut launcher, pids) = start(command, 3);
    pids.iter().skip(1).for_each(|pid| kill(*pid, Signal::SIGSTOP).unwrap());
    launcher.stdin.take().unwrap().write_all(b"go\n").unwrap();
    let output = launcher.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(3), "{}", stderr(&output));
    expect_gone(&pids);
}

#[test]
fn what_a_node_leaves_behind_is_ended_with_it() {
    let _turn = one_at_a_time();
    let (launcher, pids) = start(shell(2, "sleep 1000 & echo $!; exit 0"), 2);
    assert_eq!(launcher.wait_with_output().unwrap().status.code(), Some(0));
    expect_gone(&pids);
}

#[test]
fn a_signal_to_the_launcher_ends_the_job_and_is_its_status() {
    for signal in [Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP] {
        if is_ignored(signal) {
            eprintln!("skipped: {signal} is ignored here, as under nohup or in a shell's background");
            continue;
        }
        let _turn = one_at_a_time();
        let (launcher, pids) = start(shell(2, LINGERER), 4);
        kill(Pid::from_raw(launcher.id() as i32), signal).unwrap();
        let output = launcher.wait_with_output().unwrap();
        assert_eq!(output.status.code(), Some(128 + signal as i32), "{}", stderr(&output));
        expect_gone(&pids);
    }
}

#[test]
fn nodes_that_ignore_the_signal_are_killed() {
    let _turn = one_at_a_time();
    let (launcher, pids) = start(shell(1, "trap '' TERM; sleep 1000 & echo $!; echo $$; while :; do wait; done"), 2);
    kill(Pid::from_raw(launcher.id() as i32), Signal::SIGTERM).unwrap();
    assert_eq!(launcher.wait_with_output().unwrap().status.code(), Some(128 + 15));
    expect_gone(&pids);
}

#[test]
fn nodes_end_when_their_launcher_is_killed() {
    let _turn = one_at_a_time();
    let (mut launcher, pids) = start(shell(2, "echo $$; exec sleep 1000"), 2);
    launcher.kill().unwrap();
    launcher.wait().unwrap();
    expect_gone(&pids);
}

#[test]
fn a_reader_that_goes_away_ends_the_job_quietly() {
    let _turn = one_at_a_time();
    let mut launcher = shell(2, "echo $$; exec yes").spawn().unwrap();
    let mut start = [0; 4096];
    launcher.stdout.take().unwrap().read_exact(&mut start).unwrap();
    let output = launcher.wait_with_output().unwrap();
    assert_eq!((output.status.code(), stderr(&output).as_str()), (Some(128 + 13), ""));
}

#[test]
fn output_that_cannot_be_written_is_an_error() {
    let _turn = one_at_a_time();
    let mut command = shell(1, "exec yes");
    let output = command.stdout(File::create("/dev/full").unwrap()).output().unwrap();
    assert_eq!(output.status.code(), Some(74));
    assert!(stderr(&output).contains("cannot write the nodes' output"), "{}", stderr(&output));
}

#[test]
fn only_node_0_reads_the_input() {
    let _turn = one_at_a_time();
    let mut launcher = shell(2, "cat").stdin(Stdio::piped()).spawn().unwrap();
    launcher.stdin.take().unwrap().write_all(b"line\n").unwrap();
    assert_eq!(stdout(&launcher.wait_with_output().unwrap()), "[0] line\n");
}

#[test]
fn mistakes_are_told_with_their_remedy_and_nothing_starts() {
    let cases: [(&[&str], i32, &str); 15] = [
        (&["run", "-n", "0", "true"], 2, "give a number from 1 to 64"),
        (&["run", "-n", "65", "true"], 2, "give a number from 1 to 64"),
        (&["run", "-n", "two", "true"], 2, "two"),
        (&["run", "-n", "2", "--"], 2, "give the program after --"),
        (&["run", "-n", "2", "--loss", "120%", "true"], 2, "120%"),
        (&["run", "-n", "2", "--delay", "2", "true"], 2, "such as 2ms"),
        (&["run", "-n", "2", "--region", "64GB", "true"], 2, "such as 64GiB"),
        (&["run", "-n", "2", "--region", "5", "true"], 2, "4096 bytes"),
        (&["run", "-n", "2", "--consistency", "release", "true"], 2, "not offered yet"),
        (&["run", "-n", "2", "--bind", "127.0.0.1:65535", "true"], 2, "above 65535"),
        (&["run", "-n", "2", "--bind", "0.0.0.0:0", "true"], 2, "address of one interface"),
        (&["run", "-n", "2", "no-such-program"], 127, "PATH"),
        (&["run", "-n", "2", "./no/such/file"], 127, "no such file"),
        (&["run", "-n", "2", "/"], 126, "directory"),
        (&["run", "-n", "2", "/proc/self/status"], 126, "chmod +x"),
    ];
    for (args, status, words) in cases {
        let mut command = dsm_node();
        command.args(args);
        let output = run(command);
        assert_eq!(output.status.code(), Some(status), "{args:?}: {}", stderr(&output));
        assert!(stderr(&output).contains(words), "{args:?}: {}", stderr(&output));
        assert!(output.stdout.is_empty());
    }
}

#[test]
fn a_port_in_use_is_told_before_anything_starts() {
    let taken = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    let addr = taken.local_addr().unwrap().to_string();
    for option in ["--bind", "--listen"] {
        let mut command = dsm_node();
        command.args(["run", "-n", "1", option, &addr, "echo", "started"]);
        let output = run(command);
        assert_eq!(output.status.code(), Some(1));
        assert!(stderr(&output).contains(&addr) && stderr(&output).contains(option), "{}", stderr(&output));
        assert!(output.stdout.is_empty());
    }
}
