//! Which problem a program is to solve, as its arguments say, and whether the answer is right.

use std::fs::File;
use std::io::Read;
use std::path::PathBuf;

use super::instances::Published;
use super::{ASCENT_ROUNDS, ASCENT_ROUNDS_MAX, DEPTH_MAX, Problem, Report, tsplib};

/// The arguments that the programs share.
#[derive(Debug, Clone, clap::Args)]
pub struct Choice {
    /// An instance that the program carries, with its published optimum
    #[arg(long, default_value = "bays29", value_parser = ["burma14", "gr17", "bays29"])]
    pub instance: String,
    /// A TSPLIB file to solve instead: EUC_2D, GEO or EXPLICIT, at most 64 cities
    #[arg(long, conflicts_with = "instance", value_name = "PATH")]
    pub file: Option<PathBuf>,
    /// Cities that a task fixes: more make smaller tasks
    #[arg(long, default_value_t = 2, value_name = "CITIES")]
    #[arg(value_parser = clap::value_parser!(u8).range(1..=DEPTH_MAX as i64))]
    pub depth: u8,
    /// Rounds that improve the lower bound before the search: fewer make more work
    #[arg(long, default_value_t = ASCENT_ROUNDS as u32, value_name = "ROUNDS")]
    #[arg(value_parser = clap::value_parser!(u32).range(0..=ASCENT_ROUNDS_MAX as i64))]
    pub ascent: u32,
}

/// A problem, ready to be solved.
#[derive(Debug, Clone)]
pub struct Chosen {
    /// The file, for those who pass it on.
    pub text: String,
    /// What is in it.
    pub problem: Problem,
    /// See [`Choice::depth`].
    pub depth: usize,
    /// See [`Choice::ascent`].
    pub ascent: u32,
    /// The length of the shortest tour, where it is published.
    pub optimum: Option<u32>,
}

impl Choice {
    /// Reads the instance.
    ///
    /// # Errors
    /// A sentence for the user: the file cannot be read, or is no instance.
    pub fn load(&self) -> Result<Chosen, String> {
        let (text, optimum) = match (&self.file, Published::named(&self.instance)) {
            (Some(path), _) => (read_bounded(path)?, None),
            (None, Some(published)) => (published.text.to_owned(), Some(published.optimum)),
            (None, None) => return Err(format!("there is no instance `{}` here", self.instance)),
        };
        let where_from = self.file.as_ref().map_or(self.instance.clone(), |path| path.display().to_string());
        let instance = tsplib::parse(&text).map_err(|error| format!("{where_from}: {error}"))?;
        let problem = Problem::new(instance, self.ascent as usize);
        Ok(Chosen { text, problem, depth: self.depth.into(), ascent: self.ascent, optimum })
    }
}

impl Chosen {
    /// What the programs print before the report.
    pub fn headline(&self) -> String {
        format!("{}: {} cities", self.problem.instance().name(), self.problem.instance().cities())
    }

    /// Compares a report with the truth: the tour must be a tour of that length, and the length the published one. The
    /// words for the user, either way.
    ///
    /// # Errors
    /// It is not so.
    pub fn verdict(&self, report: &Report) -> Result<String, String> {
        if self.problem.instance().tour_length(&report.tour) != Some(report.length) {
            return Err(format!("the tour is not one of length {}", report.length));
        }
        match self.optimum {
            Some(optimum) if optimum != report.length => {
                Err(format!("the published optimum is {optimum}, not {}", report.length))
            }
            Some(optimum) => Ok(format!("optimum   {optimum}, as published")),
            None => Ok("optimum   by exhaustive search; none is known here to compare with".to_owned()),
        }
    }
}

/// Reads a file, but no more of it than an instance can have.
fn read_bounded(path: &PathBuf) -> Result<String, String> {
    let mut text = String::new();
    File::open(path)
        .and_then(|file| file.take(tsplib::FILE_BYTES_MAX as u64 + 1).read_to_string(&mut text))
        .map_err(|error| format!("{}: {error}", path.display()))?;
    Ok(text)
}
