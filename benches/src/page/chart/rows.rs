//! A row for each thing, its name above: dots with whiskers, or bars of several pieces.

use super::{Canvas, Scale, WIDTH, amount, colour, symbol};
use crate::page::results::Spread;

/// What lies in a row.
#[derive(Clone, Debug)]
pub enum Mark {
    /// For each series that has one, a dot and how far it may be off.
    Dots(Vec<Option<Spread>>),
    /// Pieces of a bar, one for each series.
    Pieces(Vec<f64>),
}

/// A row.
#[derive(Clone, Debug)]
pub struct Row {
    /// What it is of.
    pub name: String,
    /// Its figures in words, at the right.
    pub note: String,
    /// Its figures.
    pub mark: Mark,
}

/// The chart.
#[derive(Clone, Debug)]
pub struct Rows {
    /// Names of the series; no legend when there is but one.
    pub series: Vec<String>,
    /// From top to bottom.
    pub rows: Vec<Row>,
    /// Of the numbers at the axis.
    pub unit: &'static str,
    /// What the axis shows.
    pub axis: &'static str,
    /// Powers of ten, or from nothing.
    pub logarithmic: bool,
}

const LEFT: f64 = 14.0;
const RIGHT: f64 = WIDTH - 22.0;
const ROW: f64 = 40.0;

impl Rows {
    /// Draws it.
    pub fn draw(&self) -> Canvas {
        let mut canvas = Canvas::default();
        let top = if self.series.len() > 1 { canvas.legend(&self.series, 2.0) } else { 4.0 };
        let bottom = top + ROW * self.rows.len() as f64 + 6.0;
        let scale = self.scale();
        for tick in scale.ticks(5) {
            let x = across(&scale, tick);
            canvas.rule((x, top), (x, bottom));
            let class = if x > WIDTH - 40.0 {
                "end soft"
            } else if x < 30.0 {
                "soft"
            } else {
                "mid soft"
            };
            let at = if class == "end soft" {
                WIDTH - 4.0
            } else if class == "soft" {
                4.0
            } else {
                x
            };
            canvas.text(at, bottom + 16.0, class, &amount(tick, self.unit));
        }
        for (index, row) in self.rows.iter().enumerate() {
            row.draw(&mut canvas, &scale, top + ROW * index as f64);
        }
        canvas.text(WIDTH / 2.0, bottom + 34.0, "mid soft", self.axis);
        canvas.reach(bottom + 42.0);
        canvas
    }

    fn scale(&self) -> Scale {
        let values = self.rows.iter().flat_map(|row| match &row.mark {
            Mark::Dots(dots) => dots.iter().flatten().flat_map(|it| [it.low, it.median, it.high]).collect(),
            Mark::Pieces(pieces) => vec![pieces.iter().sum()],
        });
        if self.logarithmic { Scale::logarithmic(values) } else { Scale::linear(values) }
    }
}

impl Row {
    fn draw(&self, canvas: &mut Canvas, scale: &Scale, top: f64) {
        canvas.text(4.0, top + 14.0, "strong", &self.name);
        canvas.text(WIDTH - 4.0, top + 14.0, "end", &self.note);
        let middle = top + 27.0;
        match &self.mark {
            Mark::Dots(dots) => {
                for (index, spread) in dots.iter().enumerate().filter_map(|(index, it)| it.map(|it| (index, it))) {
                    canvas.raw(&whisker(index, across(scale, spread.low), across(scale, spread.high), middle));
                    canvas.raw(&symbol(index, across(scale, spread.median), middle));
                }
            }
            Mark::Pieces(pieces) => {
                let mut sum = 0.0;
                for (index, piece) in pieces.iter().enumerate() {
                    let from = across(scale, sum);
                    sum += piece;
                    let width = across(scale, sum) - from;
                    if width > 0.2 {
                        canvas.raw(&format!(
                            r#"<rect x="{from:.1}" y="{:.1}" width="{width:.1}" height="14" fill="{}"/>"#,
                            middle - 7.0,
                            colour(index)
                        ));
                    }
                }
            }
        }
    }
}

fn across(scale: &Scale, value: f64) -> f64 {
    LEFT + scale.place(value) * (RIGHT - LEFT)
}

fn whisker(index: usize, low: f64, high: f64, y: f64) -> String {
    let (top, bottom) = (y - 5.0, y + 5.0);
    format!(
        r#"<path class="whisker" stroke="{}" fill="none" d="M{low:.1} {y:.1}H{high:.1}M{low:.1} {top:.1}V{bottom:.1}M{high:.1} {top:.1}V{bottom:.1}"/>"#,
        colour(index)
    )
}
