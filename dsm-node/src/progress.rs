//! What is being done, on the standard error output, while it is a terminal.

use std::io::Write;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};

/// A line that moves while something is under way, and is gone afterwards.
pub struct Progress(ProgressBar);

impl Progress {
    /// Of unknown length.
    pub fn spinner(what: String) -> Progress {
        let bar = ProgressBar::new_spinner().with_message(what);
        bar.enable_steady_tick(Duration::from_millis(100));
        Progress(bar)
    }

    /// Of so many steps.
    pub fn steps(what: &'static str, count: u64) -> Progress {
        let bar = ProgressBar::new(count).with_prefix(what);
        if let Ok(style) = ProgressStyle::with_template("{prefix} {bar:20} {pos}/{len} {msg}") {
            bar.set_style(style);
        }
        bar.enable_steady_tick(Duration::from_millis(100));
        Progress(bar)
    }

    /// So many steps are done.
    pub fn advance(&self, what: &str, steps: u64) {
        self.0.set_message(what.to_string());
        self.0.inc(steps);
    }

    /// Prints a line on the standard output, above the moving one.
    pub fn above(&self, line: &str) {
        self.0.suspend(|| {
            // With the standard output gone, whoever prints next notices.
            let _ = writeln!(std::io::stdout(), "{line}");
        });
    }

    /// One step is done.
    pub fn step(&self, what: &'static str) {
        self.0.set_message(what);
        self.0.inc(1);
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.0.finish_and_clear();
    }
}
