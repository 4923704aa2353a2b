//! The plate without any other process.

use examples::jacobi::plate::{HOT, Plate, relax_row, rows_of};

#[test]
fn every_row_belongs_to_exactly_one_node_and_shares_differ_by_at_most_one_row() {
    for size in 3..70 {
        for nodes in 1..=64 {
            let shares: Vec<_> = (0..nodes).map(|node| rows_of(node, nodes, size)).collect();
            assert_eq!(shares.iter().cloned().flatten().collect::<Vec<_>>(), (0..size).collect::<Vec<_>>());
            let (least, most) = (shares.iter().map(|s| s.len()).min(), shares.iter().map(|s| s.len()).max());
            assert!(most.unwrap() - least.unwrap() <= 1, "{nodes} nodes, {size} rows");
        }
    }
}

#[test]
fn an_inner_point_becomes_the_mean_of_its_neighbours_and_the_ends_stay() {
    let mut out = [0.0; 4];
    relax_row(&[9.0, 1.0, 2.0, 9.0], &[4.0, 9.0, 9.0, 8.0], &[9.0, 3.0, 6.0, 9.0], &mut out);
    assert_eq!(out, [4.0, 4.25, 6.25, 8.0]);
}

#[test]
fn heat_stays_between_the_edges_and_the_edges_stay_as_they_are() {
    let plate = Plate::solve(17, 400);
    assert!(plate.cells.iter().all(|&cell| (0.0..=HOT).contains(&cell)));
    assert!(plate.cells[..17].iter().all(|&cell| cell == HOT));
    assert!(plate.cells[16 * 17..].iter().all(|&cell| cell == 0.0));
    // The steady state has the mean of the four edges in the middle.
    assert!((plate.cells[8 * 17 + 8] - HOT / 4.0).abs() < 0.1, "{}", plate.cells[8 * 17 + 8]);
}

#[test]
fn the_checksum_is_the_published_function_and_sees_a_single_bit() {
    // FNV-1a of eight zero bytes.
    assert_eq!(Plate { size: 1, cells: vec![0.0] }.checksum(), 0xa8c7_f832_281a_39c5);
    assert_ne!(Plate { size: 1, cells: vec![-0.0] }.checksum(), Plate { size: 1, cells: vec![0.0] }.checksum());
}

#[test]
fn the_picture_is_hot_above_and_cold_below() {
    let picture = Plate::solve(64, 200).picture(10);
    let lines: Vec<&str> = picture.lines().collect();
    assert_eq!((lines.len(), lines[0], lines[9]), (10, "@".repeat(20).as_str(), " ".repeat(20).as_str()));
    assert_eq!(Plate::new(3).picture(100).lines().count(), 3);
}
