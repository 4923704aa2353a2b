//! The figures of the report: a chart, a sentence and a caption each.

use super::chart::{Canvas, Heat, Lines, Mark, Row, Rows, amount};
use super::findings;
use super::results::{Bar, Form, How, Job, Over, Part, Results, Series, Spread};

/// A figure, ready to be put on a page or into a file.
#[derive(Debug)]
pub struct Figure {
    /// Names its file and its place on the page.
    pub id: &'static str,
    /// What it is of.
    pub title: &'static str,
    /// What it shows.
    pub finding: String,
    /// How it was measured.
    pub caption: String,
    /// The drawing.
    pub chart: Canvas,
}

/// All that have something to show.
pub fn all(results: &Results) -> Vec<Figure> {
    let Results { ladder, jobs, crossing, writes, sharing, goodput, datagrams, checks, scaling, model } = results;
    let time = ("time", "s");
    [
        figure("verdict", "DSM against RPC, job by job", jobs, findings::jobs(jobs), verdict_chart),
        figure("ladder", "What an access costs", ladder, findings::ladder(ladder), |part| bars(part, "s", "seconds", true)),
        figure("crossing", "Where they cross", crossing, findings::crossing(crossing), |part| {
            lines(part, ("accesses per page", ""), time, (true, true))
        }),
        figure("writes", "Cost against writes", writes, findings::change(writes, "From the fewest writes to the most"), |part| {
            lines(part, ("fraction of accesses that write", ""), time, (false, true))
        }),
        figure("sharing", "Cost of false sharing", sharing, findings::change(sharing, "From the fewest nodes to the most"), |part| {
            lines(part, ("nodes that store to one page", ""), time, (false, true))
        }),
        figure("time", "Where the time goes", jobs, findings::time(jobs), time_chart),
        figure("scaling", "More nodes", scaling, findings::change(scaling, "From the fewest nodes to the most"), |part| {
            lines(part, ("nodes", ""), ("speed-up over one plain process", ""), (false, true))
        }),
        figure("goodput", "Goodput against loss", goodput, findings::change(goodput, "From the least loss to the most"), |part| {
            lines(part, ("datagrams lost", "%"), ("bytes per second", "B/s"), (false, true))
        }),
        figure("datagrams", "Datagrams per call", datagrams, findings::datagrams(datagrams), |part| {
            bars(part, "", "datagrams", false)
        }),
        figure("checks", "What a check costs and what it misses", checks, findings::checks(checks), check_chart),
        figure("model", "The model beside the measurement", model, findings::model(model), model_chart),
    ]
    .into_iter()
    .flatten()
    .collect()
}

fn figure<T>(
    id: &'static str,
    title: &'static str,
    part: &Part<T>,
    finding: String,
    draw: impl Fn(&Part<T>) -> Canvas,
) -> Option<Figure> {
    (!part.rows.is_empty()).then(|| Figure { id, title, finding, caption: caption(&part.how), chart: draw(part) })
}

/// Machine, kernel, waiting, repetitions.
fn caption(how: &How) -> String {
    let How { machine, kernel, waiting, repetitions, note } = how;
    let note = if note.is_empty() { String::new() } else { format!("; {note}") };
    format!("{machine}; {kernel}; waiting: {waiting}; {repetitions} repetitions, medians and 95 % intervals{note}.")
}

/// A job's best form on each side.
fn verdict_chart(part: &Part<Job>) -> Canvas {
    let best = |job: &Job, over| job.best(over).map(|form| form.elapsed);
    let rows = part.rows.iter().map(|job| Row {
        name: job.name.clone(),
        note: match job.winner() {
            Some(findings::Winner::Dsm(factor)) => format!("DSM {}x quicker", amount(factor, "")),
            Some(findings::Winner::Rpc(factor)) => format!("RPC {}x quicker", amount(factor, "")),
            Some(findings::Winner::Neither) => "no sure difference".into(),
            None => "one side only".into(),
        },
        mark: Mark::Dots(vec![best(job, Over::Dsm), best(job, Over::Rpc)]),
    });
    let series = vec!["DSM, best form".into(), "RPC, best form".into()];
    Rows { series, rows: rows.collect(), unit: "s", axis: "time for the job", logarithmic: true }.draw()
}

fn bars(part: &Part<Bar>, unit: &'static str, axis: &'static str, logarithmic: bool) -> Canvas {
    let mark = |spread: Spread| if logarithmic { Mark::Dots(vec![Some(spread)]) } else { Mark::Pieces(vec![spread.median]) };
    let rows = part.rows.iter().map(|bar| Row {
        name: bar.name.clone(),
        note: amount(bar.value.median, unit),
        mark: mark(bar.value),
    });
    Rows { series: vec![String::new()], rows: rows.collect(), unit, axis, logarithmic }.draw()
}

fn lines(
    part: &Part<Series>,
    across: (&'static str, &'static str),
    up: (&'static str, &'static str),
    logarithmic: (bool, bool),
) -> Canvas {
    Lines { series: part.rows.clone(), across, up, logarithmic }.draw()
}

fn time_chart(part: &Part<Job>) -> Canvas {
    let row = |job: &Job, form: &Form| {
        let parts = form.time.parts();
        let whole = parts.iter().sum::<f64>().max(f64::MIN_POSITIVE);
        Row {
            name: format!("{}: {}", job.name, form.name),
            note: amount(form.elapsed.median, "s"),
            mark: Mark::Pieces(parts.iter().map(|part| 100.0 * part / whole).collect()),
        }
    };
    let best = |job| [Over::Dsm, Over::Rpc].into_iter().filter_map(move |over| Some(row(job, Job::best(job, over)?)));
    let series = findings::TIMES.map(String::from).to_vec();
    let rows = part.rows.iter().flat_map(best).collect();
    Rows { series, rows, unit: "%", axis: "share of the time of all nodes", logarithmic: false }.draw()
}

fn check_chart(part: &Part<super::results::Check>) -> Canvas {
    let columns = part.rows.first().map_or(&[][..], |check| &check.missed[..]).iter().map(|it| it.damage.clone());
    let rows = part.rows.iter().map(|check| {
        let cells = check.missed.iter().map(|it| {
            let share = it.unnoticed as f64 / it.damaged.max(1) as f64;
            // One in a million is to be seen as well as all of them.
            let warmth = if share > 0.0 { (1.0 + share.log10() / 7.0).max(0.15) } else { 0.0 };
            (it.unnoticed.to_string(), warmth)
        });
        (format!("{}, {}", check.name, amount(check.cost, "s")), cells.collect())
    });
    Heat { columns: columns.collect(), rows: rows.collect() }.draw()
}

fn model_chart(part: &Part<super::results::Prediction>) -> Canvas {
    let exact = |value| Some(Spread { median: value, low: value, high: value });
    let rows = part.rows.iter().map(|it| Row {
        name: format!("{}: {}", it.job, it.form),
        note: format!("off by a factor of {}", amount(it.off(), "")),
        mark: Mark::Dots(vec![exact(it.predicted), Some(it.measured)]),
    });
    let series = vec!["predicted".into(), "measured".into()];
    Rows { series, rows: rows.collect(), unit: "s", axis: "time for the job", logarithmic: true }.draw()
}
