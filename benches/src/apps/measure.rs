//! The launches, and what came of them.

use std::collections::BTreeMap;

use examples::figures::Totals;
use examples::pairs;

use super::node::{Orders, Run};
use super::{Case, Plan};
use crate::launch;
use crate::page::results::{Form, Job, Over, Spread, Time, Variation};

/// All runs of a form under the same circumstances, by job and form.
pub type Runs = BTreeMap<(String, String, Case), Vec<Run>>;

/// Launches every case of a round, and calls `progress` before each.
///
/// # Errors
///
/// A launch failed, or a job gave a wrong answer: a sentence for the user.
pub fn measure(plan: &Plan, round: usize, runs: &mut Runs, mut progress: impl FnMut(Case)) -> Result<(), String> {
    for case in plan.round(round) {
        progress(case);
        for run in launch_once(plan, case, round as u64)? {
            runs.entry((run.job.clone(), run.form.clone(), case)).or_default().push(run);
        }
    }
    Ok(())
}

fn launch_once(plan: &Plan, case: Case, seed: u64) -> Result<Vec<Run>, String> {
    let orders = Orders { quick: plan.quick, size: case.size, jobs: plan.jobs.clone() };
    let mut spec = launch::own_job(case.nodes, "app", &orders)?;
    spec.impairments.loss = f64::from(case.loss) / 100.0;
    spec.impairments.seed = seed;
    let run = |line: &str| serde_json::from_str(line).map_err(|error| format!("a node said `{line}`: {error}"));
    let failed = |why| format!("{} nodes, {} % loss: {why}", case.nodes, case.loss);
    launch::printed(spec).map_err(failed)?.lines().map(run).collect()
}

/// The jobs at the base case.
pub fn jobs(plan: &Plan, runs: &Runs) -> Vec<Job> {
    let all = pairs::ALL.iter().map(|pair| {
        let runs_of = |form: &str| runs.get(&(pair.name.into(), form.into(), Case::BASE));
        let forms = pair.forms.iter().filter_map(|form| {
            let runs = runs_of(form.name)?;
            let middle = middle(runs)?;
            let total: Totals = middle.nodes.iter().copied().sum();
            Some(Form {
                name: form.name.into(),
                what: form.what.into(),
                over: over(form.over),
                lines: pair.lines(form),
                elapsed: Spread::of(runs.iter().map(|run| run.elapsed).collect()),
                time: time(middle),
                total,
                nodes: middle.nodes.clone(),
            })
        });
        let of_all = |seconds: fn(&Run) -> f64| {
            Spread::of(pair.forms.iter().filter_map(|form| runs_of(form.name)).flatten().map(seconds).collect())
        };
        Job {
            name: pair.name.into(),
            shows: pair.shows.into(),
            size: Case::BASE.size.of(pair, plan.quick),
            unit: pair.unit.into(),
            plain: of_all(|run| run.plain),
            together: of_all(|run| run.together),
            forms: forms.collect(),
        }
    });
    all.filter(|job| !job.forms.is_empty()).collect()
}

/// All cases of all forms.
pub fn variations(plan: &Plan, runs: &Runs) -> Vec<Variation> {
    let variation = |((job, form, case), runs): (&(String, String, Case), &Vec<Run>)| {
        let pair = pairs::ALL.iter().find(|pair| pair.name == job)?;
        Some(Variation {
            job: job.clone(),
            form: form.clone(),
            over: over(pair.forms.iter().find(|it| it.name == form)?.over),
            nodes: case.nodes,
            loss: f64::from(case.loss) / 100.0,
            size: case.size.of(pair, plan.quick),
            elapsed: Spread::of(runs.iter().map(|run| run.elapsed).collect()),
            plain: Spread::of(runs.iter().map(|run| run.plain).collect()),
            total: middle(runs)?.nodes.iter().copied().sum(),
        })
    };
    runs.iter().filter_map(variation).collect()
}

fn over(over: pairs::Over) -> Over {
    match over {
        pairs::Over::Dsm => Over::Dsm,
        pairs::Over::Rpc => Over::Rpc,
    }
}

/// The run that took the median time: its counts belong together.
fn middle(runs: &[Run]) -> Option<&Run> {
    let mut sorted: Vec<&Run> = runs.iter().collect();
    sorted.sort_by(|a, b| a.elapsed.total_cmp(&b.elapsed));
    sorted.get(sorted.len() / 2).copied()
}

/// Where the time of all nodes went. Threads of one node may wait at the same time, so what they waited may exceed what there was: then
/// nothing is left for computing.
fn time(run: &Run) -> Time {
    let total: Totals = run.nodes.iter().copied().sum();
    let locks = total.lock_wait + total.atomic_wait;
    let [pages, locks, barriers, calls] =
        [total.page_wait, locks, total.barrier_wait, total.call_wait].map(|wait| wait.as_secs_f64());
    let whole = run.elapsed * run.nodes.len() as f64;
    Time { computing: (whole - pages - locks - barriers - calls).max(0.0), pages, locks, barriers, calls }
}
