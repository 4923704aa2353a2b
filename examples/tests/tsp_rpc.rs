//! The travelling salesman over RPC: same answers, and what comes from the network is not believed.

use std::net::SocketAddr;
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use examples::tsp::instances::Published;
use examples::tsp::over_rpc::{Finished, TspQueueClient, TspServer, work};
use examples::tsp::{ASCENT_ROUNDS, Problem};
use rpc::driver::DriverConfig;
use rpc::{Client, ClientConfig, Failure, Key};

const PROGRAM: &str = env!("CARGO_BIN_EXE_tsp_rpc");
const HANG: Duration = Duration::from_secs(120);

fn key() -> Key {
    Key::from_bytes([5; 32])
}

fn server(name: &str) -> (Published, TspServer) {
    let published = Published::named(name).unwrap();
    let problem = Problem::new(published.instance(), ASCENT_ROUNDS);
    let any = SocketAddr::from(([127, 0, 0, 1], 0));
    (
        published,
        TspServer::start(any, &problem, published.text, ASCENT_ROUNDS as u32, 2, DriverConfig::new(key())).unwrap(),
    )
}

fn client(server: &TspServer) -> TspQueueClient {
    TspQueueClient::new(Client::connect(server.local_addr(), ClientConfig::new(key())).unwrap())
}

fn run(args: &[&str]) -> Output {
    Command::new(PROGRAM).args(args).stdin(Stdio::null()).output().unwrap()
}

#[test]
fn server_and_worker_processes_find_every_published_optimum() {
    for (workers, published) in Published::ALL.into_iter().enumerate() {
        let workers = (workers + 1).to_string();
        let output = run(&["--workers", &workers, "--instance", published.name]);
        let text = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        assert!(text.contains(&format!("optimum   {}, as published", published.optimum)), "{text}");
    }
}

#[test]
fn a_task_whose_worker_never_comes_back_is_done_by_another() {
    let (published, server) = server("gr17");
    let deserter = client(&server);
    deserter.problem().unwrap();
    assert!(deserter.next(None).unwrap().is_some());
    drop(deserter);
    work(server.local_addr(), DriverConfig::new(key())).unwrap();
    let report = server.wait(HANG).unwrap();
    assert_eq!(report.length, published.optimum);
    let (done, all) = server.progress();
    assert_eq!((done, report.tasks), (all, all));
    server.dismiss(Duration::ZERO);
}

#[test]
fn tours_that_are_none_and_tasks_that_were_never_given_are_not_believed() {
    let (published, server) = server("burma14");
    let liar = client(&server);
    assert!(matches!(liar.improve(vec![0; 14]), Err(Failure::Application(_))));
    assert!(matches!(liar.improve(vec![255; 100_000]), Err(Failure::Application(_))));
    // As long as it is claimed to be or not, a real tour counts by its own length.
    let honest = liar.improve((0..14).collect()).unwrap();
    assert!(honest >= published.optimum);
    for id in [u32::MAX, 100_000] {
        liar.next(Some(Finished { id, expanded: u64::MAX })).unwrap();
    }
    assert_eq!(server.progress().0, 0);
    work(server.local_addr(), DriverConfig::new(key())).unwrap();
    assert_eq!(server.wait(HANG).unwrap().length, published.optimum);
}

#[test]
fn a_worker_without_a_server_ends_with_an_error() {
    // Bound and never served: nothing answers there, and nobody else can.
    let silent = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    let output = run(&["work", "--plain", "--server", &silent.local_addr().unwrap().to_string()]);
    assert!(!output.status.success());
    assert!(String::from_utf8_lossy(&output.stderr).starts_with("tsp_rpc: call to the server failed"));
}

#[test]
fn server_and_workers_by_hand_are_told_what_to_do_about_a_missing_key() {
    let commands: [&[&str]; 2] = [&["serve", "--listen", "127.0.0.1:0"], &["work", "--server", "127.0.0.1:9"]];
    for command in commands {
        let output = run(command);
        let words = String::from_utf8_lossy(&output.stderr);
        assert!(!output.status.success() && words.starts_with("tsp_rpc: no key: `dsm-node key FILE` makes"), "{words}");
        assert!(words.contains("`--plain` goes without"), "{words}");
    }
}

#[test]
fn a_worker_with_another_key_is_refused_and_one_with_the_same_does_the_work() {
    let (published, server) = server("burma14");
    let path = std::env::temp_dir().join(format!("tsp-rpc-key-{}", std::process::id()));
    let addr = server.local_addr().to_string();
    let work = |key: Key| {
        key.to_new_file(&path).unwrap();
        let output = run(&["work", "--key-file", path.to_str().unwrap(), "--server", &addr]);
        std::fs::remove_file(&path).unwrap();
        (output.status.success(), String::from_utf8_lossy(&output.stderr).into_owned())
    };
    let (fine, words) = work(Key::from_bytes([6; 32]));
    assert!(!fine && words.contains("has another key, most likely: give both sides the same one"), "{words}");
    assert_eq!(work(key()), (true, String::new()));
    assert_eq!(server.wait(HANG).unwrap().length, published.optimum);
}

#[test]
fn arguments_out_of_bounds_are_refused_with_the_bounds() {
    let refusals: [(&[&str], &str); 6] = [
        (&["--workers", "0"], "1..=64"),
        (&["--depth", "4"], "1..=3"),
        (&["--ascent", "100001"], "0..=100000"),
        (&["--instance", "world"], "burma14, gr17, bays29"),
        (&["--file", "/nonexistent.tsp"], "/nonexistent.tsp: No such file"),
        (&["--file", "/dev/zero"], "the file has 1048577 bytes"),
    ];
    for (args, words) in refusals {
        let output = run(args);
        let text = String::from_utf8_lossy(&output.stderr);
        assert!(!output.status.success() && text.contains(words), "{args:?}: {text}");
    }
}
