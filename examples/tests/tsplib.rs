//! The reader of TSPLIB files: right distances, and a clear refusal of everything else.

use examples::tsp::instances::Published;
use examples::tsp::tsplib::{FILE_BYTES_MAX, ParseError, parse};

/// Three cities with distances 1 (between 1 and 2), 2 (1 and 3) and 3 (2 and 3).
fn explicit(format: &str, numbers: &str) -> String {
    format!(
        "NAME : three\nTYPE : TSP\nCOMMENT : a\nCOMMENT : b\nDIMENSION : 3\nEDGE_WEIGHT_TYPE : EXPLICIT\n\
         EDGE_WEIGHT_FORMAT : {format}\nEDGE_WEIGHT_SECTION\n{numbers}\nEOF\n"
    )
}

fn coordinates(kind: &str, cities: &str) -> String {
    format!("NAME: c\nTYPE: TSP\nDIMENSION: 3\nEDGE_WEIGHT_TYPE: {kind}\nNODE_COORD_SECTION\n{cities}\nEOF\n")
}

fn error(text: &str) -> String {
    parse(text).expect_err(text).to_string()
}

#[test]
fn the_three_explicit_formats_say_the_same() {
    let full = parse(&explicit("FULL_MATRIX", "0 1 2\n1 0 3\n2 3 0")).unwrap();
    assert_eq!([full.distance(0, 1), full.distance(0, 2), full.distance(2, 1)], [1, 2, 3]);
    assert_eq!(parse(&explicit("UPPER_ROW", "1 2\n3")).unwrap(), full);
    assert_eq!(parse(&explicit("LOWER_DIAG_ROW", "0 1\n0 2 3 0")).unwrap(), full);
}

#[test]
fn straight_lines_are_rounded_to_the_nearest_whole_number() {
    let instance = parse(&coordinates("EUC_2D", "1 0 0\n2 3 4\n3 1.0e0 1")).unwrap();
    assert_eq!([instance.distance(0, 1), instance.distance(0, 2), instance.distance(1, 2)], [5, 1, 4]);
}

#[test]
fn great_circles_are_the_ones_of_the_library() {
    let burma = Published::ALL[0].instance();
    assert_eq!([burma.distance(0, 1), burma.distance(0, 2), burma.distance(12, 13)], [153, 510, 247]);
}

#[test]
fn line_ends_of_another_system_do_no_harm() {
    let text = explicit("UPPER_ROW", "1 2 3");
    assert_eq!(parse(&text.replace('\n', "\r\n")).unwrap(), parse(&text).unwrap());
}

#[test]
fn what_is_missing_is_named() {
    let text = explicit("UPPER_ROW", "1 2 3");
    for key in ["NAME", "EDGE_WEIGHT_TYPE", "EDGE_WEIGHT_FORMAT"] {
        let without: String =
            text.lines().filter(|line| !line.starts_with(key)).map(|line| format!("{line}\n")).collect();
        assert_eq!(error(&without), format!("{key} is missing"));
    }
    assert_eq!(error(""), "NAME is missing");
    assert_eq!(error(&text.replace("DIMENSION : 3\n", "")), "line 7: EDGE_WEIGHT_SECTION before DIMENSION");
}

#[test]
fn too_few_and_too_many_numbers_are_refused() {
    for (numbers, found) in [("1 2", 2), ("1 2 3 4", 4), ("", 0)] {
        let refusal = ParseError::Count { section: "EDGE_WEIGHT_SECTION", wanted: 3, found };
        assert_eq!(parse(&explicit("UPPER_ROW", numbers)), Err(refusal));
    }
    assert_eq!(error(&coordinates("GEO", "1 0 0\n2 1 1")), "NODE_COORD_SECTION has 6 numbers, 9 were wanted");
}

#[test]
fn what_is_no_distance_or_coordinate_is_refused_with_its_line() {
    for word in ["-1", "1.5", "99999999999", "10000001", "1x"] {
        assert!(error(&explicit("UPPER_ROW", &format!("1 2\n{word}"))).starts_with(&format!("line 10: `{word}`")));
    }
    for word in ["1e99", "-1e8", "0x1", "--"] {
        assert!(error(&coordinates("EUC_2D", &format!("1 0 {word}"))).starts_with(&format!("line 6: `{word}`")));
    }
    assert!(error(&coordinates("EUC_2D", "1 0 0\n2 NaN 1\n3 1 1")).contains("NaN"));
}

#[test]
fn matrices_that_are_not_symmetric_are_refused() {
    assert!(error(&explicit("FULL_MATRIX", "0 1 2 1 0 3 2 4 0")).contains("cities 3 and 2"));
    assert!(error(&explicit("FULL_MATRIX", "0 1 2 1 5 3 2 3 0")).contains("cities 2 and 2"));
}

#[test]
fn cities_out_of_order_are_refused() {
    let refusal = ParseError::CityOrder { found: 3.0, wanted: 2 };
    assert_eq!(parse(&coordinates("EUC_2D", "1 0 0\n3 1 1\n2 2 2")), Err(refusal));
}

#[test]
fn what_is_not_supported_is_named_with_what_is() {
    let text = explicit("UPPER_ROW", "1 2 3");
    assert!(error(&text.replace("UPPER_ROW", "UPPER_COL")).contains("`UPPER_COL` is not supported; supported: FULL"));
    assert!(error(&text.replace("EXPLICIT", "ATT")).contains("EXPLICIT, EUC_2D, GEO"));
    assert!(error(&text.replace(": TSP", ": ATSP")).contains("TYPE `ATSP`"));
    for dimension in ["2", "65", "-3", "three", "18446744073709551616"] {
        assert!(error(&text.replace(": 3", &format!(": {dimension}"))).contains("from 3 to 64"), "{dimension}");
    }
}

#[test]
fn keys_that_come_twice_or_are_unknown_are_refused() {
    let text = explicit("UPPER_ROW", "1 2 3");
    assert_eq!(error(&format!("NAME : again\n{text}")), "line 2: NAME was given before");
    assert!(error(&format!("COLOUR : red\n{text}")).starts_with("line 1: `COLOUR : red`"));
    assert!(error(&format!("12 13\n{text}")).starts_with("line 1: `12 13`"));
}

#[test]
fn a_file_that_is_far_too_long_is_not_even_read() {
    assert_eq!(parse(&" ".repeat(FILE_BYTES_MAX + 1)), Err(ParseError::TooLong { bytes: FILE_BYTES_MAX + 1 }));
}

#[test]
fn no_piece_of_a_file_makes_the_reader_panic() {
    for published in Published::ALL {
        for end in (0..published.text.len()).filter(|&end| published.text.is_char_boundary(end)) {
            let _ = parse(&published.text[..end]);
            let _ = parse(&published.text[end..]);
        }
    }
}
