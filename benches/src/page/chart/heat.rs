//! A table whose cells are the warmer the greater their number.

use super::{Canvas, WIDTH, text_width};

/// The chart.
#[derive(Clone, Debug)]
pub struct Heat {
    /// Names of the columns.
    pub columns: Vec<String>,
    /// A name, and for each column what stands there and how warm it is, from 0 to 1.
    pub rows: Vec<(String, Vec<(String, f64)>)>,
}

const CELL: f64 = 30.0;

impl Heat {
    /// Draws it.
    pub fn draw(&self) -> Canvas {
        let mut canvas = Canvas::default();
        let left = self.rows.iter().map(|(name, _)| 1.15 * text_width(name)).fold(60.0, f64::max) + 8.0;
        let width = (WIDTH - left - 4.0) / self.columns.len().max(1) as f64;
        let tallest = self.columns.iter().map(|it| words(it, width).len()).max().unwrap_or(0);
        let top = 10.0 + 14.0 * tallest as f64;
        for (index, name) in self.columns.iter().enumerate() {
            for (line, word) in words(name, width).iter().enumerate() {
                canvas.text(left + (index as f64 + 0.5) * width, 14.0 * (line as f64 + 1.0), "mid soft", word);
            }
        }
        for (line, (name, cells)) in self.rows.iter().enumerate() {
            let y = top + CELL * line as f64;
            canvas.text(4.0, y + 20.0, "strong", name);
            for (index, (text, warmth)) in cells.iter().enumerate() {
                let x = left + index as f64 * width;
                // Never so warm that the letters drown.
                let strength = 0.5 * warmth.clamp(0.0, 1.0);
                canvas.raw(&format!(
                    r#"<rect x="{:.1}" y="{:.1}" width="{:.1}" height="{:.1}" style="fill:rgba(var(--heat),{strength:.2});stroke:var(--rule)"/>"#,
                    x + 1.0, y + 1.0, width - 2.0, CELL - 2.0
                ));
                canvas.text(x + width / 2.0, y + 20.0, "mid", text);
            }
        }
        canvas.reach(top + CELL * self.rows.len() as f64 + 6.0);
        canvas
    }
}

/// A name in lines that fit a column.
fn words(name: &str, width: f64) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in name.split_whitespace() {
        match lines.last_mut() {
            Some(line) if text_width(line) + text_width(word) + 6.0 <= width => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(word.to_string()),
        }
    }
    lines
}
