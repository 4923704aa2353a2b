//! Curves with a band around them: how far they may be off.

use std::fmt::Write as _;

use super::{Canvas, Scale, WIDTH, amount, colour, symbol};
use crate::page::results::Series;

/// The chart.
#[derive(Clone, Debug)]
pub struct Lines {
    /// Each with its name.
    pub series: Vec<Series>,
    /// What is varied, and in which unit.
    pub across: (&'static str, &'static str),
    /// What comes of it, and in which unit.
    pub up: (&'static str, &'static str),
    /// Powers of ten: across, and up.
    pub logarithmic: (bool, bool),
}

const LEFT: f64 = 66.0;
const RIGHT: f64 = WIDTH - 22.0;
const HEIGHT: f64 = 220.0;

impl Lines {
    /// Draws it.
    pub fn draw(&self) -> Canvas {
        let mut canvas = Canvas::default();
        let names: Vec<String> = self.series.iter().map(|it| it.name.clone()).collect();
        let top = canvas.legend(&names, 2.0);
        canvas.text(4.0, top + 12.0, "soft", self.up.0);
        let frame = Frame { top: top + 24.0, across: self.scale_across(), up: self.scale_up() };
        self.draw_axes(&mut canvas, &frame);
        for (index, series) in self.series.iter().enumerate() {
            draw_series(&mut canvas, &frame, index, series);
        }
        canvas.reach(frame.top + HEIGHT + 42.0);
        canvas
    }

    fn scale_across(&self) -> Scale {
        let values = self.series.iter().flat_map(|it| it.points.iter().map(|point| point.x));
        if self.logarithmic.0 { Scale::logarithmic(values) } else { Scale::linear(values) }
    }

    fn scale_up(&self) -> Scale {
        let points = self.series.iter().flat_map(|it| &it.points);
        let values = points.flat_map(|point| [point.y.low, point.y.median, point.y.high]);
        if self.logarithmic.1 { Scale::logarithmic(values) } else { Scale::linear(values) }
    }

    fn draw_axes(&self, canvas: &mut Canvas, frame: &Frame) {
        let bottom = frame.top + HEIGHT;
        for tick in frame.up.ticks(7) {
            let y = frame.y(tick);
            canvas.rule((LEFT, y), (RIGHT, y));
            canvas.text(LEFT - 6.0, y + 4.0, "end soft", &amount(tick, self.up.1));
        }
        for tick in frame.across.ticks(6) {
            let x = frame.x(tick);
            canvas.rule((x, bottom), (x, bottom + 4.0));
            canvas.text(x, bottom + 17.0, "mid soft", &amount(tick, self.across.1));
        }
        canvas.text((LEFT + RIGHT) / 2.0, bottom + 35.0, "mid soft", self.across.0);
    }
}

struct Frame {
    top: f64,
    across: Scale,
    up: Scale,
}

impl Frame {
    fn x(&self, value: f64) -> f64 {
        LEFT + self.across.place(value) * (RIGHT - LEFT)
    }

    fn y(&self, value: f64) -> f64 {
        self.top + (1.0 - self.up.place(value)) * HEIGHT
    }
}

fn draw_series(canvas: &mut Canvas, frame: &Frame, index: usize, series: &Series) {
    let (mut line, mut band) = (String::new(), String::new());
    for point in &series.points {
        let letter = if line.is_empty() { 'M' } else { 'L' };
        let (x, y) = (frame.x(point.x), frame.y(point.y.median));
        // Writing to a string cannot fail.
        let _ = write!(line, "{letter}{x:.1} {y:.1}");
        let _ = write!(band, "{letter}{x:.1} {:.1}", frame.y(point.y.high));
    }
    for point in series.points.iter().rev() {
        let _ = write!(band, "L{:.1} {:.1}", frame.x(point.x), frame.y(point.y.low));
    }
    let colour = colour(index);
    canvas.raw(&format!(r#"<path class="band" fill="{colour}" d="{band}Z"/>"#));
    canvas.raw(&format!(r#"<path class="line" stroke="{colour}" d="{line}"/>"#));
    for point in &series.points {
        canvas.raw(&symbol(index, frame.x(point.x), frame.y(point.y.median)));
    }
}
