//! The bank as a person uses it: branches as processes, found by name or by address.

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{Child, ChildStdout, Command, Output, Stdio};

use rpc::driver::DriverConfig;
use rpc::names::{BinderClient, BinderServer, Limits, NameServer};
use rpc::{Client, ClientConfig, Key, Server, ServerHandle};

fn bank(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_bank"));
    command.args(args).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// A branch in a process that is killed at the latest when this is dropped.
struct Branch {
    child: Child,
    addr: String,
    /// Open for as long as the branch writes to it.
    _stdout: BufReader<ChildStdout>,
}

impl Branch {
    fn open(args: &[&str]) -> Branch {
        let mut child = bank(&[&["serve"], args].concat()).spawn().unwrap();
        let mut stdout = BufReader::new(child.stdout.take().unwrap());
        let mut line = String::new();
        stdout.read_line(&mut line).unwrap();
        let addr = line.trim().strip_prefix("serving at ").unwrap_or_else(|| panic!("{line}")).to_owned();
        Branch { child, addr, _stdout: stdout }
    }
}

impl Drop for Branch {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A key in a file of its own for each test. It goes with the test.
struct KeyFile(PathBuf);

impl KeyFile {
    fn new(name: &str, key: &Key) -> KeyFile {
        let path = std::env::temp_dir().join(format!("bank-{}-{name}", std::process::id()));
        key.to_new_file(&path).unwrap();
        KeyFile(path)
    }

    fn option(&self) -> [&str; 2] {
        ["--key-file", self.0.to_str().unwrap()]
    }
}

impl Drop for KeyFile {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

/// A name server in this process.
fn names(config: DriverConfig) -> ServerHandle {
    Server::builder(config)
        .bind("127.0.0.1:0".parse().unwrap())
        .unwrap()
        .serve(BinderServer::new(NameServer::new(Limits::default())))
        .start()
        .unwrap()
}

fn text(output: Output) -> (bool, String) {
    let words = [output.stdout, output.stderr].concat();
    (output.status.success(), String::from_utf8(words).unwrap())
}

#[test]
fn numbers_in_the_order_of_the_machine_are_understood_by_a_machine_like_it_alone() {
    let orders = |server: &str, client: &str| {
        let branch = Branch::open(&["--plain", "--byte-order", server]);
        let to = ["--plain", "--server", &branch.addr, "--byte-order", client];
        text(bank(&[&["deposit", "ada", "1"], &to[..]].concat()).output().unwrap())
    };
    assert_eq!(orders("network", "network"), (true, "1 cents\n".to_owned()));
    assert_eq!(orders("native", "native"), (true, "1 cents\n".to_owned()));
    let (fine, words) = orders("foreign", "native");
    assert!(!fine && words.contains("could not read the arguments") && words.contains("did not run"), "{words}");
}

#[test]
fn a_branch_that_is_killed_is_replaced_by_another_of_the_name() {
    let names = names(DriverConfig::plain());
    let binder_addr: SocketAddr = names.local_addr();
    let binder = binder_addr.to_string();
    let branches = [(); 2].map(|()| Branch::open(&["--plain", "--register", &binder]));
    let list = BinderClient::new(Client::connect(binder_addr, ClientConfig::plain()).unwrap());
    while list.list().unwrap().len() < branches.len() {
        std::thread::yield_now();
    }
    let deposit = || text(bank(&["deposit", "ada", "1", "--plain", "--binder", &binder]).output().unwrap());
    assert!(deposit().0);
    let [first, second] = branches;
    drop(first);
    // Its lease has not ended: half of the calls try it, and go on.
    for _ in 0..4 {
        let (fine, words) = deposit();
        assert!(fine, "{words}");
    }
    let (_, words) = text(bank(&["balance", "ada", "--plain", "--server", &second.addr]).output().unwrap());
    assert!(["4 cents\n", "5 cents\n"].contains(&words.as_str()), "{words}");
}

#[test]
fn with_a_key_a_branch_registers_and_serves_who_has_the_same_one() {
    let (key, other) = (Key::random().unwrap(), Key::random().unwrap());
    let names = names(DriverConfig::new(key.clone()));
    let binder = names.local_addr().to_string();
    let (file, strangers) = (KeyFile::new("shared", &key), KeyFile::new("strange", &other));
    let branch = Branch::open(&[&["--register", &binder], &file.option()[..]].concat());
    let list = BinderClient::new(Client::connect(names.local_addr(), ClientConfig::new(key)).unwrap());
    while list.list().unwrap().is_empty() {
        std::thread::yield_now();
    }
    let deposit = |to: [&str; 2], guard: &[&str]| {
        text(bank(&[&["deposit", "ada", "1"], &to[..], guard].concat()).output().unwrap())
    };
    let ways = [["--binder", &binder], ["--server", &branch.addr]];
    for (before, to) in ways.into_iter().enumerate() {
        assert_eq!(deposit(to, &file.option()), (true, format!("{} cents\n", before + 1)));
        let (fine, words) = deposit(to, &strangers.option());
        assert!(!fine && words.contains("has another key, most likely: give both sides the same one"), "{words}");
        let (fine, words) = deposit(to, &["--plain"]);
        assert!(!fine && words.contains("guards its data with a key"), "{words}");
    }
}

#[test]
fn whoever_names_neither_a_key_nor_plain_is_told_what_to_do() {
    let commands: [&[&str]; 3] = [&["serve"], &["deposit", "ada", "1"], &["balance", "ada"]];
    for command in commands {
        let (fine, words) = text(bank(command).output().unwrap());
        assert!(!fine && words.starts_with("bank: no key: `dsm-node key FILE` makes one"), "{words}");
        assert!(words.contains("`--plain` goes without"), "{words}");
    }
    let (fine, words) = text(bank(&["serve", "--key-file", "/nowhere/at/all"]).output().unwrap());
    assert!(!fine && words.contains("there is no key file /nowhere/at/all: `dsm-node key` makes one"), "{words}");
}
