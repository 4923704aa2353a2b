//! Starting the two processes of each stack in turn, and collecting what the caller prints.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::figure::Figure;
use crate::served::Served;

use super::Plan;
use super::stack::Stack;

/// All figures by name: of each, what every launch said, and of which stack it is.
pub type Measured = BTreeMap<String, (Stack, Vec<Figure>)>;

/// Runs the plan for these stacks, and calls `progress` before each launch. `peers` is the program of the peers.
///
/// # Errors
///
/// A launch failed: a sentence for the user.
pub fn measure(
    plan: &Plan,
    stacks: &[Stack],
    peers: Option<&Path>,
    mut progress: impl FnMut(Stack),
) -> Result<Measured, String> {
    let own = std::env::current_exe().map_err(|error| format!("cannot find this program's own file: {error}"))?;
    let mut measured = Measured::new();
    for _ in 0..plan.launches {
        for &stack in stacks {
            progress(stack);
            let program = match peers {
                Some(peers) if stack.is_peer() => Program { file: peers.to_owned(), words: &[] },
                None if stack.is_peer() => continue,
                _ => Program { file: own.clone(), words: &["side"] },
            };
            let figures = launch_once(&program, stack, plan).map_err(|why| format!("{stack}: {why}"))?;
            for figure in figures {
                measured.entry(figure.name.clone()).or_insert_with(|| (stack, Vec::new())).1.push(figure);
            }
        }
    }
    Ok(measured)
}

/// A program that can play both sides, and the words that come first on its command line.
struct Program {
    file: PathBuf,
    words: &'static [&'static str],
}

impl Program {
    fn command(&self, role: &str, stack: Stack, pin: bool) -> Command {
        let mut command = Command::new(&self.file);
        command.args(self.words).arg(role).arg(stack.to_string()).args(pin.then_some("--pin"));
        command
    }
}

fn launch_once(program: &Program, stack: Stack, plan: &Plan) -> Result<Vec<Figure>, String> {
    let server = Served::start(program.command("serve", stack, plan.pin))?;
    let what = serde_json::to_string(&yardstick::Plan::Calls(plan.calls.clone())).map_err(|error| error.to_string())?;
    let mut command = program.command("call", stack, plan.pin);
    command.arg(server.place()).arg(server.process().to_string()).arg(what);
    let output = command.stdin(Stdio::null()).output().map_err(|error| format!("cannot start the caller: {error}"))?;
    if !output.status.success() {
        return Err(format!("the caller failed ({})\n{}", output.status, String::from_utf8_lossy(&output.stderr)));
    }
    server.dismiss()?;
    String::from_utf8_lossy(&output.stdout).lines().map(str::parse).collect()
}
