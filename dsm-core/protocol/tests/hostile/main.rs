//! What a broken or hostile node of the job can do to the machines of the others: nothing that panics, nothing without a
//! bound.

#[path = "../../fuzz/targets/machines.rs"]
mod machines;
#[path = "../../fuzz/targets/message.rs"]
mod message;
mod regressions;
mod strategies;

use proptest::prelude::*;

use machines::{Step, machines, steps};
use message::message;
use protocol::Message;
use protocol::message::ENCODED_BYTES_MAX;
use strategies::{any_message, any_steps};

fn cases(cases: u32) -> ProptestConfig {
    ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(cases) }
}

fn encoded(value: &Message) -> Vec<u8> {
    let mut bytes = Vec::new();
    value.encode(&mut bytes);
    bytes
}

proptest! {
    #![proptest_config(cases(4_000))]

    #[test]
    fn a_message_survives_its_journey(value in any_message()) {
        let bytes = encoded(&value);
        prop_assert_eq!(Message::decode(&bytes), Ok((value, &[][..])));
        message(&bytes);
    }

    #[test]
    fn a_damaged_message_is_refused_or_means_what_its_bytes_say(
        value in any_message(), at in any::<prop::sample::Index>(), with: u8, length in 0..2 * ENCODED_BYTES_MAX
    ) {
        let mut bytes = encoded(&value);
        let at = at.index(bytes.len());
        bytes[at] = with;
        bytes.resize(length.max(1), with);
        message(&bytes);
    }

    #[test]
    fn random_bytes_are_refused_or_mean_what_they_say(
        tag in 0..20u8, mut bytes in prop::collection::vec(any::<u8>(), 1..2 * ENCODED_BYTES_MAX)
    ) {
        message(&bytes);
        bytes[0] = tag;
        message(&bytes);
    }

    #[test]
    fn honest_nodes_are_served_whatever_a_hostile_one_says(steps in any_steps()) {
        machines(&steps);
    }

    #[test]
    fn bytes_as_steps_do_no_harm(bytes in prop::collection::vec(any::<u8>(), 0..600)) {
        machines(&steps(&bytes));
    }
}

#[test]
fn honest_nodes_alone_are_served() {
    let access = protocol::message::Access::Write;
    machines(&[Step::Fault { node: 0, page: 0, access }, Step::Barrier { node: 1 }, Step::Lock { node: 1, lock: 0 }]);
}
