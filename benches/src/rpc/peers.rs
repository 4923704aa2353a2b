//! The program of the peers: built when it is first asked for, because an ordinary build compiles none of it.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Names a program that was built elsewhere.
pub const VARIABLE: &str = "DSM_BENCH_PEERS";

/// What to say when there are no peers to be had.
const REMEDY: &str = "leave them out with --no-peers, or build them by hand:\n  \
     cargo build --release --manifest-path benches/peers/Cargo.toml\nand name the program in DSM_BENCH_PEERS";

/// Builds the program, which takes minutes for the first time, and says where it is.
///
/// # Errors
///
/// A sentence for the user, with a remedy.
pub fn program() -> Result<PathBuf, String> {
    if let Some(named) = std::env::var_os(VARIABLE) {
        let named = PathBuf::from(named);
        return if named.is_file() { Ok(named) } else { Err(format!("{VARIABLE} names no file: {}", named.display())) };
    }
    let manifest = Path::new(env!("CARGO_MANIFEST_DIR")).join("peers/Cargo.toml");
    if !manifest.is_file() {
        return Err(format!("the peers' sources are not at {}: {REMEDY}", manifest.display()));
    }
    eprintln!("building the peers, which takes minutes for the first time (--no-peers leaves them out)");
    let output = Command::new("cargo")
        .args(["build", "--release", "--locked", "--message-format=json-render-diagnostics", "--manifest-path"])
        .arg(&manifest)
        .stdin(Stdio::null())
        .stderr(Stdio::inherit())
        .output()
        .map_err(|error| format!("cannot start cargo to build the peers ({error}): {REMEDY}"))?;
    if !output.status.success() {
        return Err(format!("the peers cannot be built: {REMEDY}"));
    }
    let text = String::from_utf8_lossy(&output.stdout);
    text.lines().find_map(executable).ok_or_else(|| format!("cargo built no program: {REMEDY}"))
}

/// The program that one of cargo's messages is about.
fn executable(line: &str) -> Option<PathBuf> {
    let message: serde_json::Value = serde_json::from_str(line).ok()?;
    if message.get("target")?.get("name")? != "peers" {
        return None;
    }
    message.get("executable")?.as_str().map(PathBuf::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_program_is_read_from_cargos_messages() {
        let line = r#"{"reason":"compiler-artifact","target":{"name":"peers"},"executable":"/t/release/peers"}"#;
        assert_eq!(executable(line), Some(PathBuf::from("/t/release/peers")));
        assert_eq!(executable(r#"{"reason":"compiler-artifact","target":{"name":"tokio"},"executable":null}"#), None);
        assert_eq!(executable("warning: something"), None);
    }
}
