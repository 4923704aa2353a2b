//! C programs against `dsm.h`, alone and as several nodes.

mod cc;

use std::io::{self, Write};
use std::path::Path;
use std::sync::{Arc, Mutex};

use cc::{Library, compile};
use dsm_core::launch::{self, JobSpec, NodeEnd, Outcome, Sinks};

#[derive(Clone, Default)]
struct Collected(Arc<Mutex<Vec<u8>>>);

impl Write for Collected {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Runs a program on `nodes` nodes; answers how it ended and all that it printed.
fn run(nodes: usize, program: &Path, args: &[&str]) -> (Outcome, String) {
    let printed = Collected::default();
    let sinks = Sinks { stdout: Box::new(printed.clone()), stderr: Box::new(printed.clone()) };
    let mut spec = JobSpec::new(nodes, program);
    spec.args = args.iter().map(Into::into).collect();
    let outcome = launch::run(spec, sinks).unwrap();
    let text = String::from_utf8_lossy(&printed.0.lock().unwrap()).into_owned();
    (outcome, text)
}

fn misuse(library: Library) -> Option<std::path::PathBuf> {
    compile(&Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/c/misuse.c"), library)
}

#[test]
fn every_misuse_is_told_and_does_no_harm() {
    let Some(program) = misuse(Library::Static) else { return };
    for nodes in [1, 3] {
        let (outcome, text) = run(nodes, &program, &[]);
        assert_eq!(outcome.status(), 0, "{nodes} nodes: {outcome:?}\n{text}");
    }
}

#[test]
fn shared_memory_is_gone_after_finalize() {
    let Some(program) = misuse(Library::Shared) else { return };
    let (outcome, text) = run(2, &program, &["late"]);
    for node in outcome.nodes {
        let segmentation_fault = NodeEnd::Signaled(nix::libc::SIGSEGV);
        assert_eq!(node.end, segmentation_fault, "{node:?}\n{text}");
    }
}
