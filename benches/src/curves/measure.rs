//! The launches, and what came of them.

use std::time::Duration;

use super::node::Orders;
use super::{Curve, Sample};
use crate::launch;
use crate::loss::lines::{self, relay};
use crate::loss::report::OURS;
use crate::page::results::{Bar, Point, Series, Spread};

/// The series of results over a line with loss.
const LINE: &str = "RPC, results over 100 Mbit/s and 10 ms";

/// How many launches of each, and how large.
#[derive(Clone, Copy, Debug)]
pub struct Plan {
    /// Whether all is so small that it takes less than a minute.
    pub quick: bool,
    /// Launches of each curve.
    pub launches: usize,
}

/// A launch of a curve: how many nodes, and what its point is.
#[derive(Clone, Copy, Debug)]
struct Launch {
    curve: Curve,
    nodes: usize,
    x: u32,
}

/// A place on a curve, and what each launch measured there.
type Runs = (f64, Vec<f64>);

/// What all launches measured.
#[derive(Clone, Debug, Default)]
pub struct Measured(Vec<(Curve, Sample)>);

impl Plan {
    /// In full, or in small.
    pub fn new(quick: bool) -> Plan {
        Plan { quick, launches: if quick { 2 } else { 5 } }
    }

    fn round(&self) -> Vec<Launch> {
        let launch = |curve, nodes, x| Launch { curve, nodes, x };
        let mut all = vec![
            launch(Curve::Ladder, examples::ladder::NODES, 0),
            launch(Curve::Crossing, 2, 0),
            launch(Curve::Writes, 2, 0),
            launch(Curve::Datagrams, 2, 0),
        ];
        all.extend((1..=4).map(|nodes| launch(Curve::Sharing, nodes, nodes as u32)));
        all.extend(lines::LOSSES.map(|loss| launch(Curve::Stream, 2, loss)));
        all
    }

    /// How often [`Measured::measure`] calls `progress`, in all rounds together.
    pub fn steps(&self) -> usize {
        self.launches * (self.round().len() + lines::LOSSES.len())
    }
}

impl Measured {
    /// Launches every curve once, and calls `progress` before each launch.
    ///
    /// # Errors
    ///
    /// A launch failed: a sentence for the user.
    pub fn measure(&mut self, plan: Plan, round: usize, mut progress: impl FnMut(&str)) -> Result<(), String> {
        for launch in plan.round() {
            progress(&format!("{:?}", launch.curve).to_lowercase());
            self.launch(launch, plan.quick, round)?;
        }
        for loss in lines::LOSSES {
            progress("goodput");
            self.0.push((Curve::Stream, goodput(plan, loss, round)?));
        }
        Ok(())
    }

    /// Launches the ladder alone once.
    ///
    /// # Errors
    ///
    /// A launch failed: a sentence for the user.
    pub fn measure_ladder(&mut self, quick: bool, round: usize) -> Result<(), String> {
        self.launch(Launch { curve: Curve::Ladder, nodes: examples::ladder::NODES, x: 0 }, quick, round)
    }

    fn launch(&mut self, launch: Launch, quick: bool, round: usize) -> Result<(), String> {
        let samples = launch_once(launch, quick, round as u64)?;
        self.0.extend(samples.into_iter().map(|sample| (launch.curve, sample)));
        Ok(())
    }
}

fn launch_once(Launch { curve, nodes, x }: Launch, quick: bool, seed: u64) -> Result<Vec<Sample>, String> {
    let mut spec = launch::own_job(nodes, "curve", &Orders { curve, quick, x })?;
    if curve == Curve::Stream {
        spec.impairments.loss = f64::from(x) / 100.0;
        spec.impairments.seed = seed;
    }
    let sample = |line: &str| serde_json::from_str(line).map_err(|error| format!("a node said `{line}`: {error}"));
    launch::printed(spec).map_err(|why| format!("{curve:?}: {why}"))?.lines().map(sample).collect()
}

fn goodput(plan: Plan, loss: u32, round: usize) -> Result<Sample, String> {
    let counting = Duration::from_millis(if plan.quick { 300 } else { 3_000 });
    let over = lines::Plan { launches: plan.launches, counting, seed: 1 };
    let figures = relay::over_sockets(over, OURS.parse()?, loss, round)?;
    let megabytes = figures.first().ok_or("the caller measured nothing")?.p50;
    Ok(Sample { series: LINE.into(), x: f64::from(loss), y: megabytes * 1e6 })
}

impl Measured {
    /// The series of a curve, in the order in which they were met, each with its points from left to right.
    pub fn series(&self, curve: Curve) -> Vec<Series> {
        let mut all: Vec<(&str, Vec<Runs>)> = Vec::new();
        for Sample { series, x, y } in self.0.iter().filter(|(of, _)| *of == curve).map(|(_, sample)| sample) {
            let place = all.iter().position(|(name, _)| name == series).unwrap_or_else(|| {
                all.push((series, Vec::new()));
                all.len() - 1
            });
            let Some((_, points)) = all.get_mut(place) else { continue };
            match points.iter_mut().find(|(other, _)| other == x) {
                Some((_, runs)) => runs.push(*y),
                None => points.push((*x, vec![*y])),
            }
        }
        let series = all.into_iter().map(|(name, mut points)| {
            points.sort_by(|a, b| a.0.total_cmp(&b.0));
            let points = points.into_iter().map(|(x, runs)| Point { x, y: Spread::of(runs) });
            Series { name: name.into(), points: points.collect() }
        });
        series.collect()
    }

    /// A curve whose series are single figures.
    pub fn bars(&self, curve: Curve) -> Vec<Bar> {
        let bar = |series: Series| Some(Bar { value: series.points.first()?.y, name: series.name });
        self.series(curve).into_iter().filter_map(bar).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn launches_of_a_point_are_put_together() {
        let sample = |series: &str, x, y| (Curve::Writes, Sample { series: series.into(), x, y });
        let measured =
            Measured(vec![sample("b", 2.0, 5.0), sample("a", 0.0, 1.0), sample("b", 1.0, 4.0), sample("b", 2.0, 7.0)]);
        let series = measured.series(Curve::Writes);
        assert_eq!(series.iter().map(|it| it.name.as_str()).collect::<Vec<_>>(), ["b", "a"]);
        let points: Vec<(f64, f64)> = series[0].points.iter().map(|point| (point.x, point.y.median)).collect();
        assert_eq!(points, [(1.0, 4.0), (2.0, 6.0)]);
        assert_eq!(measured.bars(Curve::Ladder), []);
    }
}
