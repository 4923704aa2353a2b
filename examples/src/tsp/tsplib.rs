//! A strict reader for the part of the TSPLIB95 format that the instances here use.
//!
//! A file is a header of `KEY : VALUE` lines and then sections of numbers. The reader takes symmetric instances with
//! coordinates (`EUC_2D`, `GEO`) or explicit distances (`FULL_MATRIX`, `UPPER_ROW`, `LOWER_DIAG_ROW`), and turns each
//! into a full matrix. Whatever it does not know it refuses, with the line: a number that was misread would give a
//! wrong "optimum" without any other sign.
//!
//! Format: G. Reinelt, "TSPLIB 95", University of Heidelberg, 1995.

use thiserror::Error;

use super::Instance;
use super::formula::{Point, euclidean, geographical};

/// The fewest cities that make a tour with a choice in it.
pub const CITIES_MIN: usize = 3;
/// The most cities: the search keeps the set of visited cities in one 64-bit word.
pub const CITIES_MAX: usize = 64;
/// The largest file, bytes. A full matrix of 64 cities is well below this.
pub const FILE_BYTES_MAX: usize = 1 << 20;
/// The longest distance between two cities, so that no sum in the search can overflow.
pub const DISTANCE_MAX: u32 = 10_000_000;

/// Why a file is not an instance that can be solved here. Lines count from 1.
#[derive(Debug, Clone, PartialEq, Error)]
pub enum ParseError {
    /// The file is longer than [`FILE_BYTES_MAX`].
    #[error("the file has {bytes} bytes; an instance of {CITIES_MAX} cities needs far less than {FILE_BYTES_MAX}")]
    TooLong {
        /// Its length.
        bytes: usize,
    },
    /// A line that is neither `KEY : VALUE` with a key of the format, nor the start of a section.
    #[error("line {line}: `{text}` is neither a TSPLIB keyword with a value nor a section")]
    UnknownLine {
        /// Where.
        line: usize,
        /// What stands there.
        text: String,
    },
    /// A key or a section came twice.
    #[error("line {line}: {key} was given before")]
    Repeated {
        /// Where.
        line: usize,
        /// The key.
        key: String,
    },
    /// A key or a section that this kind of instance must have is not there.
    #[error("{key} is missing")]
    Missing {
        /// The key.
        key: &'static str,
    },
    /// A key or section has a value of the format that is not read here.
    #[error("line {line}: {key} `{value}` is not supported; supported: {supported}")]
    Unsupported {
        /// Where.
        line: usize,
        /// The key.
        key: &'static str,
        /// Its value.
        value: String,
        /// What would have been taken.
        supported: &'static str,
    },
    /// DIMENSION is no number, or out of range.
    #[error("line {line}: DIMENSION `{value}` must be a number of cities from {CITIES_MIN} to {CITIES_MAX}")]
    Dimension {
        /// Where.
        line: usize,
        /// What stands there.
        value: String,
    },
    /// A section of numbers before the header said what they mean.
    #[error("line {line}: {section} before {key}")]
    TooEarly {
        /// Where.
        line: usize,
        /// The section.
        section: &'static str,
        /// The key that must come first.
        key: &'static str,
    },
    /// A word in a section of numbers that is not a number, or not one that a distance or coordinate may have.
    #[error("line {line}: `{word}` is not {wanted}")]
    Number {
        /// Where.
        line: usize,
        /// What stands there.
        word: String,
        /// What should.
        wanted: &'static str,
    },
    /// A section of numbers ended too early or went on too long.
    #[error("{section} has {found} numbers, {wanted} were wanted")]
    Count {
        /// The section.
        section: &'static str,
        /// How many numbers the header promised.
        wanted: usize,
        /// How many were there.
        found: usize,
    },
    /// The cities are not numbered 1, 2, 3 and so on: a line is lost or out of place.
    #[error("NODE_COORD_SECTION has city {found} where city {wanted} should stand")]
    CityOrder {
        /// The number that stands there.
        found: f64,
        /// The number that should.
        wanted: usize,
    },
    /// The distance there differs from the distance back, or a city has a distance to itself.
    #[error("the distances between cities {from} and {to} make no symmetric instance ({there} there, {back} back)")]
    Asymmetric {
        /// One city, from 1.
        from: usize,
        /// The other, from 1.
        to: usize,
        /// The distance in the row of `from`.
        there: u32,
        /// The distance in the row of `to`.
        back: u32,
    },
}

/// Reads an instance from the text of a TSPLIB file.
///
/// # Errors
/// [`ParseError`]: what in the file cannot be taken, and where.
pub fn parse(text: &str) -> Result<Instance, ParseError> {
    if text.len() > FILE_BYTES_MAX {
        return Err(ParseError::TooLong { bytes: text.len() });
    }
    let mut draft = Draft::default();
    let mut section: Option<Section> = None;
    for (index, content) in text.lines().enumerate() {
        let (line, content) = (index + 1, content.trim());
        if content.is_empty() {
            continue;
        }
        if content == "EOF" {
            return draft.finish();
        }
        // A section goes on for as long as its lines begin with a number.
        match section {
            Some(section) if !content.starts_with(|c: char| c.is_ascii_alphabetic()) => {
                draft.numbers(section, line, content)?;
            }
            _ => section = draft.keyword(line, content)?,
        }
    }
    draft.finish()
}

/// The sections of numbers.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Section {
    Coordinates,
    Weights,
    /// Where to draw the cities of an instance with explicit distances. Checked and passed over.
    Display,
}

impl Section {
    const ALL: [Section; 3] = [Section::Coordinates, Section::Weights, Section::Display];

    fn name(self) -> &'static str {
        match self {
            Section::Coordinates => "NODE_COORD_SECTION",
            Section::Weights => "EDGE_WEIGHT_SECTION",
            Section::Display => "DISPLAY_DATA_SECTION",
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum WeightType {
    Explicit,
    Euclidean,
    Geographical,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum WeightFormat {
    FullMatrix,
    UpperRow,
    LowerDiagRow,
}

impl WeightFormat {
    /// How many numbers the section holds for `n` cities.
    fn count(self, n: usize) -> usize {
        match self {
            WeightFormat::FullMatrix => n * n,
            WeightFormat::UpperRow => n * (n - 1) / 2,
            WeightFormat::LowerDiagRow => n * (n + 1) / 2,
        }
    }

    /// Row and column of each number, in the order of the file.
    fn cells(self, n: usize) -> Box<dyn Iterator<Item = (usize, usize)>> {
        match self {
            WeightFormat::FullMatrix => Box::new((0..n).flat_map(move |i| (0..n).map(move |j| (i, j)))),
            WeightFormat::UpperRow => Box::new((0..n).flat_map(move |i| (i + 1..n).map(move |j| (i, j)))),
            WeightFormat::LowerDiagRow => Box::new((0..n).flat_map(|i| (0..=i).map(move |j| (i, j)))),
        }
    }
}

/// What has been read so far.
#[derive(Default)]
struct Draft {
    seen: Vec<String>,
    name: Option<String>,
    cities: Option<usize>,
    weight_type: Option<WeightType>,
    weight_format: Option<WeightFormat>,
    weights: Vec<u32>,
    coordinates: Vec<f64>,
    display_numbers: usize,
}

impl Draft {
    /// Takes a line that begins with a letter; answers the section that it opens, if it opens one.
    fn keyword(&mut self, line: usize, content: &str) -> Result<Option<Section>, ParseError> {
        let (key, value) = content.split_once(':').unwrap_or((content, ""));
        let (key, value) = (key.trim(), value.trim());
        if key != "COMMENT" {
            if self.seen.iter().any(|seen| seen == key) {
                return Err(ParseError::Repeated { line, key: key.to_owned() });
            }
            self.seen.push(key.to_owned());
        }
        if value.is_empty()
            && let Some(section) = Section::ALL.into_iter().find(|section| section.name() == key)
        {
            if self.cities.is_none() {
                return Err(ParseError::TooEarly { line, section: section.name(), key: "DIMENSION" });
            }
            return Ok(Some(section));
        }
        self.header(line, key, value, content)?;
        Ok(None)
    }

    fn header(&mut self, line: usize, key: &str, value: &str, content: &str) -> Result<(), ParseError> {
        let unsupported = |key, supported| ParseError::Unsupported { line, key, value: value.to_owned(), supported };
        match (key, value) {
            ("NAME", name) if !name.is_empty() => self.name = Some(name.to_owned()),
            // Free text, and where to draw: neither changes a distance.
            ("COMMENT" | "DISPLAY_DATA_TYPE", _) => {}
            ("TYPE", "TSP") => {}
            ("TYPE", _) => return Err(unsupported("TYPE", "TSP")),
            ("DIMENSION", _) => match value.parse() {
                Ok(cities) if (CITIES_MIN..=CITIES_MAX).contains(&cities) => self.cities = Some(cities),
                _ => return Err(ParseError::Dimension { line, value: value.to_owned() }),
            },
            ("EDGE_WEIGHT_TYPE", "EXPLICIT") => self.weight_type = Some(WeightType::Explicit),
            ("EDGE_WEIGHT_TYPE", "EUC_2D") => self.weight_type = Some(WeightType::Euclidean),
            ("EDGE_WEIGHT_TYPE", "GEO") => self.weight_type = Some(WeightType::Geographical),
            ("EDGE_WEIGHT_TYPE", _) => return Err(unsupported("EDGE_WEIGHT_TYPE", "EXPLICIT, EUC_2D, GEO")),
            // Says that a formula over coordinates gives the distances, as the type says already.
            ("EDGE_WEIGHT_FORMAT", "FUNCTION") => {}
            ("EDGE_WEIGHT_FORMAT", "FULL_MATRIX") => self.weight_format = Some(WeightFormat::FullMatrix),
            ("EDGE_WEIGHT_FORMAT", "UPPER_ROW") => self.weight_format = Some(WeightFormat::UpperRow),
            ("EDGE_WEIGHT_FORMAT", "LOWER_DIAG_ROW") => self.weight_format = Some(WeightFormat::LowerDiagRow),
            ("EDGE_WEIGHT_FORMAT", _) => {
                return Err(unsupported("EDGE_WEIGHT_FORMAT", "FULL_MATRIX, UPPER_ROW, LOWER_DIAG_ROW, FUNCTION"));
            }
            _ => return Err(ParseError::UnknownLine { line, text: content.chars().take(60).collect() }),
        }
        Ok(())
    }

    /// Takes one line of numbers of a section.
    fn numbers(&mut self, section: Section, line: usize, content: &str) -> Result<(), ParseError> {
        for word in content.split_ascii_whitespace() {
            let bad = |wanted| ParseError::Number { line, word: word.chars().take(40).collect(), wanted };
            match section {
                Section::Weights => {
                    let weight = word.parse().ok().filter(|weight| *weight <= DISTANCE_MAX);
                    self.weights.push(weight.ok_or_else(|| bad("a distance: a whole number, at most 10000000"))?);
                }
                Section::Coordinates => {
                    let number = word.parse().ok().filter(|number: &f64| number.abs() <= f64::from(DISTANCE_MAX));
                    self.coordinates.push(number.ok_or_else(|| bad("a coordinate: a number, at most 10000000"))?);
                }
                Section::Display => {
                    word.parse::<f64>().map_err(|_| bad("a coordinate"))?;
                    self.display_numbers += 1;
                }
            }
        }
        Ok(())
    }

    fn finish(self) -> Result<Instance, ParseError> {
        let name = self.name.clone().ok_or(ParseError::Missing { key: "NAME" })?;
        let n = self.cities.ok_or(ParseError::Missing { key: "DIMENSION" })?;
        let distances = match self.weight_type.ok_or(ParseError::Missing { key: "EDGE_WEIGHT_TYPE" })? {
            WeightType::Explicit => self.explicit(n)?,
            WeightType::Euclidean => self.by_formula(n, euclidean)?,
            WeightType::Geographical => self.by_formula(n, geographical)?,
        };
        if self.display_numbers != 0 && self.display_numbers != 3 * n {
            let section = Section::Display.name();
            return Err(ParseError::Count { section, wanted: 3 * n, found: self.display_numbers });
        }
        Ok(Instance::new(name, n, distances))
    }

    fn explicit(&self, n: usize) -> Result<Vec<u32>, ParseError> {
        let format = self.weight_format.ok_or(ParseError::Missing { key: "EDGE_WEIGHT_FORMAT" })?;
        if self.weights.len() != format.count(n) {
            let (section, found) = (Section::Weights.name(), self.weights.len());
            return Err(ParseError::Count { section, wanted: format.count(n), found });
        }
        let mut distances = vec![0; n * n];
        for ((i, j), &weight) in format.cells(n).zip(&self.weights) {
            distances[i * n + j] = weight;
            if format != WeightFormat::FullMatrix {
                distances[j * n + i] = weight;
            }
        }
        for i in 0..n {
            for j in 0..=i {
                let (there, back) = (distances[i * n + j], distances[j * n + i]);
                if there != back || (i == j && there != 0) {
                    return Err(ParseError::Asymmetric { from: i + 1, to: j + 1, there, back });
                }
            }
        }
        Ok(distances)
    }

    fn by_formula(&self, n: usize, formula: fn(Point, Point) -> f64) -> Result<Vec<u32>, ParseError> {
        if self.coordinates.len() != 3 * n {
            let (section, found) = (Section::Coordinates.name(), self.coordinates.len());
            return Err(ParseError::Count { section, wanted: 3 * n, found });
        }
        let mut points = Vec::with_capacity(n);
        for (index, city) in self.coordinates.chunks_exact(3).enumerate() {
            if city[0] != (index + 1) as f64 {
                return Err(ParseError::CityOrder { found: city[0], wanted: index + 1 });
            }
            points.push(Point { x: city[1], y: city[2] });
        }
        let mut distances = vec![0; n * n];
        for i in 0..n {
            for j in 0..n {
                if i != j {
                    distances[i * n + j] = formula(points[i], points[j]) as u32;
                }
            }
        }
        Ok(distances)
    }
}
