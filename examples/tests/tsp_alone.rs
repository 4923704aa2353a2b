//! The travelling salesman in one thread: the answers that every other way must equal.

use examples::tsp::instances::Published;
use examples::tsp::{ASCENT_ROUNDS, DEPTH_MAX, LocalBest, Prefix, Problem, solve_alone, tsplib};

fn published(name: &str) -> Published {
    Published::named(name).unwrap_or_else(|| panic!("{name} is shipped"))
}

#[test]
fn every_instance_is_solved_to_its_published_optimum_whatever_the_size_of_the_tasks() {
    for published in Published::ALL {
        let problem = Problem::new(published.instance(), ASCENT_ROUNDS);
        for depth in 1..=DEPTH_MAX {
            let report = solve_alone(&problem, depth);
            assert_eq!(report.length, published.optimum, "{} at depth {depth}", published.name);
            assert_eq!(problem.instance().tour_length(&report.tour), Some(report.length));
        }
    }
}

#[test]
fn the_answer_does_not_depend_on_how_good_the_bound_is() {
    let published = published("gr17");
    for ascent in [0, 1, 10, 1_000] {
        let report = solve_alone(&Problem::new(published.instance(), ascent), 2);
        assert_eq!(report.length, published.optimum, "after {ascent} rounds");
    }
}

#[test]
fn a_tour_shorter_than_the_optimum_by_any_amount_is_never_found() {
    // Told that the optimum itself is known, the search finds nothing better: the proof that there is nothing.
    for published in Published::ALL {
        let problem = Problem::new(published.instance(), ASCENT_ROUNDS);
        let best = LocalBest::new((published.optimum, Vec::new()));
        for task in problem.tasks(2) {
            problem.search(task, &best);
        }
        assert_eq!(best.into_inner(), (published.optimum, Vec::new()), "{}", published.name);
    }
}

#[test]
fn small_random_instances_agree_with_trying_every_tour() {
    // A fixed generator (Marsaglia's xorshift), so that a failure can be repeated.
    let mut seed = 0x9e37_79b9_7f4a_7c15_u64;
    let mut random = move |below: u64| {
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        seed % below
    };
    for _ in 0..300 {
        let cities = 3 + random(5) as usize;
        let upper: Vec<String> = (0..cities * (cities - 1) / 2).map(|_| random(100).to_string()).collect();
        let header = "NAME: random\nTYPE: TSP\nEDGE_WEIGHT_TYPE: EXPLICIT\nEDGE_WEIGHT_FORMAT: UPPER_ROW";
        let text = format!("{header}\nDIMENSION: {cities}\nEDGE_WEIGHT_SECTION\n{}\nEOF\n", upper.join(" "));
        let instance = tsplib::parse(&text).unwrap();
        let mut tour: Vec<u8> = (0..cities as u8).collect();
        let shortest = shortest_of_all(&mut tour, 1, &|tour| instance.tour_length(tour).unwrap());
        let depth = 1 + random(3) as usize;
        assert_eq!(solve_alone(&Problem::new(instance.clone(), 30), depth).length, shortest, "{text}");
    }
}

fn shortest_of_all(tour: &mut [u8], fixed: usize, length: &impl Fn(&[u8]) -> u32) -> u32 {
    if fixed == tour.len() {
        return length(tour);
    }
    let mut shortest = u32::MAX;
    for k in fixed..tour.len() {
        tour.swap(fixed, k);
        shortest = shortest.min(shortest_of_all(tour, fixed + 1, length));
        tour.swap(fixed, k);
    }
    shortest
}

#[test]
fn every_task_survives_the_way_through_a_word_and_stays_within_the_promised_number() {
    let problem = Problem::new(published("burma14").instance(), ASCENT_ROUNDS);
    for depth in 1..=DEPTH_MAX {
        let tasks = problem.tasks(depth);
        assert!(tasks.len() <= problem.tasks_max(depth));
        for task in tasks {
            assert_eq!(Prefix::from_word(task.to_word()), task);
            assert_eq!(task.cities().count(), depth);
            assert_ne!(task.to_word(), 0, "a zero ends the queue");
        }
    }
}

#[test]
fn words_that_are_no_beginning_of_a_tour_are_searched_in_no_time() {
    let problem = Problem::new(published("burma14").instance(), ASCENT_ROUNDS);
    for word in [0x0101, 0xff, u64::MAX, 0x0e, 0x0102] {
        assert_eq!(problem.search(Prefix::from_word(word), &LocalBest::new(problem.first_tour())), 0, "{word:x}");
    }
}

#[test]
fn only_a_list_of_every_city_once_is_a_tour() {
    let instance = published("burma14").instance();
    let good: Vec<u8> = (0..14).collect();
    assert!(instance.tour_length(&good).is_some());
    for bad in [&good[1..], &[&good[..13], &[0]].concat(), &[&good[..13], &[14]].concat(), &[200; 14], &[]] {
        assert_eq!(instance.tour_length(bad), None, "{bad:?}");
    }
}
