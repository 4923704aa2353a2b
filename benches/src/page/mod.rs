//! The report: what was measured, as a page that stands alone, as figures, and as JSON.
//!
//! * [`results`]: what was measured; `results.json` is this.
//! * [`findings`]: what it shows, in sentences that are made from it.
//! * [`figures`]: charts of it.
//! * [`chart`]: how a chart is drawn.
//! * [`html`]: the page.

pub mod chart;
pub mod figures;
pub mod findings;
pub mod html;
pub mod results;

use std::fs;
use std::path::Path;

pub use chart::amount;
use results::Results;

/// Writes `report.html`, `results.json` and a file for each figure into a folder, which is made if need be.
///
/// # Errors
///
/// A file cannot be written: a sentence for the user.
pub fn write(results: &Results, folder: &Path) -> Result<(), String> {
    let failed = |path: &Path, why: std::io::Error| format!("cannot write {}: {why}", path.display());
    fs::create_dir_all(folder).map_err(|why| failed(folder, why))?;
    let put = |name: &str, text: &str| {
        let path = folder.join(name);
        fs::write(&path, text).map_err(|why| failed(&path, why))
    };
    let figures = figures::all(results);
    put("report.html", &html::page(results, &figures))?;
    put("results.json", &serde_json::to_string_pretty(results).map_err(|why| why.to_string())?)?;
    figures.iter().try_for_each(|figure| {
        put(&format!("{}.svg", figure.id), &figure.chart.file(figure.id, figure.title, &figure.finding))
    })
}

/// Reads what [`write()`] has written.
///
/// # Errors
///
/// There is no such file, or something else in it: a sentence for the user.
pub fn read(path: &Path) -> Result<Results, String> {
    let text = fs::read_to_string(path).map_err(|why| format!("cannot read {}: {why}", path.display()))?;
    serde_json::from_str(&text).map_err(|why| format!("{} holds no results of `dsm-bench all`: {why}", path.display()))
}
