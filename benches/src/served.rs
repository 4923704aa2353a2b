//! A server process that this program started.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};

/// It ends with this value, and with this process: its standard input then closes.
pub struct Served {
    child: Child,
    place: String,
}

impl Served {
    /// Starts it, and waits until it says where it is.
    ///
    /// # Errors
    ///
    /// A sentence for the user.
    pub fn start(mut command: Command) -> Result<Served, String> {
        let child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn();
        let child = child.map_err(|error| format!("cannot start the server: {error}"))?;
        // From here on a failure ends it.
        let mut served = Served { child, place: String::new() };
        let out = served.child.stdout.take().ok_or("the server has no output")?;
        let mut line = String::new();
        BufReader::new(out).read_line(&mut line).map_err(|error| error.to_string())?;
        let place = yardstick::process::announced(&line).ok_or("the server said nothing and ended")?;
        served.place = place.to_owned();
        Ok(served)
    }

    /// What it announced.
    pub fn place(&self) -> &str {
        &self.place
    }

    /// The number of its process.
    pub fn process(&self) -> u32 {
        self.child.id()
    }

    /// Lets it end in good order.
    ///
    /// # Errors
    ///
    /// It fails: a sentence for the user.
    pub fn dismiss(mut self) -> Result<(), String> {
        drop(self.child.stdin.take());
        let status = self.child.wait().map_err(|error| error.to_string())?;
        if status.success() { Ok(()) } else { Err(format!("the server failed ({status})")) }
    }

    /// Ends it at once, as a crash would: it has no time for anything.
    pub fn kill(self) {}
}

impl Drop for Served {
    fn drop(&mut self) {
        // One that was dismissed is gone already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
