//! The experiments of `docs/experiments`: their commands do what the pages say, before the change of the code and after it.
//!
//! The sources are copied, built, changed as the pages say, and built again; the tree of the repository is never touched. A page's console
//! blocks hold commands (`$ ...`, in the background with `&` at the end) and what they print, in order: `...` is anything. Lines may be
//! missing between these. `[status N]` is how a command ends that fails.

use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::net::{Ipv4Addr, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

/// Longest that a command may take.
const PATIENCE: Duration = Duration::from_secs(90);
/// Longest that a build may take.
const BUILD_PATIENCE: Duration = Duration::from_secs(900);
/// The port that the pages use; a free one takes its place.
const PORT: &str = "127.0.0.1:4000";

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..").canonicalize().unwrap()
}

/// An experiment's page.
struct Page {
    name: String,
    text: String,
}

/// A part of a page between fences.
struct Block<'p> {
    language: &'p str,
    body: &'p str,
    /// Whether it stands below "After".
    after: bool,
}

impl Page {
    fn all() -> Vec<Page> {
        let entries = fs::read_dir(root().join("docs/experiments")).unwrap().map(|entry| entry.unwrap().path());
        let mut files: Vec<PathBuf> = entries.filter(|path| !path.ends_with("README.md")).collect();
        files.sort();
        let page = |path: PathBuf| Page {
            name: path.file_name().unwrap().to_string_lossy().into(),
            text: fs::read_to_string(path).unwrap(),
        };
        files.into_iter().map(page).collect()
    }

    fn blocks(&self) -> Vec<Block<'_>> {
        let (before, _) =
            self.text.split_once("\n## After").unwrap_or_else(|| panic!("{}: no part \"After\"", self.name));
        let mut blocks = Vec::new();
        let mut place = 0;
        for (index, piece) in self.text.split("\n```").enumerate() {
            if index % 2 == 1 {
                let (language, body) = piece.split_once('\n').unwrap();
                blocks.push(Block { language, body, after: place > before.len() });
            }
            place += piece.len() + "\n```".len();
        }
        blocks
    }

    fn console(&self, after: bool) -> String {
        let blocks = self.blocks();
        let bodies = blocks.iter().filter(|block| block.language == "console" && block.after == after);
        bodies.map(|block| format!("{}\n", block.body)).collect()
    }

    /// Runs the commands of a part of the page with these programs.
    fn run(&self, after: bool, programs: &Path) {
        let port = free_port();
        let text = self.console(after).replace(PORT, &format!("127.0.0.1:{port}"));
        let mut background = Vec::new();
        for command in text.split("$ ").skip(1) {
            let mut lines = command.lines();
            let words = words(lines.next().unwrap());
            let expected: Vec<&str> = lines.filter(|line| !line.is_empty()).collect();
            if words.last().is_some_and(|word| word == "&") {
                let started = Background::start(&words[..words.len() - 1], programs);
                expect(&self.name, &words, &started.first_line, &expected);
                background.push(started);
            } else {
                let output = finish(&mut program(&words, programs), PATIENCE);
                expect(&self.name, &words, &told(&output), &expected);
            }
        }
    }
}

fn free_port() -> u16 {
    UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap().port()
}

/// As a shell splits them, where nothing but single quotes is special.
fn words(line: &str) -> Vec<String> {
    let pieces = line.split('\'').enumerate();
    let split = |(index, piece): (usize, &str)| -> Vec<String> {
        if index % 2 == 1 { vec![piece.into()] } else { piece.split_whitespace().map(String::from).collect() }
    };
    pieces.flat_map(split).collect()
}

fn program(words: &[String], programs: &Path) -> Command {
    let place = |word: &String| match word.strip_prefix("target/release/") {
        Some(name) => programs.join(name).into_os_string(),
        None => word.into(),
    };
    let mut command = Command::new(place(&words[0]));
    command.args(words[1..].iter().map(place)).stdin(Stdio::null());
    command
}

/// What a command printed, its complaints, and its status if it failed.
fn told(output: &Output) -> String {
    let [said, complained] = [&output.stdout, &output.stderr].map(|bytes| String::from_utf8_lossy(bytes).into_owned());
    let status = if output.status.success() {
        String::new()
    } else {
        format!("[status {}]\n", output.status.code().unwrap_or(-1))
    };
    format!("{said}{complained}{status}")
}

/// Runs a command to its end, and ends it when that takes too long.
fn finish(command: &mut Command, patience: Duration) -> Output {
    let mut child = command
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap_or_else(|error| panic!("{command:?}: {error}"));
    let readers = [reader(child.stdout.take().unwrap()), reader(child.stderr.take().unwrap())];
    let start = Instant::now();
    let status = loop {
        if let Some(status) = child.try_wait().unwrap() {
            break status;
        }
        if start.elapsed() > patience {
            child.kill().unwrap();
            child.wait().unwrap();
            panic!("{command:?} is not over after {patience:?}");
        }
        std::thread::sleep(Duration::from_millis(10));
    };
    let [stdout, stderr] = readers.map(|reader| reader.join().unwrap());
    Output { status, stdout, stderr }
}

fn reader(mut from: impl Read + Send + 'static) -> std::thread::JoinHandle<Vec<u8>> {
    std::thread::spawn(move || {
        let mut bytes = Vec::new();
        let _ = from.read_to_end(&mut bytes);
        bytes
    })
}

/// A server, which lives as long as its page's part.
struct Background {
    child: Child,
    first_line: String,
}

impl Background {
    fn start(words: &[String], programs: &Path) -> Background {
        let child = program(words, programs).stdout(Stdio::piped()).spawn().unwrap();
        let mut started = Background { child, first_line: String::new() };
        let out = started.child.stdout.take().unwrap();
        BufReader::new(out).read_line(&mut started.first_line).unwrap();
        started
    }
}

impl Drop for Background {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Each expected line, in order, is met by some line of the output. A failure must be expected.
fn expect(page: &str, words: &[String], output: &str, expected: &[&str]) {
    let mut lines = output.lines();
    for wanted in expected {
        assert!(
            lines.any(|line| matches(line, wanted)),
            "{page}: `{}` printed no more line like\n  {wanted}\nafter the ones before it. All that it printed:\n{output}",
            words.join(" ")
        );
    }
    let fails = |text: &str| text.contains("[status ");
    assert_eq!(fails(output), expected.iter().any(|line| fails(line)), "{page}: `{}`:\n{output}", words.join(" "));
}

/// Whether a line is like this one, in which `...` is anything. How many blanks there are does not matter.
fn matches(line: &str, wanted: &str) -> bool {
    let single = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
    let (line, wanted) = (single(line), single(wanted));
    let mut pieces = wanted.split("...").map(str::trim);
    let first = pieces.next().unwrap_or_default();
    let Some(mut rest) = line.strip_prefix(first) else { return false };
    let mut pieces = pieces.peekable();
    if pieces.peek().is_none() {
        return rest.is_empty();
    }
    while let Some(piece) = pieces.next() {
        if pieces.peek().is_none() {
            return rest.ends_with(piece);
        }
        let Some(place) = rest.find(piece) else { return false };
        rest = &rest[place + piece.len()..];
    }
    true
}

/// Applies a page's change to the copy.
fn apply(page: &Page, tree: &Path) {
    for block in page.blocks().iter().filter(|block| block.language == "diff") {
        let lines: Vec<&str> = block.body.lines().collect();
        let file = lines[1].strip_prefix("+++ b/").unwrap_or_else(|| panic!("{}: the diff names no file", page.name));
        let side = |other: char| -> String {
            let ours = lines[2..].iter().filter(|line| !line.starts_with(other));
            ours.map(|line| format!("{}\n", line.get(1..).unwrap_or_default())).collect()
        };
        let (old, new) = (side('+'), side('-'));
        let path = tree.join(file);
        let text = fs::read_to_string(&path).unwrap();
        assert_eq!(text.matches(&old).count(), 1, "{}: {file} does not hold this just once:\n{old}", page.name);
        fs::write(&path, text.replace(&old, &new)).unwrap();
    }
}

/// A copy of the sources, built for itself.
struct Copy {
    tree: PathBuf,
    target: PathBuf,
}

impl Copy {
    fn make() -> Copy {
        let below = Path::new(env!("CARGO_TARGET_TMPDIR")).join("experiments");
        let copy = Copy { tree: below.join("tree"), target: below.join("target") };
        let _ = fs::remove_dir_all(&copy.tree);
        copy_sources(&root(), &copy.tree);
        // Small runs: compiling counts for more than running.
        let manifest = copy.tree.join("Cargo.toml");
        let text = fs::read_to_string(&manifest).unwrap();
        let (front, profiles) = text.split_once("[profile.").unwrap();
        fs::write(&manifest, front).unwrap();
        assert!(profiles.contains("opt-level"));
        copy
    }

    fn build(&self, packages: &[&str]) {
        let mut command = Command::new(env!("CARGO"));
        command.args(["build", "--offline", "--quiet", "--bins"]).current_dir(&self.tree);
        command.args(packages.iter().flat_map(|package| ["-p", package]));
        command.env("CARGO_TARGET_DIR", &self.target).env("CARGO_PROFILE_DEV_DEBUG", "false");
        let output = finish(&mut command, BUILD_PATIENCE);
        assert!(output.status.success(), "the changed sources do not compile:\n{}", told(&output));
    }

    fn programs(&self) -> PathBuf {
        self.target.join("debug")
    }
}

fn copy_sources(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap().map(Result::unwrap) {
        let name = entry.file_name();
        if name == "target" || name.to_string_lossy().starts_with(".git") {
            continue;
        }
        let (source, copy) = (entry.path(), to.join(&name));
        if entry.file_type().unwrap().is_dir() {
            copy_sources(&source, &copy)
        } else {
            let _ = fs::copy(&source, &copy).unwrap();
        }
    }
}

#[test]
fn every_experiment_is_complete_and_the_index_names_it() {
    let pages = Page::all();
    assert_eq!(pages.len(), 10);
    let index = fs::read_to_string(root().join("docs/experiments/README.md")).unwrap();
    for page in &pages {
        for part in ["**Question.**", "## Run", "## Look for", "## Change", "## After"] {
            assert!(page.text.contains(part), "{}: no {part}", page.name);
        }
        assert!(page.blocks().iter().any(|block| block.language == "diff" && !block.after), "{}: no change", page.name);
        assert!(page.console(false).contains("$ ") && page.console(true).contains("$ "), "{}: no command", page.name);
        assert!(index.contains(&format!("({})", page.name)), "the index does not name {}", page.name);
    }
}

#[test]
fn every_experiment_does_what_its_page_says_before_the_change_and_after_it() {
    let pages = Page::all();
    let copy = Copy::make();
    copy.build(&["dsm-node", "examples"]);
    pages.iter().for_each(|page| page.run(false, &copy.programs()));
    // The last one breaks what the others stand on.
    let (broken, others) = pages.split_last().unwrap();
    others.iter().for_each(|page| apply(page, &copy.tree));
    copy.build(&["examples"]);
    others.iter().for_each(|page| page.run(true, &copy.programs()));
    apply(broken, &copy.tree);
    copy.build(&["dsm-node"]);
    broken.run(true, &copy.programs());
}

#[test]
fn patterns_match_what_they_should() {
    assert!(matches(
        "[0] rpc   4.36   256  25150  25  a call for 32 numbers",
        "[0] rpc ... 256 ... a call for 32 numbers"
    ));
    assert!(matches("0 failed", "0 failed") && !matches("10 failed", "0 failed"));
    assert!(matches("anything", "...") && matches("it says two holders of a page here", "...two holders of a page..."));
    assert!(!matches("200 calls ran 237 times.", "... 200 calls ran 200 times. ..."));
    assert_eq!(words("a 'b c' d"), ["a", "b c", "d"]);
}
