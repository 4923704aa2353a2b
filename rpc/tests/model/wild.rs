//! A receiver that gets fragments which no honest sender makes, in every order.

use rpc::planted::Bug;
use rpc::transport::receive::{Accepted, ReceiveHalf};
use rpc::wire::Fragment;
use stateright::{Model, Property};

const FRAGMENT_BYTES: usize = 2;
const MESSAGE_MAX: usize = 4;
const REASSEMBLY_BYTES: usize = 140;

/// What to explore.
#[derive(Debug)]
pub struct Wild {
    pub bug: Option<Bug>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct State {
    receive: ReceiveHalf,
    /// How long the message was that came last.
    length: usize,
    broken: Option<&'static str>,
}

/// A fragment and the number of its bytes.
pub type Action = (Fragment, usize);

impl Model for Wild {
    type State = State;
    type Action = Action;

    fn init_states(&self) -> Vec<State> {
        let mut receive = ReceiveHalf::new(FRAGMENT_BYTES, MESSAGE_MAX);
        if let Some(bug) = self.bug {
            receive.plant(bug);
        }
        vec![State { receive, length: 0, broken: None }]
    }

    fn actions(&self, _: &State, actions: &mut Vec<Action>) {
        for sequence in 0..3 {
            for index in 0..3 {
                for count in 0..4 {
                    let fragment = Fragment { sequence, index, count, channel: 1 };
                    actions.extend((0..=FRAGMENT_BYTES + 1).map(|length| (fragment, length)));
                }
            }
        }
    }

    fn next_state(&self, last: &State, (fragment, length): Action) -> Option<State> {
        let mut next = State { length: 0, ..last.clone() };
        let allowance = REASSEMBLY_BYTES.saturating_sub(next.receive.reserved());
        match next.receive.accept(fragment, &[7; FRAGMENT_BYTES + 1][..length], allowance) {
            Accepted::Single => next.length = length,
            Accepted::Assembled(message) => {
                next.length = message.len();
                let right = FRAGMENT_BYTES * usize::from(fragment.count).saturating_sub(1);
                if !(right + 1..=right + FRAGMENT_BYTES).contains(&message.len())
                    || message.iter().any(|&byte| byte != 7)
                {
                    next.broken = Some("a message that its fragments do not make");
                }
            }
            _ => {}
        }
        (next != *last).then_some(next)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        vec![
            Property::always("messages are what their fragments make", |_, state: &State| state.broken.is_none()),
            Property::always("no message is too long", |_, state: &State| state.length <= MESSAGE_MAX),
            Property::always("reassembly stays within its memory", |_, state: &State| {
                state.receive.reserved() <= REASSEMBLY_BYTES
            }),
            Property::sometimes("a message is complete", |_, state: &State| state.length > FRAGMENT_BYTES),
            Property::sometimes("a message is partly here", |_, state: &State| state.receive.reserved() > 0),
        ]
    }
}
