//! Counters as tables for people.

use std::fmt::{self, Debug, Display, Write};

use crate::call::{ClientCounters, ServerCounters};
use crate::transport::Counters;

/// Writes what is not zero, one on a line. It goes by way of the derived `Debug`, which names every field: so no counter is ever
/// forgotten here.
fn table(f: &mut fmt::Formatter<'_>, counters: &dyn Debug) -> fmt::Result {
    let mut text = String::new();
    write!(text, "{counters:#?}")?;
    let fields = text.lines().filter_map(|line| line.trim().strip_suffix(',')?.split_once(": "));
    for (name, value) in fields.filter(|(_, value)| !matches!(*value, "0" | "0ns" | "false")) {
        writeln!(f, "  {:<28} {value:>14}", name.replace('_', " "))?;
    }
    Ok(())
}

macro_rules! display {
    ($($counters:ident)+) => {$(
        /// A table of what is not zero.
        impl Display for $counters {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                table(f, self)
            }
        }
    )+};
}

display!(Counters ClientCounters ServerCounters);

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_table_has_a_line_for_each_counter_that_is_not_zero() {
        let transport = Counters { datagrams_sent: 1_234, receive_overflows: 5, ..Counters::default() };
        let counters =
            ClientCounters { transport, calls: 600, waited: Duration::from_millis(3), ..ClientCounters::default() };
        let words = |line: &str| line.split_whitespace().collect::<Vec<_>>().join(" ");
        let lines: Vec<_> = counters.to_string().lines().map(words).collect();
        assert_eq!(lines, ["datagrams sent 1234", "receive overflows 5", "calls 600", "waited 3ms"]);
        let failed = ServerCounters { failed: true, waiting: 2, ..ServerCounters::default() };
        assert_eq!(failed.to_string().lines().map(words).collect::<Vec<_>>(), ["waiting 2", "failed true"]);
    }
}
