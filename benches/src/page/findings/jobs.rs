//! Of whole jobs.

use super::{NOTHING, Winner};
use crate::page::chart::amount;
use crate::page::results::{Death, Job, Over, Part, Prediction, Results, Time, Variation};

/// The widest wins on both sides.
pub fn jobs(part: &Part<Job>) -> String {
    let (mut dsm, mut rpc, mut even) = (Vec::<(&str, f64)>::new(), Vec::<(&str, f64)>::new(), Vec::<&str>::new());
    for job in &part.rows {
        match job.winner() {
            Some(Winner::Dsm(factor)) => dsm.push((&job.name, factor)),
            Some(Winner::Rpc(factor)) => rpc.push((&job.name, factor)),
            Some(Winner::Neither) => even.push(&job.name),
            None => {}
        }
    }
    let widest = |who: &str, wins: &[(&str, f64)]| match wins.iter().max_by(|a, b| a.1.total_cmp(&b.1)) {
        Some((job, factor)) => format!("{who} wins most clearly in {job}, by a factor of {}. ", amount(*factor, "")),
        None => format!("{who} wins no job. "),
    };
    if dsm.is_empty() && rpc.is_empty() && even.is_empty() {
        return NOTHING.into();
    }
    let even = if even.is_empty() {
        "Every difference exceeds the intervals.".into()
    } else {
        format!("No difference beyond the confidence intervals in {}.", even.join(", "))
    };
    format!("{}{}{even}", widest("Shared memory", &dsm), widest("RPC", &rpc))
}

/// How much the naive forms take beside the good ones.
pub fn traps(part: &Part<Job>) -> String {
    let worst = |over| {
        let all = part.rows.iter().filter_map(|job| Some((job.name.as_str(), job.trap(over)?)));
        all.max_by(|a, b| a.1.total_cmp(&b.1))
    };
    match (worst(Over::Dsm), worst(Over::Rpc)) {
        (Some(dsm), Some(rpc)) => format!(
            "The naive form takes up to {} times as long as the good one over shared memory ({}), and up to {} times over RPC ({}). In {} of \
             {} jobs the good form of either beats the naive form of the other.",
            amount(dsm.1, ""),
            dsm.0,
            amount(rpc.1, ""),
            rpc.0,
            part.rows.iter().filter(|job| job.good_beats_naive()).count(),
            part.rows.len()
        ),
        _ => NOTHING.into(),
    }
}

/// Names of the parts of a job's time.
pub const TIMES: [&str; 5] =
    ["computing", "waiting for pages", "waiting for locks and atomics", "waiting at barriers", "waiting for replies"];

impl Time {
    /// In the order of [`TIMES`].
    pub fn parts(&self) -> [f64; 5] {
        [self.computing, self.pages, self.locks, self.barriers, self.calls]
    }
}

/// On what most of the time goes, for the best forms on each side.
pub fn time(part: &Part<Job>) -> String {
    let most = |over| {
        let forms = part.rows.iter().filter_map(|job: &Job| job.best(over));
        let sums = forms.fold([0.0; 5], |mut sums, form| {
            let whole: f64 = form.time.parts().iter().sum();
            if whole > 0.0 {
                sums.iter_mut().zip(form.time.parts()).for_each(|(sum, part)| *sum += part / whole);
            }
            sums
        });
        let whole: f64 = sums.iter().sum();
        let best = TIMES.iter().zip(sums).max_by(|a, b| a.1.total_cmp(&b.1));
        best.filter(|_| whole > 0.0).map(|(name, share)| (*name, 100.0 * share / whole))
    };
    match (most(Over::Dsm), most(Over::Rpc)) {
        (Some(dsm), Some(rpc)) => format!(
            "In its best forms shared memory spends most of its time {} ({:.0} %), RPC {} ({:.0} %).",
            dsm.0, dsm.1, rpc.0, rpc.1
        ),
        _ => NOTHING.into(),
    }
}

/// The variations of a job's best form over this.
fn of_best<'r>(results: &'r Results, job: &'r Job, over: Over) -> impl Iterator<Item = &'r Variation> {
    let form = job.best(over).map(|form| form.name.as_str());
    results
        .variations
        .rows
        .iter()
        .filter(move |it| it.job == job.name && Some(it.form.as_str()) == form && it.size == job.size)
}

/// What becomes quicker with more nodes.
pub fn scaling(results: &Results) -> String {
    let most = results.variations.rows.iter().map(|it| it.nodes).max().unwrap_or(0);
    let speed_up = |it: &Variation| it.plain.median / it.elapsed.median;
    let side = |over, name: &str| {
        let at = results
            .jobs
            .rows
            .iter()
            .flat_map(|job| of_best(results, job, over))
            .filter(|it| it.nodes == most && it.loss == 0.0);
        let all: Vec<&Variation> = at.collect();
        let best = all.iter().max_by(|a, b| speed_up(a).total_cmp(&speed_up(b)))?;
        let quicker = all.iter().filter(|it| speed_up(it) > 1.0).count();
        Some(format!(
            "{name} in its best forms beats one plain process in {quicker} of {} jobs at {most} nodes; its best speed-up is {} ({})",
            all.len(),
            amount(speed_up(best), ""),
            best.job
        ))
    };
    let sides: Vec<String> = [side(Over::Dsm, "shared memory"), side(Over::Rpc, "RPC")].into_iter().flatten().collect();
    if sides.is_empty() {
        NOTHING.into()
    } else {
        format!("Against the same work in one process: {}.", sides.join("; "))
    }
}

/// How much longer the jobs take when datagrams are lost.
pub fn loss(results: &Results) -> String {
    let most = results.variations.rows.iter().map(|it| it.loss).fold(0.0, f64::max);
    if most == 0.0 {
        return "Loss was not measured.".into();
    }
    let side = |over, name: &str| {
        let mut factors: Vec<(f64, &str)> = Vec::new();
        for job in &results.jobs.rows {
            let Some(lossy) = of_best(results, job, over).find(|it| it.loss == most) else { continue };
            let clean = of_best(results, job, over).find(|it| it.loss == 0.0 && it.nodes == lossy.nodes);
            factors.extend(clean.map(|clean| (lossy.elapsed.median / clean.elapsed.median, job.name.as_str())));
        }
        factors.sort_by(|a, b| a.0.total_cmp(&b.0));
        let (middle, worst) = (factors.get(factors.len() / 2)?, factors.last()?);
        Some(format!(
            "{name} takes {} times as long (median of the jobs; at worst {}, {})",
            amount(middle.0, ""),
            amount(worst.0, ""),
            worst.1
        ))
    };
    let sides: Vec<String> = [side(Over::Dsm, "shared memory"), side(Over::Rpc, "RPC")].into_iter().flatten().collect();
    format!("With {:.0} % of the datagrams lost, in the best forms: {}.", 100.0 * most, sides.join("; "))
}

/// How good the model is, and what it leaves out where it is bad.
pub fn model(part: &Part<Prediction>) -> String {
    let all = part.rows.len();
    if all == 0 {
        return NOTHING.into();
    }
    let within = |factor: f64| part.rows.iter().filter(|it| it.off() <= factor).count();
    let mut left_out: Vec<&str> = Vec::new();
    for reason in part.rows.iter().filter(|it| it.off() > 1.3).flat_map(|it| it.leaves_out.split("; ")) {
        if !reason.is_empty() && !left_out.contains(&reason) {
            left_out.push(reason);
        }
    }
    let rest = if left_out.is_empty() {
        String::new()
    } else {
        format!(" Where it is further off, it leaves out: {}.", left_out.join("; "))
    };
    let quickest = quickest(&part.rows);
    let of_jobs = |factor: f64| quickest.iter().filter(|it| it.off() <= factor).count();
    format!(
        "Of {} jobs, each in its quickest form, {} are predicted within 30 % and {} within a factor of 2; of all {all} predictions {} and {}.{rest}",
        quickest.len(),
        of_jobs(1.3),
        of_jobs(2.0),
        within(1.3),
        within(2.0)
    )
}

/// The prediction of each job's quickest form.
fn quickest(all: &[Prediction]) -> Vec<&Prediction> {
    let mut quickest: Vec<&Prediction> = Vec::new();
    for it in all {
        match quickest.iter_mut().find(|other| other.job == it.job) {
            Some(other) if it.measured.median < other.measured.median => *other = it,
            Some(_) => {}
            None => quickest.push(it),
        }
    }
    quickest
}

/// What became of the jobs of which a process died.
pub fn deaths(rows: &[Death]) -> String {
    let each = rows.iter().map(|death| {
        let Death { over, done, of, answered, pause, said } = death;
        let name = match over {
            Over::Dsm => "shared memory",
            Over::Rpc => "RPC",
        };
        let pause = amount(*pause, "s");
        if *answered {
            format!("Over {name} the job stood still for {pause}, went on, and gave the right answer ({said}).")
        } else {
            format!("Over {name} the job ended {pause} after the death, with {done} of {of} shares done and no answer ({said}).")
        }
    });
    each.collect::<Vec<_>>().join(" ")
}
