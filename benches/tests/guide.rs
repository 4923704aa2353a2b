//! The guide's commands exist: programs are there, and `dsm-bench` understands what it is told.

use std::path::{Path, PathBuf};
use std::process::Command;

/// The themes, as headings.
const THEMES: [&str; 13] = [
    "Communication is unreliable",
    "Checksums",
    "A reliable layer",
    "Distributed shared memory",
    "Remote procedure call",
    "RPC straight on UDP",
    "Server concurrency",
    "Long-running calls",
    "Large arguments",
    "Byte order",
    "Synchronous and asynchronous calls",
    "The end-to-end argument",
    "Machines fail, the system need not",
];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn guide() -> String {
    std::fs::read_to_string(root().join("docs/guide.md")).unwrap()
}

/// The commands of the page: lines that are indented by four spaces.
fn commands(page: &str) -> Vec<Vec<&str>> {
    page.lines().filter_map(|line| line.strip_prefix("    ")).map(|line| line.split_whitespace().collect()).collect()
}

/// The word that follows this one.
fn after<'c>(command: &[&'c str], word: &str) -> Option<&'c str> {
    command.iter().position(|other| *other == word).and_then(|place| command.get(place + 1)).copied()
}

/// Where a package's sources are.
fn folder(package: &str) -> PathBuf {
    let below = if ["protocol", "sim"].contains(&package) { "dsm-core" } else { "" };
    root().join(below).join(package)
}

#[test]
fn the_guide_has_every_theme_with_a_command_each() {
    let page = guide();
    let sections: Vec<&str> = page.split("\n## ").skip(1).collect();
    let headings: Vec<&str> = sections.iter().filter_map(|section| section.lines().next()).collect();
    assert_eq!(headings, THEMES);
    for section in sections {
        assert!(!commands(section).is_empty(), "no command in: {section}");
        assert!(section.contains("Look at"), "nothing to look at in: {section}");
    }
}

#[test]
fn every_command_of_the_guide_exists() {
    let page = guide();
    for command in commands(&page) {
        let package = after(&command, "-p").unwrap_or_else(|| panic!("no package in {command:?}"));
        let folder = folder(package);
        assert!(folder.join("Cargo.toml").is_file(), "{command:?}");
        match command.get(1) {
            Some(&"run") => {
                let program = after(&command, "--bin").map_or("src/main.rs".to_owned(), |bin| format!("src/bin/{bin}"));
                let places = [folder.join(&program), folder.join(format!("{program}.rs"))];
                assert!(places.iter().any(|place| place.exists()), "{command:?}: no {program}");
            }
            Some(&"test") => match after(&command, "--test") {
                Some(test) => {
                    let places = [format!("tests/{test}.rs"), format!("tests/{test}/main.rs")];
                    assert!(places.iter().any(|place| folder.join(place).is_file()), "{command:?}");
                }
                None => {
                    let name = after(&command, "--lib").unwrap_or_else(|| panic!("which test? {command:?}"));
                    assert!(is_a_test(&folder.join("src"), name), "{command:?}: no such test");
                }
            },
            _ => panic!("neither run nor test: {command:?}"),
        }
    }
}

/// Whether a test of this name stands in a file below this folder.
fn is_a_test(folder: &Path, name: &str) -> bool {
    let wanted = format!("fn {name}()");
    std::fs::read_dir(folder).unwrap().flatten().map(|entry| entry.path()).any(|path| {
        if path.is_dir() {
            is_a_test(&path, name)
        } else {
            std::fs::read_to_string(&path).is_ok_and(|text| text.contains(&wanted))
        }
    })
}

#[test]
fn every_lesson_of_the_guide_is_one() {
    let lessons = std::fs::read_dir(root().join("examples/src/lessons")).unwrap().flatten();
    let sources: String = lessons.filter_map(|entry| std::fs::read_to_string(entry.path()).ok()).collect();
    let page = guide();
    for command in commands(&page).iter().filter(|command| after(command, "--bin") == Some("lessons")) {
        let lesson = after(command, "--").unwrap_or_else(|| panic!("which lesson? {command:?}"));
        assert!(sources.contains(&format!("\"{lesson}\"")), "no lesson {lesson}");
    }
}

#[test]
fn dsm_bench_understands_every_command_of_the_guide() {
    let page = guide();
    let mut tried = 0;
    for command in commands(&page).into_iter().filter(|command| after(command, "--bin") == Some("dsm-bench")) {
        let arguments = command.iter().skip_while(|word| **word != "--").skip(1);
        // Help comes before the work, and after the arguments are understood.
        let output = Command::new(env!("CARGO_BIN_EXE_dsm-bench")).args(arguments).arg("--help").output().unwrap();
        assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
        tried += 1;
    }
    assert!(tried >= THEMES.len() - 4, "{tried}");
}

#[test]
fn every_page_that_the_guide_points_to_is_there() {
    for link in guide().split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
        assert!(root().join("docs").join(link).is_file(), "{link}");
    }
}
