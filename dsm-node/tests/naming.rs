//! Names and calls from the shell, as a person types them.

use std::io::{BufRead, BufReader, Write};
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use examples::bank::{Bank, BankServer, Branch, Refused};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use rpc::driver::DriverConfig;
use rpc::names::RegistrationState;
use rpc::{Key, Security, Server, ServerHandle};

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
        Names::start_with(listen, &["--plain"])
    }

    fn start_with(listen: &str, guard: &[&str]) -> Names {
        let mut child = program(&[&["names", "--listen", listen], guard].concat()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let addr = line.trim().strip_prefix("name server at ").unwrap_or_else(|| panic!("{line}")).parse().unwrap();
        Names { child, addr }
    }

    /// Runs a command that asks this name server; gives its status, its output and its complaints.
    fn run(&self, args: &[&str]) -> (i32, String, String) {
        self.run_with(args, &["--plain"])
    }

    fn run_with(&self, args: &[&str], guard: &[&str]) -> (i32, String, String) {
        let binder = self.addr.to_string();
        ended(program(&[args, &["--binder", &binder], guard].concat()).output().unwrap())
    }
}

impl Drop for Names {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A folder of its own for each test, for keys and traces. It goes with the test.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Folder {
        let path = std::env::temp_dir().join(format!("dsm-node-naming-{}-{name}", std::process::id()));
        std::fs::create_dir(&path).unwrap();
        Folder(path)
    }

    fn file(&self, name: &str) -> String {
        self.0.join(name).to_str().unwrap().to_owned()
    }

    /// A fresh key, made by the program.
    fn key(&self, name: &str) -> String {
        let file = self.file(name);
        assert_eq!(ended(program(&["key", &file]).output().unwrap()), (0, String::new(), String::new()));
        file
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn security(key_file: &str) -> Security {
    Key::from_file(Path::new(key_file)).unwrap().into()
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
    assert_eq!(ended(program(&["call", &target, r#"["ada"]"#, "--plain"]).output().unwrap()).1, "12\n");
    assert_eq!(names.run(&["call", "bank.note", r#"["hello"]"#]), (0, "null\n".to_owned(), String::new()));
    assert_eq!(names.run(&["call", "bank.notes"]).1, "[\"hello\"]\n");
}

#[test]
fn a_key_is_made_for_its_owner_alone_and_never_replaced() {
    let folder = Folder::new("made");
    let file = folder.key("key");
    assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    let made = std::fs::read_to_string(&file).unwrap();
    let (status, output, words) = ended(program(&["key", &file]).output().unwrap());
    assert_eq!((status, output.as_str()), (1, ""));
    assert!(words.contains(&file) && words.contains("never replaced: name another file"), "{words}");
    assert!(!words.contains(made.trim()), "{words}");
    assert_eq!(std::fs::read_to_string(&file).unwrap(), made);
    assert_ne!(std::fs::read_to_string(folder.key("other")).unwrap(), made);
}

#[test]
fn who_has_the_key_finds_names_and_calls_them() {
    let folder = Folder::new("keyed");
    let key = folder.key("key");
    let guard = ["--key-file", key.as_str()];
    let names = Names::start_with("127.0.0.1:0", &guard);
    assert_eq!(names.run_with(&["services"], &guard), (0, format!("no names at {}\n", names.addr), String::new()));
    let server = bank_with(names.addr, DriverConfig::new(security(&key)));
    assert_eq!(names.run_with(&["call", "bank.deposit", r#"["ada", 5]"#], &guard), (0, "5\n".into(), String::new()));
    let target = format!("{}/Bank.balance", server.local_addr());
    assert_eq!(names.run_with(&["call", &target, r#"["ada"]"#], &guard).1, "5\n");
    let (status, text, words) = names.run_with(&["services"], &guard);
    assert!(status == 0 && text.starts_with("bank\n") && text.contains("balance(account: String)"), "{text}{words}");
}

#[test]
fn who_has_another_key_or_none_is_refused_and_told_so() {
    let folder = Folder::new("refused");
    let (key, other) = (folder.key("key"), folder.key("other"));
    let names = Names::start_with("127.0.0.1:0", &["--key-file", &key]);
    let server = bank_with(names.addr, DriverConfig::new(security(&key)));
    let target = format!("{}/Bank.balance", server.local_addr());
    let commands: [&[&str]; 3] =
        [&["services"], &["call", "bank.balance", r#"["ada"]"#], &["call", &target, r#"["ada"]"#]];
    for command in commands {
        let (status, output, words) = names.run_with(command, &["--key-file", &other]);
        assert_eq!((status, output.as_str()), (1, ""), "{words}");
        assert!(words.contains("has another key, most likely: give both sides the same one"), "{words}");
        assert!(words.contains("did not run") && !words.contains("starts one"), "{words}");
        let (status, output, words) = names.run_with(command, &["--plain"]);
        assert_eq!((status, output.as_str()), (1, ""), "{words}");
        assert!(words.contains("guards its data with a key") && !words.contains("starts one"), "{words}");
    }
    assert_eq!(server.counters().done, 0);
}

#[test]
fn whoever_names_neither_a_key_nor_plain_is_told_what_to_do() {
    let folder = Folder::new("neither");
    let commands: [&[&str]; 3] = [&["names", "--listen", "127.0.0.1:0"], &["services"], &["call", "bank.notes"]];
    for command in commands {
        let told = |guard: &[&str]| {
            let (status, output, words) = ended(program(&[command, guard].concat()).output().unwrap());
            assert_eq!((status, output.as_str()), (2, ""), "{words}");
            words
        };
        let words = told(&[]);
        assert!(words.contains("no key: `dsm-node key FILE` makes one") && words.contains("`--plain`"), "{words}");
        let missing = folder.file("missing");
        let words = told(&["--key-file", &missing]);
        assert!(words.contains(&format!("there is no key file {missing}: `dsm-node key` makes one")), "{words}");
        assert!(told(&["--key-file", &missing, "--plain"]).contains("cannot be used with"));
    }
}

#[test]
fn a_key_file_that_others_can_read_is_refused_with_a_remedy() {
    let folder = Folder::new("exposed");
    let key = folder.key("key");
    std::fs::set_permissions(&key, std::fs::Permissions::from_mode(0o644)).unwrap();
    let (status, _, words) = ended(program(&["services", "--key-file", &key]).output().unwrap());
    assert!(status == 2 && words.contains("chmod 600"), "{words}");
}

#[test]
fn a_trace_shows_the_datagrams_of_a_call_in_the_clear() {
    let folder = Folder::new("traced");
    let key = folder.key("key");
    let names = Names::start_with("127.0.0.1:0", &["--key-file", &key]);
    let server = bank_with(names.addr, DriverConfig::new(security(&key)));
    let trace = folder.file("ladder");
    let command = ["call", "bank.deposit", r#"["ada", 5]"#, "--trace", &trace];
    assert_eq!(names.run_with(&command, &["--key-file", &key]), (0, "5\n".into(), String::new()));
    let ladder = std::fs::read_to_string(&trace).unwrap();
    let crossed = |peer: SocketAddr, way: &str, what: &str| {
        let peer = format!("{way} {peer} ");
        ladder.lines().any(|line| line.contains(&peer) && line.contains(what))
    };
    for peer in [names.addr, server.local_addr()] {
        assert!(crossed(peer, "-->", "REQUEST call") && crossed(peer, "<--", "REPLY to call"), "{peer}:\n{ladder}");
    }
    let capture = std::fs::read(trace + ".pcapng").unwrap();
    assert!(capture.starts_with(&[0x0a, 0x0d, 0x0d, 0x0a]) && capture.windows(3).any(|bytes| bytes == b"ada"));
}

#[test]
fn a_trace_is_never_written_over_the_key() {
    let folder = Folder::new("spared");
    let names = Names::start("127.0.0.1:0");
    let (key, captured) = (folder.key("key"), folder.key("ladder.pcapng"));
    std::os::unix::fs::symlink(&key, folder.file("link")).unwrap();
    for (key, trace) in [(&key, &key), (&key, &folder.file("link")), (&captured, &folder.file("ladder"))] {
        let made = std::fs::read_to_string(key).unwrap();
        let command = ["call", "bank.notes", "--trace", trace];
        let (status, output, words) = names.run_with(&command, &["--key-file", key]);
        assert_eq!((status, output.as_str()), (2, ""), "{words}");
        assert!(words.contains("would be written over the key file") && words.contains("name another"), "{words}");
        assert_eq!(&std::fs::read_to_string(key).unwrap(), &made);
    }
}

#[test]
fn a_trace_that_cannot_be_written_ends_the_command_before_the_call() {
    let names = Names::start("127.0.0.1:0");
    let server = bank(names.addr);
    let command = ["call", "bank.deposit", r#"["ada", 5]"#, "--trace", "/nowhere/at/all"];
    let (status, output, words) = names.run(&command);
    assert_eq!((status, output.as_str()), (1, ""));
    assert!(words.contains("cannot write the trace to /nowhere/at/all"), "{words}");
    assert_eq!(server.counters().done, 0);
}

#[test]
fn arguments_are_read_from_the_standard_input_where_a_dash_stands_for_them() {
    let names = Names::start("127.0.0.1:0");
    let _server = bank(names.addr);
    let binder = names.addr.to_string();
    let mut command = program(&["call", "bank.deposit", "-", "--binder", &binder, "--plain"]);
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
    let (status, _, words) = ended(program(&["call", "bank.notes", "--binder", &binder, "--plain"]).output().unwrap());
    assert_eq!(status, 1, "{words}");
    assert!(
        words.contains(&format!("the name server at {gone}: ")) && words.contains("`dsm-node names` starts one"),
        "{words}"
    );
    let target = format!("{gone}/Bank.notes");
    let (status, _, words) = ended(program(&["call", &target, "--plain"]).output().unwrap());
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
        ended(program(&["call", &target, r#"["ada", 5]"#, "--timeout", "1", "--plain"]).output().unwrap())
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
    let (status, text, _) = ended(program(&["services", &addr, "--plain"]).output().unwrap());
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
