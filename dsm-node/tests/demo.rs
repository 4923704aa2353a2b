//! The demo as a person sees it: the program alone in a folder, run to its end or broken off.

mod ignored;
#[path = "../../dsm-core/tests/turn/mod.rs"]
mod turn;

use std::fs;
use std::io::{BufRead, BufReader};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use examples::ladder::Rung;
use examples::tsp::instances::Published;
use ignored::is_ignored;
use nix::sys::signal::{Signal, kill, killpg};
use nix::unistd::{Pid, geteuid};
use turn::one_at_a_time;

/// Nothing here takes this long unless it hangs.
const HANG: Duration = Duration::from_secs(60);

/// A user and a group without privileges.
const NOBODY: u32 = 65_534;

/// The program, copied alone into a folder of its own: what it runs can be found by its file.
struct Alone {
    folder: PathBuf,
    program: PathBuf,
}

impl Alone {
    fn new(name: &str) -> Alone {
        Alone::within(Path::new(env!("CARGO_TARGET_TMPDIR")), name)
    }

    fn within(base: &Path, name: &str) -> Alone {
        let folder = base.join(format!("dsm-demo-{name}-{}", std::process::id()));
        let _ = fs::remove_dir_all(&folder);
        fs::create_dir(&folder).unwrap();
        let program = folder.join("node");
        fs::copy(env!("CARGO_BIN_EXE_dsm-node"), &program).unwrap();
        Alone { folder, program }
    }

    /// The demo, started in the folder as the leader of a process group.
    fn demo(&self, samples: u32) -> Command {
        let mut command = Command::new(&self.program);
        command.args(["demo", "--samples", &samples.to_string()]).current_dir(&self.folder).process_group(0);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    /// The processes that run the program.
    fn processes(&self) -> Vec<Pid> {
        let numbers = fs::read_dir("/proc").unwrap().filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok());
        let runs = |pid: &i32| fs::read_link(format!("/proc/{pid}/exe")).is_ok_and(|file| file == self.program);
        numbers.filter(runs).map(Pid::from_raw).collect()
    }

    /// Waits until so many processes run the program, or fewer where `at_most`.
    fn wait_for(&self, count: usize, at_most: bool) {
        let start = Instant::now();
        while !(if at_most { self.processes().len() <= count } else { self.processes().len() >= count }) {
            assert!(start.elapsed() < HANG, "{:?} run", self.processes());
            thread::yield_now();
        }
    }
}

impl Drop for Alone {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.folder);
    }
}

#[test]
fn the_program_alone_in_a_folder_shows_everything() {
    let _turn = one_at_a_time();
    let alone = Alone::new("whole");
    let output = alone.demo(20).env_clear().output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{text}\n{}", String::from_utf8_lossy(&output.stderr));
    let environment = ["kernel", "userfaultfd", "page size    4096 bytes", "cores"];
    let rungs = Rung::ALL.map(Rung::words);
    let lesson = ["shared memory", "RPC", "messages", "bytes", "time", "What was learned", "Next"];
    for words in environment.into_iter().chain(rungs).chain(lesson) {
        assert!(text.contains(words), "no {words:?} in\n{text}");
    }
    for published in Published::ALL {
        let rows: Vec<Vec<&str>> = text
            .lines()
            .map(|line| line.split_whitespace().collect::<Vec<_>>())
            .filter(|row| row.first() == Some(&published.name))
            .collect();
        let optimum = published.optimum.to_string();
        assert_eq!(rows.len(), 2, "{text}");
        assert!(rows.iter().all(|row| row.iter().filter(|word| **word == optimum).count() == 2), "{text}");
    }
    assert_eq!(alone.processes(), []);
    assert_eq!(fs::read_dir(&alone.folder).unwrap().count(), 1);
}

#[test]
fn the_demo_runs_for_an_ordinary_user_too() {
    if !geteuid().is_root() {
        eprintln!("skipped: this is not root, so every other test has shown it");
        return;
    }
    let _turn = one_at_a_time();
    // Where any user may look; the build directory may be root's alone.
    let alone = Alone::within(&std::env::temp_dir(), "ordinary");
    let output = alone.demo(20).uid(NOBODY).gid(NOBODY).output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{text}\n{}", String::from_utf8_lossy(&output.stderr));
    assert!(text.contains("What was learned"), "{text}");
    alone.wait_for(0, true);
}

/// Starts the demo, breaks it off once its nodes run, and checks that none remains; answers how it ended.
fn broken_off(name: &str, how: impl FnOnce(&Child)) -> std::process::ExitStatus {
    let _turn = one_at_a_time();
    let alone = Alone::new(name);
    // Long enough to be broken off.
    let mut demo = alone.demo(100_000).spawn().unwrap();
    let first = BufReader::new(demo.stdout.as_mut().unwrap()).lines().next().unwrap().unwrap();
    assert!(first.contains("Three processes"), "{first}");
    alone.wait_for(4, false);
    how(&demo);
    let status = demo.wait_with_output().unwrap().status;
    alone.wait_for(0, true);
    status
}

fn pid(demo: &Child) -> Pid {
    Pid::from_raw(demo.id() as i32)
}

#[test]
fn an_interrupted_demo_leaves_no_process_behind() {
    if is_ignored(Signal::SIGINT) {
        eprintln!("skipped: SIGINT is ignored here, as under nohup or in a shell's background");
        return;
    }
    // As Ctrl-C does it, and as `kill` does.
    for to_group in [true, false] {
        let status = broken_off("interrupted", |demo| {
            let sent = if to_group { killpg(pid(demo), Signal::SIGINT) } else { kill(pid(demo), Signal::SIGINT) };
            sent.unwrap();
        });
        assert_eq!(status.code(), Some(128 + Signal::SIGINT as i32), "to the group: {to_group}");
    }
}

#[test]
fn a_killed_demo_leaves_no_process_behind() {
    let status = broken_off("killed", |demo| kill(pid(demo), Signal::SIGKILL).unwrap());
    assert_eq!(status.signal(), Some(Signal::SIGKILL as i32));
}

#[test]
fn a_demo_whose_reader_goes_away_ends() {
    let _turn = one_at_a_time();
    let alone = Alone::new("unread");
    let mut demo = alone.demo(20).spawn().unwrap();
    drop(demo.stdout.take());
    assert_eq!(demo.wait_with_output().unwrap().status.code(), Some(141));
    alone.wait_for(0, true);
}
