//! Names and calls from the shell, as a person types them.

use std::io::{BufRead, BufReader, Write};
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use examples::bank::{Bank, BankServer, Branch, Refused};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use rpc::driver::DriverConfig;
use rpc::names::RegistrationState;
use rpc::{Key, Server, ServerHandle};

/// Nothing here takes this long unless it hangs.
const HANG: Duration = Duration::from_secs(60);

fn program(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_dsm-node"));
    command.args(args).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// `dsm-node names`, in a process that is killed at the latest when this is dropped.
struct Names {
    child: Child,
    addr: SocketAddr,
}

impl Names {
    fn start(listen: &str) -> Names {
        Names::start_with(&["--listen", listen, "--plain"])
    }

    fn start_with(args: &[&str]) -> Names {
        let mut child = program(&[&["names"], args].concat()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let addr = line.trim().strip_prefix("name server at ").unwrap_or_else(|| panic!("{line}")).parse().unwrap();
        Names { child, addr }
    }

    /// Runs a command that asks this name server, which has no key; gives its status, its output and its complaints.
    fn run(&self, args: &[&str]) -> (i32, String, String) {
        self.run_guarded(&[args, &["--plain"]].concat())
    }

    /// The same, where the command says itself who may take part.
    fn run_guarded(&self, args: &[&str]) -> (i32, String, String) {
        let binder = self.addr.to_string();
        ended(program(&[args, &["--binder", &binder]].concat()).output().unwrap())
    }
}

impl Drop for Names {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A file, and what is made beside it, that is gone in the end.
struct Kept(PathBuf);

impl Kept {
    fn new(name: &str) -> Kept {
        Kept(std::env::temp_dir().join(format!("dsm-naming-{}-{name}", std::process::id())))
    }

    fn path(&self) -> &str {
        self.0.to_str().unwrap()
    }
}

impl Drop for Kept {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
        let _ = std::fs::remove_file(format!("{}.pcapng", self.path()));
    }
}

#[test]
fn a_new_key_lets_those_in_who_have_it_and_nobody_else() {
    let (key, other) = (Kept::new("key"), Kept::new("other-key"));
    for file in [&key, &other] {
        assert_eq!(ended(program(&["key", file.path()]).output().unwrap()), (0, String::new(), String::new()));
    }
    let (status, _, words) = ended(program(&["key", key.path()]).output().unwrap());
    assert!(status == 1 && words.contains("cannot make the key file"), "{words}");

    let names = Names::start_with(&["--listen", "127.0.0.1:0", "--key-file", key.path()]);
    let config = DriverConfig::new(Key::from_file(&key.0).unwrap());
    let server = bank_with(names.addr, config);
    let target = format!("{}/Bank.deposit", server.local_addr());
    for target in ["bank.deposit", &target] {
        let guarded =
            |guard: &[&str]| names.run_guarded(&[&["call", target, r#"["ada", 5]"#, "--timeout", "2"], guard].concat());
        let (status, result, words) = guarded(&["--key-file", key.path()]);
        assert!(status == 0 && ["5\n", "10\n"].contains(&result.as_str()), "{result}{words}");
        let (status, _, words) = guarded(&["--key-file", other.path()]);
        assert!(status == 1 && words.contains("key"), "{words}");
        let (status, _, words) = guarded(&["--plain"]);
        assert!(status == 1 && words.contains("guards its data with a key"), "{words}");
    }
    std::fs::set_permissions(&key.0, std::fs::Permissions::from_mode(0o644)).unwrap();
    let (status, _, words) = names.run_guarded(&["services", "--key-file", key.path()]);
    assert!(status == 2 && words.contains("chmod 600"), "{words}");
}

#[test]
fn who_says_nothing_of_a_key_is_told_what_to_do() {
    for command in [&["names", "--listen", "127.0.0.1:0"][..], &["services"], &["call", "bank.notes"]] {
        let (status, _, words) = ended(program(command).output().unwrap());
        assert!(status == 2 && words.contains("`dsm-node key FILE` makes one"), "{command:?}: {words}");
        assert!(words.contains("`--plain` goes without"), "{command:?}: {words}");
    }
}

#[test]
fn a_call_shows_its_datagrams_and_those_to_the_name_server() {
    let names = Names::start("127.0.0.1:0");
    let _server = bank(names.addr);
    let trace = Kept::new("trace");
    let (status, result, words) = names.run(&["call", "bank.deposit", r#"["ada", 5]"#, "--trace", trace.path()]);
    assert_eq!((status, result.as_str()), (0, "5\n"), "{words}");
    let ladder = std::fs::read_to_string(&trace.0).unwrap();
    for word in ["REQUEST", "REPLY", &names.addr.to_string()] {
        assert!(ladder.contains(word), "no {word} in\n{ladder}");
    }
    assert!(std::fs::metadata(format!("{}.pcapng", trace.path())).unwrap().len() > 0);
    let nowhere = format!("{}/nowhere", trace.path());
    let (status, _, words) = names.run(&["call", "bank.deposit", r#"["ada", 5]"#, "--trace", &nowhere]);
    assert!(status == 1 && words.contains("cannot write the trace"), "{words}");
}

fn ended(output: Output) -> (i32, String, String) {
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    (output.status.code().unwrap(), text(output.stdout), text(output.stderr))
}

#[track_caller]
fn until(what: &str, so: impl Fn() -> bool) {
    let start = Instant::now();
    while !so() {
        assert!(start.elapsed() < HANG, "never happened: {what}");
        std::thread::yield_now();
    }
}

/// A branch of the bank, registered as `bank`.
fn bank(names: SocketAddr) -> ServerHandle {
    bank_with(names, DriverConfig::plain())
}

fn bank_with(names: SocketAddr, config: DriverConfig) -> ServerHandle {
    let builder = Server::builder(config).bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let server = builder.serve(BankServer::new(Branch::default())).register(names, "bank").start().unwrap();
    until("it is registered", || server.registrations()[0].state == RegistrationState::Registered);
    server
}

#[test]
fn any_method_can_be_called_by_name_or_by_address() {
    let names = Names::start("127.0.0.1:0");
    let server = bank(names.addr);
    assert_eq!(names.run(&["call", "bank.deposit", r#"["ada", 5]"#]), (0, "5\n".to_owned(), String::new()));
    assert_eq!(names.run(&["call", "bank.deposit", r#"{"cents": 7, "account": "ada"}"#]).1, "12\n");
    let target = format!("{}/Bank.balance", server.local_addr());
    assert_eq!(ended(program(&["call", "--plain", &target, r#"["ada"]"#]).output().unwrap()).1, "12\n");
    assert_eq!(names.run(&["call", "bank.note", r#"["hello"]"#]), (0, "null\n".to_owned(), String::new()));
    assert_eq!(names.run(&["call", "bank.notes"]).1, "[\"hello\"]\n");
}

#[test]
fn arguments_are_read_from_the_standard_input_where_a_dash_stands_for_them() {
    let names = Names::start("127.0.0.1:0");
    let _server = bank(names.addr);
    let binder = names.addr.to_string();
    let mut command = program(&["call", "--plain", "bank.deposit", "-", "--binder", &binder]);
    let mut child = command.stdin(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(b"[\"ada\", 5]").unwrap();
    assert_eq!(ended(child.wait_with_output().unwrap()), (0, "5\n".to_owned(), String::new()));
}

#[test]
fn a_methods_own_error_has_a_status_of_its_own() {
    let names = Names::start("127.0.0.1:0");
    let _server = bank(names.addr);
    let (status, output, words) = names.run(&["call", "bank.withdraw", r#"["ada", 5]"#]);
    assert_eq!((status, output.as_str()), (3, ""));
    assert_eq!(words, "dsm-node: bank.withdraw: {\"Overdrawn\":{\"balance\":0}}\n");
}

#[test]
fn mistakes_are_told_with_what_would_be_right() {
    let names = Names::start("127.0.0.1:0");
    let server = bank(names.addr);
    let told = |args: &[&str]| {
        let (status, output, words) = names.run(args);
        assert_eq!((status, output.as_str()), (2, ""), "{words}");
        words
    };
    assert!(
        told(&["call", "bank.blance"])
            .contains("Bank has no method `blance`; it has\n    deposit(account: String, cents: u64)")
    );
    let words = told(&["call", "bank.deposit", r#"["ada", "five"]"#]);
    assert!(words.contains("`cents` should be u64: invalid type: string \"five\""), "{words}");
    assert!(words.contains("the method is deposit(account: String, cents: u64) -> Result<u64, Refused>"), "{words}");
    assert!(
        told(&["call", "bank.deposit", r#"["ada"]"#]).contains("1 given, wanted are 2: account: String, cents: u64")
    );
    assert!(told(&["call", "bank.deposit", "[ada, 5]"]).contains("this is not JSON"));
    assert!(told(&["call", "bnak.deposit"]).contains("no server has the name `bnak`; `dsm-node services` shows"));
    assert!(told(&["call", "deposit"]).contains("`deposit` is not NAME.method"));
    let target = format!("{}/Shop.sell", server.local_addr());
    assert!(told(&["call", &target]).contains("there is no service `Shop`; there is Bank"));
}

#[test]
fn servers_that_are_not_there_are_a_failure_of_a_call_that_did_not_run() {
    let names = Names::start("127.0.0.1:0");
    let gone = names.addr;
    drop(names);
    let binder = gone.to_string();
    let (status, _, words) = ended(program(&["call", "--plain", "bank.notes", "--binder", &binder]).output().unwrap());
    assert_eq!(status, 1, "{words}");
    assert!(
        words.contains(&format!("the name server at {gone}: ")) && words.contains("`dsm-node names` starts one"),
        "{words}"
    );
    let target = format!("{gone}/Bank.notes");
    let (status, _, words) = ended(program(&["call", "--plain", &target]).output().unwrap());
    assert_eq!(status, 1, "{words}");
    assert!(words.contains("the server was lost") && words.contains("did not run"), "{words}");
}

/// Never comes back.
struct Closed;

impl Bank for Closed {
    fn deposit(&self, _account: String, _cents: u64) -> Result<u64, Refused> {
        loop {
            std::thread::park();
        }
    }

    fn withdraw(&self, _account: String, _cents: u64) -> Result<u64, Refused> {
        panic!("the vault is jammed");
    }

    fn balance(&self, _account: String) -> u64 {
        0
    }

    fn note(&self, _line: String) {}

    fn notes(&self) -> Vec<String> {
        Vec::new()
    }
}

#[test]
fn a_call_that_may_have_run_has_a_status_of_its_own() {
    let builder = Server::builder(DriverConfig::plain()).bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let server = builder.serve(BankServer::new(Closed)).start().unwrap();
    let call = |method: &str| {
        let target = format!("{}/Bank.{method}", server.local_addr());
        ended(program(&["call", "--plain", &target, r#"["ada", 5]"#, "--timeout", "1"]).output().unwrap())
    };
    let (status, _, words) = call("deposit");
    assert_eq!(status, 4, "{words}");
    assert!(words.contains("no reply within 1s (the call may have run)"), "{words}");
    let (status, _, words) = call("withdraw");
    assert_eq!(status, 4, "{words}");
    assert!(words.contains("panicked: the vault is jammed"), "{words}");
    // Its handler never returns, so neither would the server's end.
    std::mem::forget(server);
}

#[test]
fn services_lists_names_servers_versions_and_methods() {
    let names = Names::start("127.0.0.1:0");
    assert_eq!(names.run(&["services"]), (0, format!("no names at {}\n", names.addr), String::new()));
    let servers = [bank(names.addr), bank(names.addr)];
    let (status, text, _) = names.run(&["services"]);
    assert_eq!(status, 0);
    assert!(text.starts_with("bank\n"), "{text}");
    for server in &servers {
        assert!(text.contains(&format!("    {}  Bank version 1, schema ", server.local_addr())), "{text}");
    }
    let method = "        balance(account: String) -> u64  [idempotent]\n            What is in an account.\n";
    assert_eq!(text.matches(method).count(), 1, "{text}");
    let addr = servers[0].local_addr().to_string();
    let (status, text, _) = ended(program(&["services", "--plain", &addr]).output().unwrap());
    assert_eq!(status, 0);
    assert!(text.starts_with(&format!("{addr}/Bank  version 1, schema ")) && text.contains(method), "{text}");
}

#[test]
fn a_name_server_ends_in_good_order_and_servers_find_its_successor() {
    let mut names = Names::start("127.0.0.1:0");
    let _server = bank(names.addr);
    kill(Pid::from_raw(names.child.id() as i32), Signal::SIGTERM).unwrap();
    assert!(names.child.wait().unwrap().success());
    let names = Names::start(&names.addr.to_string());
    until("the bank is there again", || names.run(&["call", "bank.notes"]).0 == 0);
}
