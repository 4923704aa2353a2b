//! The bank as a person uses it: branches as processes, found by name or by address.

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::process::{Child, ChildStdout, Command, Output, Stdio};

use rpc::Server;
use rpc::driver::DriverConfig;
use rpc::names::{BinderClient, BinderServer, Limits, NameServer};
use rpc::{Client, ClientConfig};

fn bank(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_bank"));
    command.args(args).arg("--plain").stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
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

fn text(output: Output) -> (bool, String) {
    let words = [output.stdout, output.stderr].concat();
    (output.status.success(), String::from_utf8(words).unwrap())
}

#[test]
fn numbers_in_the_order_of_the_machine_are_understood_by_a_machine_like_it_alone() {
    let orders = |server: &str, client: &str| {
        let branch = Branch::open(&["--byte-order", server]);
        text(bank(&["deposit", "ada", "1", "--server", &branch.addr, "--byte-order", client]).output().unwrap())
    };
    assert_eq!(orders("network", "network"), (true, "1 cents\n".to_owned()));
    assert_eq!(orders("native", "native"), (true, "1 cents\n".to_owned()));
    let (fine, words) = orders("foreign", "native");
    assert!(!fine && words.contains("could not read the arguments") && words.contains("did not run"), "{words}");
}

#[test]
fn a_branch_that_is_killed_is_replaced_by_another_of_the_name() {
    let names = Server::builder(DriverConfig::plain())
        .bind("127.0.0.1:0".parse().unwrap())
        .unwrap()
        .serve(BinderServer::new(NameServer::new(Limits::default())))
        .start()
        .unwrap();
    let binder_addr: SocketAddr = names.local_addr();
    let binder = binder_addr.to_string();
    let branches = [Branch::open(&["--register", &binder]), Branch::open(&["--register", &binder])];
    let list = BinderClient::new(Client::connect(binder_addr, ClientConfig::plain()).unwrap());
    while list.list().unwrap().len() < branches.len() {
        std::thread::yield_now();
    }
    let deposit = || text(bank(&["deposit", "ada", "1", "--binder", &binder]).output().unwrap());
    assert!(deposit().0);
    let [first, second] = branches;
    drop(first);
    // Its lease has not ended: half of the calls try it, and go on.
    for _ in 0..4 {
        let (fine, words) = deposit();
        assert!(fine, "{words}");
    }
    let (_, words) = text(bank(&["balance", "ada", "--server", &second.addr]).output().unwrap());
    assert!(["4 cents\n", "5 cents\n"].contains(&words.as_str()), "{words}");
}
