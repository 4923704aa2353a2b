//! Of single accesses.

use super::{NOTHING, Winner, winner};
use crate::page::chart::amount;
use crate::page::results::{Bar, Check, Part, Series, Spread};

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
