//! The jobs, for people.

use std::fmt::{self, Write as _};

use crate::page::amount;
use crate::page::results::{Form, Job, Part, Prediction, Variation};

/// All that was measured of the jobs, as text.
pub fn table(jobs: &Part<Job>, variations: &[Variation], model: &[Prediction]) -> String {
    let mut text = String::new();
    // Writing to a string cannot fail.
    let _ = write_all(&mut text, jobs, variations, model);
    text
}

fn write_all(text: &mut String, jobs: &Part<Job>, variations: &[Variation], model: &[Prediction]) -> fmt::Result {
    writeln!(text, "{}", jobs.how)?;
    for job in &jobs.rows {
        let plain = amount(job.plain.median, "s");
        writeln!(text, "\n{}: {}; {} {}; {plain} in one process", job.name, job.shows, job.size, job.unit)?;
        writeln!(
            text,
            "{:<10} {:>9} {:>21} {:>9} {:>8} {:>9} {:>17} {:>9} {:>27} {:>9} {:>5}",
            "form",
            "time",
            "interval",
            "speed-up",
            "messages",
            "bytes",
            "faults: r/w/up",
            "conflicts",
            "waiting: page/lock/bar/call",
            "processor",
            "lines"
        )?;
        job.forms.iter().try_for_each(|form| write_form(text, job, form))?;
    }
    write_variations(text, jobs, variations)?;
    write_model(text, model)
}

fn write_form(text: &mut String, job: &Job, form: &Form) -> fmt::Result {
    let total = &form.total;
    let seconds = |value: f64| amount(value, "s");
    let all: f64 = form.time.parts().iter().sum();
    let share = |part: f64| if all > 0.0 { 100.0 * part / all } else { 0.0 };
    let [_, pages, locks, barriers, calls] = form.time.parts().map(share);
    writeln!(
        text,
        "{:<10} {:>9} {:>21} {:>9} {:>8} {:>9} {:>17} {:>9} {:>27} {:>9} {:>5}",
        form.name,
        seconds(form.elapsed.median),
        format!("{} .. {}", seconds(form.elapsed.low), seconds(form.elapsed.high)),
        amount(job.plain.median / form.elapsed.median, ""),
        total.messages,
        amount(total.bytes as f64, "B"),
        format!("{}/{}/{}", total.read_faults, total.write_faults, total.upgrade_faults + total.exclusive_faults),
        form.conflicts().map_or("-".into(), |rate| format!("{:.0}%", 100.0 * rate)),
        format!("{pages:.0}/{locks:.0}/{barriers:.0}/{calls:.0} %"),
        seconds(total.processor.as_secs_f64()),
        form.lines,
    )
}

/// A line for each form, a column for each case.
fn write_variations(text: &mut String, jobs: &Part<Job>, variations: &[Variation]) -> fmt::Result {
    let mut cases: Vec<(usize, f64, usize)> = Vec::new();
    for job in &jobs.rows {
        let of = variations.iter().filter(|it| it.job == job.name);
        cases.extend(of.map(|it| (it.nodes, it.loss, it.size_step(job))));
    }
    cases.sort_by(|a, b| (a.2, a.0).cmp(&(b.2, b.0)).then(a.1.total_cmp(&b.1)));
    cases.dedup();
    write!(text, "\n{:<22}", "time when")?;
    for (nodes, loss, step) in &cases {
        let size = ["size / 4", "", "size x 4"][*step];
        let loss = if *loss > 0.0 { format!("{:.0} % lost", 100.0 * loss) } else { String::new() };
        write!(
            text,
            " {:>12}",
            [format!("{nodes} nodes"), loss, size.into()].into_iter().rfind(|it| !it.is_empty()).unwrap_or_default()
        )?;
    }
    for job in &jobs.rows {
        for form in &job.forms {
            write!(text, "\n{:<22}", format!("{} {}", job.name, form.name))?;
            for case in &cases {
                let found = variations.iter().find(|it| {
                    it.job == job.name && it.form == form.name && (it.nodes, it.loss, it.size_step(job)) == *case
                });
                write!(text, " {:>12}", found.map_or("-".into(), |it| amount(it.elapsed.median, "s")))?;
            }
        }
    }
    text.write_char('\n')
}

fn write_model(text: &mut String, model: &[Prediction]) -> fmt::Result {
    writeln!(text, "\n{:<22} {:>10} {:>10} {:>7}  the model leaves out", "model", "predicted", "measured", "off by")?;
    for it in model {
        let (predicted, measured) = (amount(it.predicted, "s"), amount(it.measured.median, "s"));
        let name = format!("{} {}", it.job, it.form);
        writeln!(text, "{name:<22} {predicted:>10} {measured:>10} {:>6.2}x  {}", it.off(), it.leaves_out)?;
    }
    Ok(())
}
