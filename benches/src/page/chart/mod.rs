//! Charts as SVG: text in text nodes, colours that follow the reader's choice of dark or light, wide enough for a phone and no wider.
//!
//! Every chart is [`WIDTH`] units wide with letters of 12 units, so that on a screen of 400 points they are 10 points high.
//! The colours are those of Okabe and Ito ("Color Universal Design", 2008), which the colour-blind can tell apart; on dark ground
//! the same, a little lighter.

mod heat;
mod lines;
mod rows;
mod scale;

pub use heat::Heat;
pub use lines::Lines;
pub use rows::{Mark, Row, Rows};
pub use scale::{Scale, amount};

use std::fmt::Write as _;

/// Units from side to side.
pub const WIDTH: f64 = 440.0;

/// Colours and letters, for a chart that stands alone and for the page.
pub const STYLE: &str = "\
:root{--ground:#fff;--ink:#1a1a1a;--soft:#595959;--rule:#d5d5d5;--c0:#0072b2;--c1:#c44e00;--c2:#00805c;--c3:#a3477f;--c4:#7a6a00;--heat:196,78,0}\
@media(prefers-color-scheme:dark){:root{--ground:#16181b;--ink:#ececec;--soft:#b0b0b0;--rule:#3d4146;--c0:#56b4e9;--c1:#f0883e;\
--c2:#2fc39a;--c3:#e08fc0;--c4:#e6d34a;--heat:240,136,62}}\
.chart{font:12px system-ui,sans-serif;fill:var(--ink)}.chart text{font-size:12px}.chart .soft{fill:var(--soft)}\
.chart .end{text-anchor:end}.chart .mid{text-anchor:middle}.chart .rule{stroke:var(--rule);fill:none}\
.chart .line{fill:none;stroke-width:2}.chart .band{opacity:.2;stroke:none}.chart .whisker{stroke-width:1.5}\
.chart .strong{font-weight:600}";

/// A chart that is being drawn.
#[derive(Debug, Default)]
pub struct Canvas {
    body: String,
    height: f64,
}

impl Canvas {
    /// Text at a place; `class` says how it lies.
    pub fn text(&mut self, x: f64, y: f64, class: &str, text: &str) {
        // Writing to a string cannot fail.
        let _ = write!(self.body, r#"<text x="{x:.1}" y="{y:.1}" class="{class}">{}</text>"#, escape(text));
    }

    /// A thin line behind the figures.
    pub fn rule(&mut self, from: (f64, f64), to: (f64, f64)) {
        let ((x1, y1), (x2, y2)) = (from, to);
        let _ = write!(self.body, r#"<path class="rule" d="M{x1:.1} {y1:.1}L{x2:.1} {y2:.1}"/>"#);
    }

    /// Anything else, as markup that holds nothing from outside.
    fn raw(&mut self, markup: &str) {
        self.body.push_str(markup);
    }

    /// So much room downwards is used.
    pub fn reach(&mut self, height: f64) {
        self.height = self.height.max(height);
    }

    /// Names beside their colours, in as many lines as it takes; tells where they end.
    fn legend(&mut self, names: &[String], top: f64) -> f64 {
        let (mut x, mut y) = (8.0, top + 14.0);
        for (index, name) in names.iter().enumerate() {
            let width = 22.0 + text_width(name) + 10.0;
            if x + width > WIDTH && x > 8.0 {
                (x, y) = (8.0, y + 18.0);
            }
            let _ = write!(self.body, "{}", symbol(index, x + 6.0, y - 4.0));
            self.text(x + 16.0, y, "", name);
            x += width;
        }
        y + 10.0
    }

    /// The chart as an element of a page: `id` tells it from others there.
    pub fn element(&self, id: &str, title: &str, description: &str) -> String {
        self.wrapped(id, title, description, "")
    }

    /// The chart as a file of its own.
    pub fn file(&self, id: &str, title: &str, description: &str) -> String {
        let ground = format!(r#"<style>{STYLE}</style><rect width="100%" height="100%" fill="var(--ground)"/>"#);
        self.wrapped(id, title, description, &ground)
    }

    fn wrapped(&self, id: &str, title: &str, description: &str, before: &str) -> String {
        let (height, title, description) = (self.height, escape(title), escape(description));
        format!(
            r#"<svg xmlns="http://www.w3.org/2000/svg" class="chart" viewBox="0 0 {WIDTH} {height:.0}" role="img" aria-labelledby="{id}-title {id}-desc"><title id="{id}-title">{title}</title><desc id="{id}-desc">{description}</desc>{before}{}</svg>"#,
            self.body
        )
    }
}

/// The colour of a series.
fn colour(index: usize) -> String {
    format!("var(--c{})", index % 5)
}

/// A mark of a series: shapes differ, too, for who sees no colours.
fn symbol(index: usize, x: f64, y: f64) -> String {
    let colour = colour(index);
    match index % 4 {
        0 => format!(r#"<circle cx="{x:.1}" cy="{y:.1}" r="4.5" fill="{colour}"/>"#),
        1 => format!(r#"<rect x="{:.1}" y="{:.1}" width="8" height="8" fill="{colour}"/>"#, x - 4.0, y - 4.0),
        2 => format!(r#"<path d="M{x:.1} {:.1}l5 9h-10z" fill="{colour}"/>"#, y - 5.0),
        _ => format!(r#"<path d="M{x:.1} {:.1}l5 5l-5 5l-5 -5z" fill="{colour}"/>"#, y - 5.0),
    }
}

/// About how wide a text is: letters of this size are seldom wider.
fn text_width(text: &str) -> f64 {
    text.chars().count() as f64 * 6.4
}

/// What comes from outside, so that it is text in HTML and in SVG, also in an attribute.
pub fn escape(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '&' => safe.push_str("&amp;"),
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '"' => safe.push_str("&quot;"),
            '\'' => safe.push_str("&#39;"),
            // XML has no place for them, not even escaped.
            control if control.is_control() && control != '\n' => safe.push(' '),
            other => safe.push(other),
        }
    }
    safe
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_comes_from_outside_stays_text() {
        assert_eq!(escape("a<b>&\"'\u{7}"), "a&lt;b&gt;&amp;&quot;&#39; ");
        let mut canvas = Canvas::default();
        canvas.text(0.0, 0.0, "", "<script>");
        assert!(!canvas.file("x", "<t>", "<d>").contains("<script>"));
    }

    #[test]
    fn a_legend_wraps_before_the_edge() {
        let names: Vec<String> = (0..6).map(|i| format!("a rather long name {i}")).collect();
        let mut canvas = Canvas::default();
        assert!(canvas.legend(&names, 0.0) > 40.0);
    }
}
