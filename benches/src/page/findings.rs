//! What the figures show, in sentences that are made from the figures: other figures, other sentences.

use super::chart::amount;
use super::results::{Bar, Check, Death, Form, Job, Over, Part, Prediction, Results, Series, Spread, Variation};
use crate::curves::calls::NULL_CALL;
use examples::ladder::Rung;

/// Who needs less time.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Winner {
    /// Shared memory, by this factor.
    Dsm(f64),
    /// Calls, by this factor.
    Rpc(f64),
    /// The intervals meet.
    Neither,
}

/// Compares two times.
pub fn winner(dsm: &Spread, rpc: &Spread) -> Winner {
    if dsm.below(rpc) {
        Winner::Dsm(rpc.median / dsm.median)
    } else if rpc.below(dsm) {
        Winner::Rpc(dsm.median / rpc.median)
    } else {
        Winner::Neither
    }
}

impl Job {
    /// Its quickest form over this.
    pub fn best(&self, over: Over) -> Option<&Form> {
        let forms = self.forms.iter().filter(|form| form.over == over);
        forms.min_by(|a, b| a.elapsed.median.total_cmp(&b.elapsed.median))
    }

    /// Its best forms against each other, if there are both.
    pub fn winner(&self) -> Option<Winner> {
        Some(winner(&self.best(Over::Dsm)?.elapsed, &self.best(Over::Rpc)?.elapsed))
    }
}

impl Job {
    /// How many times longer the worst form over this takes than the best.
    pub fn trap(&self, over: Over) -> Option<f64> {
        let times = self.forms.iter().filter(|form| form.over == over).map(|form| form.elapsed.median);
        let best = self.best(over)?.elapsed.median;
        Some(times.fold(best, f64::max) / best)
    }
}

const NOTHING: &str = "Nothing was measured.";

/// Who wins how many jobs, and where the crossing is.
pub fn verdict(results: &Results) -> String {
    let [dsm, rpc, neither] = tally(&results.jobs.rows);
    if dsm + rpc + neither == 0 {
        return NOTHING.into();
    }
    let lead = match dsm.cmp(&rpc) {
        std::cmp::Ordering::Greater => "Shared memory wins more jobs",
        std::cmp::Ordering::Less => "RPC wins more jobs",
        std::cmp::Ordering::Equal => "Neither abstraction wins more jobs",
    };
    let all = dsm + rpc + neither;
    format!(
        "{lead}: of {all}, each in its best forms, shared memory wins {dsm}, RPC wins {rpc}, and in {neither} the difference is within \
         the confidence intervals. {}",
        crossing(&results.crossing)
    )
}

/// Jobs won by shared memory, by calls, by neither.
fn tally(jobs: &[Job]) -> [usize; 3] {
    let mut counts = [0; 3];
    for winner in jobs.iter().filter_map(Job::winner) {
        counts[match winner {
            Winner::Dsm(_) => 0,
            Winner::Rpc(_) => 1,
            Winner::Neither => 2,
        }] += 1;
    }
    counts
}

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

/// From the first rung to the last, and the widest step.
pub fn ladder(part: &Part<Bar>) -> String {
    let mut rungs: Vec<&Bar> = part.rows.iter().filter(|it| it.value.median > 0.0).collect();
    rungs.sort_by(|a, b| a.value.median.total_cmp(&b.value.median));
    let (Some(first), Some(last)) = (rungs.first(), rungs.last()) else { return NOTHING.into() };
    let step = |pair: &[&Bar]| pair[1].value.median / pair[0].value.median;
    let text = format!(
        "From {} ({}) to {} ({}) the cost grows {} times.",
        first.name,
        amount(first.value.median, "s"),
        last.name,
        amount(last.value.median, "s"),
        amount(last.value.median / first.value.median, "")
    );
    match rungs.windows(2).max_by(|a, b| step(a).total_cmp(&step(b))) {
        Some(pair) => {
            format!(
                "{text} The widest step, {} times, is from {} to {}.",
                amount(step(pair), ""),
                pair[0].name,
                pair[1].name
            )
        }
        None => text,
    }
}

/// From how many accesses a page on shared memory wins, against each kind of call.
pub fn crossing(part: &Part<Series>) -> String {
    let Some((dsm, others)) = part.rows.split_first() else { return "Where they cross was not measured.".into() };
    let each = others.iter().map(|other| {
        let ends = (ordered(dsm, other, false), ordered(dsm, other, true));
        match (between(dsm, other), ends) {
            (Some(x), (_, Some(Winner::Dsm(_)))) => {
                format!("From about {} accesses a page on, {} is cheaper than {}.", amount(x, ""), dsm.name, other.name)
            }
            (Some(x), _) => {
                format!("Up to about {} accesses a page, {} is cheaper than {}.", amount(x, ""), dsm.name, other.name)
            }
            (None, (_, Some(Winner::Dsm(_)))) => {
                format!("{} is cheaper than {} wherever the intervals differ.", dsm.name, other.name)
            }
            (None, (_, Some(Winner::Rpc(_)))) => {
                format!("{} is cheaper than {} wherever the intervals differ.", other.name, dsm.name)
            }
            _ => format!("{} and {} do not differ beyond the intervals.", dsm.name, other.name),
        }
    });
    each.collect::<Vec<_>>().join(" ")
}

/// Who is lower at the first or the last point that both have.
fn ordered(a: &Series, b: &Series, last: bool) -> Option<Winner> {
    let pairs = common(a, b);
    let (_, left, right) = if last { pairs.last() } else { pairs.first() }?;
    Some(winner(left, right))
}

/// The points that two curves have at the same places.
fn common(a: &Series, b: &Series) -> Vec<(f64, Spread, Spread)> {
    let at = |x: f64| b.points.iter().find(|point| point.x == x);
    a.points.iter().filter_map(|point| Some((point.x, point.y, at(point.x)?.y))).collect()
}

/// Where two curves cross for the last time: the middle, in powers, of the two points between which they do so for certain.
fn between(a: &Series, b: &Series) -> Option<f64> {
    let sure = |(x, left, right): &(f64, Spread, Spread)| match winner(left, right) {
        Winner::Dsm(_) => Some((*x, true)),
        Winner::Rpc(_) => Some((*x, false)),
        Winner::Neither => None,
    };
    let points: Vec<(f64, bool)> = common(a, b).iter().filter_map(sure).collect();
    let pair = points.windows(2).rev().find(|pair| pair[0].1 != pair[1].1)?;
    let (low, high) = (pair[0].0, pair[1].0);
    Some(if low > 0.0 { (low * high).sqrt() } else { (low + high) / 2.0 })
}

/// How each curve changes from its first point to its last.
pub fn change(part: &Part<Series>, from: &str) -> String {
    let each = part.rows.iter().filter_map(|series| {
        let (first, last) = (series.points.first()?, series.points.last()?);
        let (before, after) = (first.y, last.y);
        let what = if before.below(&after) {
            format!("grows {} times", amount(after.median / before.median, ""))
        } else if after.below(&before) {
            format!("falls to {} %", amount(100.0 * after.median / before.median, ""))
        } else {
            "does not change beyond its interval".into()
        };
        Some(format!("{} {what}", series.name))
    });
    let each: Vec<String> = each.collect();
    if each.is_empty() { NOTHING.into() } else { format!("{from}: {}.", each.join("; ")) }
}

/// Least and most.
pub fn datagrams(part: &Part<Bar>) -> String {
    let by = |a: &&Bar, b: &&Bar| a.value.median.total_cmp(&b.value.median);
    match (part.rows.iter().min_by(by), part.rows.iter().max_by(by)) {
        (Some(least), Some(most)) if most.value.median > least.value.median => format!(
            "The least is {} ({}), the most {} ({}).",
            least.name,
            amount(least.value.median, ""),
            most.name,
            amount(most.value.median, "")
        ),
        (Some(any), _) => format!("Every kind takes {} datagrams.", amount(any.value.median, "")),
        _ => NOTHING.into(),
    }
}

/// Which checks let something through, and which does so least for its cost.
pub fn checks(part: &Part<Check>) -> String {
    if part.rows.is_empty() {
        return NOTHING.into();
    }
    let sound = part.rows.iter().filter(|check| check.missed.iter().all(|it| it.unnoticed == 0));
    let leaky: Vec<&str> =
        part.rows.iter().filter(|it| it.missed.iter().any(|it| it.unnoticed > 0)).map(|it| &*it.name).collect();
    let cheapest = match sound.min_by(|a, b| a.cost.total_cmp(&b.cost)) {
        Some(check) => format!(
            "The cheapest check that missed nothing is {}, at {} a datagram.",
            check.name,
            amount(check.cost, "s")
        ),
        None => "No check noticed everything.".into(),
    };
    if leaky.is_empty() { cheapest } else { format!("{cheapest} Deceived at least once: {}.", leaky.join(", ")) }
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

/// Names of the parts of a job's time.
pub const TIMES: [&str; 5] =
    ["computing", "waiting for pages", "waiting for locks and atomics", "waiting at barriers", "waiting for replies"];

impl super::results::Time {
    /// In the order of [`TIMES`].
    pub fn parts(&self) -> [f64; 5] {
        [self.computing, self.pages, self.locks, self.barriers, self.calls]
    }
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
    format!("Of {all} predictions {} are within 30 %, {} within a factor of 2.{rest}", within(1.3), within(2.0))
}

/// Three numbers and what they are of.
pub fn headlines(results: &Results) -> Vec<(String, String)> {
    let rung = |name: &str| results.ladder.rows.iter().find(|bar| bar.name == name).map(|bar| bar.value.median);
    let mut all = Vec::new();
    if let (Some(load), Some(fetch)) = (rung(Rung::CachedLoad.words()), rung(Rung::RemoteRead.words())) {
        let times = amount(fetch / load, "");
        let (fetch, load) = (amount(fetch, "s"), amount(load, "s"));
        all.push((
            format!("{times}x"),
            format!("a read that is fetched from another process ({fetch}) against a load of what is here ({load})"),
        ));
    }
    if let (Some(fetch), Some(call)) = (rung(Rung::RemoteRead.words()), rung(NULL_CALL)) {
        all.push((
            format!("{} calls", amount(fetch / call, "")),
            format!("for the price of one fetched page: a call takes {}", amount(call, "s")),
        ));
    }
    let worst = |over| results.jobs.rows.iter().filter_map(|job| job.trap(over)).fold(1.0, f64::max);
    if !results.jobs.rows.is_empty() {
        let (dsm, rpc) = (amount(worst(Over::Dsm), ""), amount(worst(Over::Rpc), ""));
        all.push((
            format!("{dsm}x and {rpc}x"),
            "what the trap costs at its worst: the naive form against the good one, DSM and RPC".into(),
        ));
    }
    all
}

/// How much the naive forms take beside the good ones.
pub fn traps(part: &Part<Job>) -> String {
    let worst = |over| {
        let all = part.rows.iter().filter_map(|job| Some((job.name.as_str(), job.trap(over)?)));
        all.max_by(|a, b| a.1.total_cmp(&b.1))
    };
    let beats = |job: &&Job| {
        let naive = |over| {
            job.forms.iter().filter(move |form| form.over == over).map(|form| form.elapsed.median).fold(0.0, f64::max)
        };
        matches!(
            (job.best(Over::Dsm), job.best(Over::Rpc)),
            (Some(dsm), Some(rpc)) if dsm.elapsed.median < naive(Over::Rpc) && rpc.elapsed.median < naive(Over::Dsm)
        )
    };
    match (worst(Over::Dsm), worst(Over::Rpc)) {
        (Some(dsm), Some(rpc)) => format!(
            "The naive form takes up to {} times as long as the good one over shared memory ({}), and up to {} times over RPC ({}). In {} of \
             {} jobs the good form of either beats the naive form of the other.",
            amount(dsm.1, ""),
            dsm.0,
            amount(rpc.1, ""),
            rpc.0,
            part.rows.iter().filter(beats).count(),
            part.rows.len()
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
