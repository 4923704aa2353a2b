//! The figures of the report: a chart, a sentence and a caption each.

use super::chart::{Canvas, Heat, Lines, Mark, Row, Rows, amount};
use super::findings;
use super::findings::{accesses, jobs as of_jobs};
use super::results::{Bar, Check, Form, Job, Over, Part, Results, Series, Spread, Variation};

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
    let Results { ladder, jobs, variations, crossing, writes, sharing, goodput, datagrams, checks, model, .. } =
        results;
    let time = ("time", "s");
    [
        figure("verdict", "DSM against RPC, job by job", jobs, of_jobs::jobs(jobs), verdict_chart),
        figure("traps", "What the trap costs", jobs, of_jobs::traps(jobs), trap_chart),
        figure("ladder", "What an access costs", ladder, accesses::ladder(ladder), |part| {
            let mut sorted = part.clone();
            sorted.rows.sort_by(|a, b| a.value.median.total_cmp(&b.value.median));
            bars(&sorted, "s", "seconds", true)
        }),
        figure("crossing", "Where they cross", crossing, accesses::crossing(crossing), |part| {
            lines(part, ("accesses per page", ""), time, (true, true))
        }),
        figure(
            "writes",
            "Cost against writes",
            writes,
            accesses::change(writes, "From the fewest writes to the most"),
            |part| lines(part, ("accesses that write", "%"), time, (false, true)),
        ),
        figure(
            "sharing",
            "Cost of false sharing",
            sharing,
            accesses::change(sharing, "From the fewest nodes to the most"),
            |part| lines(part, ("nodes that store to one page", ""), time, (false, true)),
        ),
        figure("time", "Where the time goes", jobs, of_jobs::time(jobs), time_chart),
        figure("scaling", "More nodes", variations, of_jobs::scaling(results), |part| {
            varied(
                jobs,
                part,
                &|it| (it.loss == 0.0).then_some(it.nodes as f64),
                &|x| if x == 1.0 { "1 node".into() } else { format!("{x} nodes") },
                &|it, _| it.plain.median / it.elapsed.median,
            )
        }),
        figure("loss", "Jobs over links that lose datagrams", variations, of_jobs::loss(results), |part| {
            let base = part.rows.iter().filter(|it| it.loss > 0.0).map(|it| it.nodes).max().unwrap_or(0);
            varied(
                jobs,
                part,
                &|it| (it.nodes == base).then_some(100.0 * it.loss),
                &|x| format!("{x} % lost"),
                &|it, first| it.elapsed.median / first.elapsed.median,
            )
        }),
        figure(
            "goodput",
            "Goodput against loss",
            goodput,
            accesses::change(goodput, "From the least loss to the most"),
            |part| lines(part, ("datagrams lost", "%"), ("bytes per second", "B/s"), (false, true)),
        ),
        figure("datagrams", "Datagrams per call", datagrams, accesses::datagrams(datagrams), |part| {
            bars(part, "", "datagrams", false)
        }),
        figure("checks", "What a check costs and what it misses", checks, accesses::checks(checks), check_chart),
        figure("model", "The model beside the measurement", model, of_jobs::model(model), model_chart),
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
    (!part.rows.is_empty()).then(|| Figure { id, title, finding, caption: format!("{}.", part.how), chart: draw(part) })
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

/// All forms of a job.
fn trap_chart(part: &Part<Job>) -> Canvas {
    let mut names: Vec<String> = Vec::new();
    for form in
        part.rows.iter().flat_map(|job| &job.forms).filter(|form| !names.contains(&form.name)).collect::<Vec<_>>()
    {
        if !names.contains(&form.name) {
            names.push(form.name.clone());
        }
    }
    let rows = part.rows.iter().map(|job| {
        let of = |name: &String| job.forms.iter().find(|form| form.name == *name).map(|form| form.elapsed);
        let note = match (job.trap(Over::Dsm), job.trap(Over::Rpc)) {
            (Some(dsm), Some(rpc)) => format!("DSM {}x, RPC {}x", amount(dsm, ""), amount(rpc, "")),
            _ => String::new(),
        };
        Row { name: job.name.clone(), note, mark: Mark::Dots(names.iter().map(of).collect()) }
    });
    let rows = rows.collect();
    Rows { series: names, rows, unit: "s", axis: "time for the job", logarithmic: true }.draw()
}

/// A table of the best form of each job on each side: what varies across, and a number for each case, the warmer the farther from one.
fn varied(
    jobs: &Part<Job>,
    part: &Part<Variation>,
    across: &dyn Fn(&Variation) -> Option<f64>,
    heading: &dyn Fn(f64) -> String,
    number: &dyn Fn(&Variation, &Variation) -> f64,
) -> Canvas {
    let of = |job: &Job, form: &Form| {
        let matches =
            |it: &&Variation| it.job == job.name && it.form == form.name && it.size == job.size && across(it).is_some();
        let mut all: Vec<&Variation> = part.rows.iter().filter(matches).collect();
        all.sort_by(|a, b| across(a).partial_cmp(&across(b)).unwrap_or(std::cmp::Ordering::Equal));
        all.into_iter().cloned().collect::<Vec<Variation>>()
    };
    let mut columns: Vec<f64> = Vec::new();
    let mut rows = Vec::new();
    for job in &jobs.rows {
        for form in [Over::Dsm, Over::Rpc].into_iter().filter_map(|over| job.best(over)) {
            let all = of(job, form);
            if columns.len() < all.len() {
                columns = all.iter().filter_map(across).collect();
            }
            let Some(first) = all.first() else { continue };
            let cells = all.iter().map(|it| {
                let value = number(it, first);
                // A thousand times more or less is as warm as it gets.
                (amount(value, ""), value.max(f64::MIN_POSITIVE).log10().abs() / 3.0)
            });
            rows.push((format!("{} {}", job.name, form.name), cells.collect()));
        }
    }
    Heat { columns: columns.into_iter().map(heading).collect(), rows }.draw()
}

fn bars(part: &Part<Bar>, unit: &'static str, axis: &'static str, logarithmic: bool) -> Canvas {
    let mark =
        |spread: Spread| if logarithmic { Mark::Dots(vec![Some(spread)]) } else { Mark::Pieces(vec![spread.median]) };
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
    let series = of_jobs::TIMES.map(String::from).to_vec();
    let rows = part.rows.iter().flat_map(best).collect();
    Rows { series, rows, unit: "%", axis: "share of the time of all nodes", logarithmic: false }.draw()
}

/// A row for each kind of damage, a column for each check.
fn check_chart(part: &Part<Check>) -> Canvas {
    let columns = part.rows.iter().map(|check| format!("{}, {}", check.name, amount(check.cost, "s")));
    let damages = part.rows.first().map_or(&[][..], |check| &check.missed[..]).iter().map(|it| &it.damage);
    let rows = damages.map(|damage| {
        let cells =
            part.rows.iter().filter_map(|check| check.missed.iter().find(|it| it.damage == *damage)).map(|it| {
                let share = it.unnoticed as f64 / it.damaged.max(1) as f64;
                // One in a million is to be seen as well as all of them.
                let warmth = if share > 0.0 { (1.0 + share.log10() / 7.0).max(0.15) } else { 0.0 };
                (amount(it.unnoticed as f64, ""), warmth)
            });
        (damage.clone(), cells.collect())
    });
    Heat { rows: rows.collect(), columns: columns.collect() }.draw()
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
