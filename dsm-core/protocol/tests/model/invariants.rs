//! What must hold of pages in every state, and what must happen in some.

use protocol::sequential::Belief;
use protocol::{NodeId, NodeSet, Page};
use stateright::Property;

use crate::events::Event;
use crate::pages::{Access, Cluster, State};

pub fn of_pages(hints: bool, in_turn: bool) -> Vec<Property<Cluster>> {
    let mut properties = vec![
        Property::always("effects can be carried out", |_, state: &State| state.broken.is_none()),
        Property::always("one writer or many readers", is_exclusive),
        Property::always("every readable copy is fresh", is_fresh),
        Property::always("the home knows who has the page", home_is_right),
        Property::always("a repeated fault wakes and changes nothing", repeated_faults_are_answered),
        Property::always("without new requests all comes to its end", |cluster: &Cluster, state: &State| {
            // A broken state is reported by the first invariant, and may have no next one.
            state.broken.is_some()
                || cluster.drained.drains(state, |state| cluster.drain_step(state), |state| is_settled(cluster, state))
        }),
        Property::sometimes("a reader upgrades", |_, state: &State| state.events.has(Event::Upgrade)),
        Property::sometimes("a writer is downgraded", |_, state: &State| state.events.has(Event::Downgrade)),
        Property::sometimes("an upgrade loses its race", |_, state: &State| state.events.has(Event::UpgradeRaceLost)),
        Property::sometimes("a write follows a read", |_, state: &State| state.events.has(Event::WriteFollowsRead)),
        Property::sometimes("a copy is gone early", |_, state: &State| state.events.has(Event::GoneIsEarly)),
        Property::sometimes("the grant comes early", |_, state: &State| state.events.has(Event::GrantIsEarly)),
        Property::sometimes("a hold defers a forward", |_, state: &State| state.events.has(Event::ForwardDeferred)),
        Property::sometimes("a hold defers an invalidation", |_, state: &State| {
            state.events.has(Event::InvalidationDeferred)
        }),
        Property::sometimes("an invalidation overtakes a grant", |_, state: &State| {
            state.events.has(Event::InvalidationIsEarly)
        }),
        Property::sometimes("a request waits at the home", |_, state: &State| state.events.has(Event::Queued)),
        Property::sometimes("all nodes read", |cluster: &Cluster, state: &State| {
            cluster.nodes().all(|node| state.view(node, Page(0)).mapped == Some(Access::Read) && state.truth[0] > 0)
        }),
    ];
    properties.extend(if in_turn {
        vec![
            Property::sometimes("a page migrates", |_, state: &State| state.events.has(Event::Migrated)),
            Property::sometimes("a page that was not written stays", |_, state: &State| {
                state.events.has(Event::MigrationRefused)
            }),
        ]
    } else {
        vec![Property::sometimes("a page is zero", |_, state: &State| state.events.has(Event::ZeroPage))]
    });
    if hints {
        properties.extend([
            Property::sometimes("a thread comes to a page on its way", |_, state: &State| {
                state.events.has(Event::HintIsInTime)
            }),
            Property::sometimes("an invalidation overtakes a page that nobody waits for", |_, state: &State| {
                state.events.has(Event::HintIsLate)
            }),
        ]);
    }
    properties
}

fn mapped(cluster: &Cluster, state: &State, page: Page) -> NodeSet {
    cluster.nodes().filter(|&node| state.view(node, page).mapped.is_some()).collect()
}

/// Whether the node's program may store, or may without anybody's knowing.
fn may_write(state: &State, node: NodeId, page: Page) -> bool {
    state.view(node, page).mapped == Some(Access::Write) || state.machines[node.rank()].is_exclusive(page)
}

fn is_exclusive(cluster: &Cluster, state: &State) -> bool {
    cluster.pages().all(|page| {
        let writes = cluster.nodes().any(|node| may_write(state, node, page));
        !writes || mapped(cluster, state, page).len() == 1
    })
}

/// Whatever a program can load is the newest value.
fn is_fresh(_: &Cluster, state: &State) -> bool {
    let pages = state.truth.len();
    state
        .views
        .iter()
        .enumerate()
        .all(|(place, view)| view.mapped.is_none() || view.frame == state.truth[place % pages])
}

/// Between transactions the directory says exactly who has the page or is about to get it for a read; during one, only the requester
/// may have it besides.
fn home_is_right(cluster: &Cluster, state: &State) -> bool {
    cluster.pages().zip(&cluster.homes).all(|(page, &home)| {
        let holders = mapped(cluster, state, page);
        let Some(Belief { owner, copies, busy }) = state.machines[home].belief(page) else { return holders.is_empty() };
        let writer = cluster.nodes().find(|&node| may_write(state, node, page));
        let is_allowed = |node| owner == Some(node) || busy == Some((node, Access::Write));
        let is_untouched =
            owner.is_some() || matches!(busy, Some((_, Access::Write))) || state.truth[page.0 as usize] == 0;
        let is_known = match busy {
            None => {
                let is_promised = |node: NodeId| {
                    let view = state.view(node, page);
                    view.waiting.is_some() || view.ahead
                };
                holders.minus(copies).is_empty()
                    && copies.minus(holders).iter().all(is_promised)
                    && owner.is_none_or(|owner| holders.contains(owner))
            }
            Some((requester, _)) => holders.without(requester).minus(copies).is_empty(),
        };
        is_known && is_untouched && writer.is_none_or(is_allowed)
    })
}

/// The kernel repeats events, and threads fault on what has just come: such a fault is answered at once. A hint about such a page
/// asks for nothing.
fn repeated_faults_are_answered(cluster: &Cluster, state: &State) -> bool {
    let mut events = cluster.nodes().flat_map(|node| cluster.pages().map(move |page| (node, page)));
    events.all(|(node, page)| {
        let view = state.view(node, page);
        view.mapped.is_none_or(|access| is_answered(state, node, page, access))
            && view.waiting.is_none_or(|access| changes_nothing(state, node, page, access))
    })
}

fn is_answered(state: &State, node: NodeId, page: Page, access: Access) -> bool {
    let (mut machine, mut out) = (state.machines[node.rank()].as_ref().clone(), Vec::new());
    let is_ok = machine.fault(page, access, &mut out).is_ok() && !machine.prefetch(page, &mut out);
    is_ok && out == [protocol::sequential::Effect::Map { page, access }] && machine == *state.machines[node.rank()]
}

fn changes_nothing(state: &State, node: NodeId, page: Page, access: Access) -> bool {
    let (mut machine, mut out) = (state.machines[node.rank()].as_ref().clone(), Vec::new());
    let is_ok = machine.fault(page, access, &mut out).is_ok() && !machine.prefetch(page, &mut out);
    is_ok && out.is_empty() && machine == *state.machines[node.rank()]
}

/// Nothing is owed to anybody.
fn is_settled(cluster: &Cluster, state: &State) -> bool {
    let is_idle = |(page, &home): (Page, &usize)| state.machines[home].belief(page).is_none_or(|it| it.busy.is_none());
    state.broken.is_some()
        || state.views.iter().all(|view| view.waiting.is_none() && !view.ahead)
            && state.machines.iter().all(|machine| !machine.has_deferred())
            && cluster.pages().zip(&cluster.homes).all(is_idle)
}
