//! The report: it shows whatever it is given, loads nothing, runs nothing, and fits screens narrow and wide.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use benches::curves::calls::BUSY_CALLS_AFTER_WORK;
use benches::page::results::{
    Bar, Check, Death, Form, How, Job, Missed, Over, Part, Point, Prediction, Results, Series, Spread, Time, Variation,
};
use benches::page::{self, figures};
use examples::figures::Totals;

/// What may come from a machine's name, or from a file that somebody else made.
const HOSTILE: &str = "<script>alert(1)</script>\"'&";

/// Longest a browser may take.
const PATIENCE: Duration = Duration::from_secs(60);

fn spread(median: f64) -> Spread {
    Spread { median, low: 0.7 * median, high: 1.6 * median }
}

fn part<T>(rows: Vec<T>) -> Part<T> {
    Part { how: How::this("polling 100 us, then sleeping", 7, HOSTILE), rows }
}

fn series(names: &[&str], xs: &[f64], y: impl Fn(usize, f64) -> f64) -> Part<Series> {
    let of = |(line, name): (usize, &&str)| Series {
        name: name.to_string(),
        points: xs.iter().map(|x| Point { x: *x, y: spread(y(line, *x)) }).collect(),
    };
    part(names.iter().enumerate().map(of).collect())
}

fn bars(names: &[&str], least: f64) -> Part<Bar> {
    let bar = |(place, name): (i32, &&str)| Bar { name: name.to_string(), value: spread(least * 7.0_f64.powi(place)) };
    part((0..).zip(names).map(bar).collect())
}

fn form(name: &str, over: Over, median: f64) -> Form {
    let total = Totals { messages: 123_456, bytes: u64::MAX, pages: 10, invalidations: 5, ..Totals::default() };
    Form {
        name: name.into(),
        what: "asks for the next item before it looks at this one".into(),
        over,
        lines: 67,
        elapsed: spread(median),
        time: Time { computing: median, pages: 0.5 * median, locks: 0.1, barriers: 0.0, calls: 0.2 * median },
        total,
        nodes: vec![total; 2],
    }
}

/// As a run would give it, with names as long as there are and numbers from very small to very large.
fn results() -> Results {
    let names = ["tickets", "neighbours", "salesman", HOSTILE];
    let jobs = names.iter().enumerate().map(|(place, name)| Job {
        name: name.to_string(),
        shows: "a queue, and a number that everybody looks at".into(),
        size: 1_000_000,
        unit: "numbers that each node draws".into(),
        plain: spread(1e-6),
        together: spread(1.5e-6),
        forms: vec![
            form("dsm-naive", Over::Dsm, 3.0),
            form("dsm", Over::Dsm, 1e-4 * 10.0_f64.powi(place as i32)),
            form("rpc-naive", Over::Rpc, 40.0),
            form("rpc", Over::Rpc, 2e-3),
        ],
    });
    let cases = [(1, 0.0), (2, 0.0), (3, 0.0), (4, 0.0), (2, 0.01), (2, 0.05)];
    let variation = |name: &str, (nodes, loss): (usize, f64), over| Variation {
        job: name.into(),
        form: if over == Over::Dsm { "dsm" } else { "rpc" }.into(),
        over,
        nodes,
        loss,
        size: 1_000_000,
        elapsed: spread(1e-4 * nodes as f64 * (1.0 + 900.0 * loss)),
        plain: spread(3e-5),
        total: Totals::default(),
    };
    let variations =
        names.iter().flat_map(|name| cases.map(|case| [Over::Dsm, Over::Rpc].map(|over| variation(name, case, over))));
    let predictions = names.iter().map(|name| Prediction {
        job: name.to_string(),
        form: "dsm-naive".into(),
        predicted: 1e-3,
        measured: spread(0.9e-3),
        leaves_out: "pages that nodes take from each other, and wait for while another holds them".into(),
    });
    let check = |name: &str, unnoticed| Check {
        name: name.into(),
        cost: 1e-7,
        missed: [
            "single bit",
            "burst of 2 to 32 bits",
            "burst of 33 to 64 bits",
            "swapped 16-bit words",
            "swapped 32-bit words",
            "zeroed run",
            "garbage in a word",
        ]
        .map(|damage| Missed { damage: damage.into(), damaged: 200_000, unnoticed })
        .into(),
    };
    let death = |over, answered| Death {
        over,
        done: 50,
        of: 64,
        answered,
        pause: 1.5,
        said: format!("lost node 1: {HOSTILE}"),
    };
    let rungs = [
        "load of a page that is here",
        "read fetched, while two processes fetch",
        "write that invalidates, while two do so",
        BUSY_CALLS_AFTER_WORK[1],
        HOSTILE,
    ];
    Results {
        command: HOSTILE.into(),
        ladder: bars(&rungs, 4e-9),
        jobs: part(jobs.collect()),
        variations: part(variations.flatten().collect()),
        crossing: series(&["DSM", "RPC with a call for each access"], &[1.0, 8.0, 512.0], |line, x| {
            if line == 0 { 4e-5 } else { 1e-5 * x }
        }),
        writes: series(&["DSM, accesses back to back", "RPC, a call for each"], &[0.0, 50.0, 100.0], |_, x| {
            1e-6 + x * 1e-7
        }),
        sharing: series(
            &["DSM, words on one page", "DSM, each word on a page of its own"],
            &[1.0, 2.0, 4.0],
            |_, x| x * 1e-6,
        ),
        goodput: series(&["DSM, pages read in order, this machine", HOSTILE], &[0.0, 1.0, 5.0, 20.0], |_, x| {
            1e9 / (1.0 + x)
        }),
        datagrams: bars(&rungs, 0.5),
        checks: part(vec![
            check("none", 400_000),
            check("additive", 6_701),
            check("fletcher32", 66_714),
            check("crc32", 0),
        ]),
        model: part(predictions.collect()),
        deaths: part(vec![death(Over::Dsm, false), death(Over::Rpc, true)]),
    }
}

/// A folder that is gone in the end.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Folder {
        let path = std::env::temp_dir().join(format!("dsm-page-{name}-{}", std::process::id()));
        fs::create_dir_all(&path).unwrap();
        Folder(path)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

#[test]
fn the_page_stands_alone_and_what_comes_from_outside_stays_text() {
    let folder = Folder::new("alone");
    page::write(&results(), &folder.0).unwrap();
    let report = fs::read_to_string(folder.0.join("report.html")).unwrap();
    assert!(report.contains("default-src 'none'"));
    let elsewhere = report.replace("http://www.w3.org/2000/svg", "");
    for forbidden in ["<script", "http:", "https:", "src=", "href=", "@import", "url("] {
        assert!(!elsewhere.contains(forbidden), "{forbidden}");
    }
    for figure in figures::all(&results()) {
        // What is said is said of these numbers.
        assert!(figure.finding.contains(char::is_numeric), "{}: {}", figure.id, figure.finding);
        assert!(figure.finding.ends_with('.') && figure.finding.len() > 20, "{}: {}", figure.id, figure.finding);
        assert!(
            !figure.finding.contains("NaN") && !figure.finding.contains("inf"),
            "{}: {}",
            figure.id,
            figure.finding
        );
        let file = fs::read_to_string(folder.0.join(format!("{}.svg", figure.id))).unwrap();
        assert!(file.starts_with("<svg") && file.contains("<title") && !file.contains("<script"), "{}", figure.id);
        assert!(report.contains(&format!("<figure id=\"{}\">", figure.id)));
    }
}

#[test]
fn results_are_read_as_they_were_written_and_anything_else_is_refused() {
    let folder = Folder::new("read");
    page::write(&results(), &folder.0).unwrap();
    assert!(page::read(&folder.0.join("results.json")).unwrap() == results());
    fs::write(folder.0.join("other.json"), "[]").unwrap();
    assert!(page::read(&folder.0.join("other.json")).unwrap_err().contains("holds no results"));
    assert!(page::read(&folder.0.join("none.json")).unwrap_err().contains("cannot read"));
    let file = folder.0.join("other.json");
    assert!(page::write(&results(), &file.join("folder")).unwrap_err().contains("cannot write"));
}

#[test]
fn a_run_that_measured_nothing_is_shown_as_such() {
    let folder = Folder::new("empty");
    page::write(&Results::default(), &folder.0).unwrap();
    assert!(fs::read_to_string(folder.0.join("report.html")).unwrap().contains("Nothing was measured."));
    assert!(figures::all(&Results::default()).is_empty());
}

/// Looks at the page from outside: it may not run anything itself.
const LOOK: &str = r#"<!doctype html><iframe id="frame" src="report.html" style="border:0;width:WIDTHpx;height:3000px"></iframe>
<pre id="found">nothing was found out</pre><script>
onload = () => {
  const inside = frame.contentDocument, found = [];
  for (const it of inside.querySelectorAll('details')) it.open = true;
  const root = inside.documentElement;
  if (root.scrollWidth > root.clientWidth) found.push(`the page is ${root.scrollWidth} wide on ${root.clientWidth}`);
  for (const chart of inside.querySelectorAll('svg')) {
    const all = [...chart.querySelectorAll('text')].map(it => [it.textContent, it.getBoundingClientRect()]);
    const edge = chart.getBoundingClientRect(), name = chart.parentElement.id;
    if (!all.length) found.push(`${name} has no text`);
    for (const [text, box] of all) {
      if (box.left < edge.left - 1 || box.right > edge.right + 1 || box.top < edge.top - 1 || box.bottom > edge.bottom + 1)
        found.push(`${name}: "${text}" is outside`);
      if (box.height < 9) found.push(`${name}: "${text}" is ${box.height} high`);
    }
    all.forEach(([text, a], index) => all.slice(index + 1).forEach(([other, b]) => {
      const across = Math.min(a.right, b.right) - Math.max(a.left, b.left);
      const down = Math.min(a.bottom, b.bottom) - Math.max(a.top, b.top);
      if (across > 1 && down > 3) found.push(`${name}: "${text}" lies on "${other}"`);
    }));
  }
  const loaded = frame.contentWindow.performance.getEntriesByType('resource').map(it => it.name);
  if (loaded.length) found.push(`loaded: ${loaded}`);
  document.getElementById('found').textContent = found.length ? found.join('\n') : 'nothing is wrong';
};
</script>"#;

fn browser() -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    let names = ["chromium", "chromium-browser", "google-chrome"];
    std::env::split_paths(&path).flat_map(|folder| names.map(|name| folder.join(name))).find(|file| file.is_file())
}

/// The child's output, or none if it took too long; then it is ended.
fn output(mut child: Child) -> Option<(String, String)> {
    let start = Instant::now();
    while child.try_wait().unwrap().is_none() {
        if start.elapsed() > PATIENCE {
            child.kill().unwrap();
            child.wait().unwrap();
            return None;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    let output = child.wait_with_output().unwrap();
    Some((String::from_utf8_lossy(&output.stdout).into(), String::from_utf8_lossy(&output.stderr).into()))
}

fn look(browser: &Path, folder: &Path, width: u32) -> String {
    fs::write(folder.join("look.html"), LOOK.replace("WIDTH", &width.to_string())).unwrap();
    let (printed, said) = (folder.join("printed"), folder.join("said"));
    let child = Command::new(browser)
        .args(["--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking", "--no-first-run"])
        .args([
            "--allow-file-access-from-files",
            "--enable-logging=stderr",
            "--virtual-time-budget=20000",
            "--dump-dom",
        ])
        .arg(format!("--user-data-dir={}", folder.join("profile").display()))
        .arg(format!("--window-size={},3200", width + 40))
        .arg(format!("file://{}", folder.join("look.html").display()))
        .stdin(Stdio::null())
        .stdout(fs::File::create(&printed).unwrap())
        .stderr(fs::File::create(&said).unwrap())
        .spawn()
        .unwrap();
    output(child).expect("the browser took too long");
    let said = fs::read_to_string(said).unwrap();
    assert!(!said.contains("CONSOLE"), "the page complains: {said}");
    let printed = fs::read_to_string(printed).unwrap();
    let found = printed.split_once("<pre id=\"found\">").and_then(|(_, rest)| rest.split_once("</pre>"));
    found.unwrap_or_else(|| panic!("the browser showed nothing: {printed}{said}")).0.to_string()
}

#[test]
fn in_a_browser_nothing_overflows_or_overlaps_and_nothing_is_loaded_on_screens_narrow_and_wide() {
    let Some(browser) = browser() else {
        eprintln!("skipped: no chromium, chromium-browser or google-chrome here");
        return;
    };
    let folder = Folder::new("browser");
    page::write(&results(), &folder.0).unwrap();
    for width in [400, 1_400] {
        assert_eq!(look(&browser, &folder.0, width), "nothing is wrong", "at a width of {width}");
    }
}
