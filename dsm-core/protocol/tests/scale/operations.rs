//! What the tables have rows for. Node 0 is the home of the page and of the lock; node 1 is the one that wants something.

use protocol::Page;
use protocol::message::Access;

use crate::cluster::{Clock, Cluster, Cost};

const PAGE: Page = Page(0);

/// An operation.
pub struct Operation {
    pub name: &'static str,
    /// How many nodes it needs.
    pub nodes_min: usize,
    /// Whether it costs more among more nodes.
    pub grows: bool,
    /// What happened before.
    before: fn(&mut Cluster),
    act: fn(&mut Cluster),
}

impl Operation {
    /// What it costs among so many nodes; `None` where they are too few.
    pub fn cost(&self, nodes: usize, clock: Clock) -> Option<Cost> {
        (nodes >= self.nodes_min).then(|| {
            let mut cluster = Cluster::new(nodes, 1, clock);
            cluster.cost(self.before);
            cluster.cost(self.act)
        })
    }
}

fn nothing(_: &mut Cluster) {}

fn home_has_written(cluster: &mut Cluster) {
    cluster.touched(0, PAGE, Access::Write);
}

fn third_has_written(cluster: &mut Cluster) {
    cluster.touched(2, PAGE, Access::Write);
}

/// The home has written, then so many nodes have read, node 1 first.
fn read_by(cluster: &mut Cluster, readers: usize) {
    home_has_written(cluster);
    (1..=readers).for_each(|rank| cluster.touched(rank, PAGE, Access::Read));
}

/// The two have read and written the page in turn until it migrates, and the second has it.
fn in_turn(cluster: &mut Cluster, one: usize, other: usize) {
    for rank in [other, one, other] {
        cluster.touched(rank, PAGE, Access::Read);
        cluster.touched(rank, PAGE, Access::Write);
    }
}

fn all_have_read(cluster: &mut Cluster) {
    read_by(cluster, cluster.size() - 1);
}

/// Every node but node 1.
fn others_have_read(cluster: &mut Cluster) {
    home_has_written(cluster);
    (2..cluster.size()).for_each(|rank| cluster.touched(rank, PAGE, Access::Read));
}

fn read(cluster: &mut Cluster) {
    cluster.touch(1, PAGE, Access::Read);
}

fn write(cluster: &mut Cluster) {
    cluster.touch(1, PAGE, Access::Write);
}

fn add(cluster: &mut Cluster) {
    cluster.fetch_add(1);
}

fn acquire(cluster: &mut Cluster) {
    cluster.acquire(1);
}

fn third_has_used_the_lock(cluster: &mut Cluster) {
    cluster.acquired(2);
    cluster.release(2);
}

/// Node 2 holds the lock, and node 1 waits for it.
fn first_waits_for_third(cluster: &mut Cluster) {
    cluster.acquired(2);
    cluster.acquired(1);
}

/// All operations, in the order of the rows.
pub const ALL: [Operation; 19] = [
    Operation { name: "read a page that nobody wrote", nodes_min: 2, grows: false, before: nothing, act: read },
    Operation { name: "read, the home has the page", nodes_min: 2, grows: false, before: home_has_written, act: read },
    Operation { name: "read, a third node has it", nodes_min: 3, grows: false, before: third_has_written, act: read },
    Operation {
        name: "write, the home has the page",
        nodes_min: 2,
        grows: false,
        before: home_has_written,
        act: write,
    },
    Operation { name: "write, a third node has it", nodes_min: 3, grows: false, before: third_has_written, act: write },
    Operation {
        name: "upgrade, the home has the only other copy",
        nodes_min: 2,
        grows: false,
        before: |cluster| read_by(cluster, 1),
        act: write,
    },
    Operation {
        name: "upgrade, a third node has the only other copy",
        nodes_min: 3,
        grows: false,
        before: |cluster| {
            third_has_written(cluster);
            cluster.touched(1, PAGE, Access::Read);
        },
        act: write,
    },
    Operation {
        name: "read a page that migrates, the home has it",
        nodes_min: 2,
        grows: false,
        before: |cluster| in_turn(cluster, 1, 0),
        act: read,
    },
    Operation {
        name: "read a page that migrates, a third node has it",
        nodes_min: 3,
        grows: false,
        before: |cluster| in_turn(cluster, 1, 2),
        act: read,
    },
    Operation {
        name: "upgrade a page that has migrated",
        nodes_min: 2,
        grows: false,
        before: |cluster| {
            in_turn(cluster, 1, 0);
            cluster.touched(1, PAGE, Access::Read);
        },
        act: write,
    },
    Operation { name: "upgrade, all nodes have copies", nodes_min: 2, grows: true, before: all_have_read, act: write },
    Operation {
        name: "write, all others have copies",
        nodes_min: 3,
        grows: true,
        before: others_have_read,
        act: write,
    },
    Operation { name: "lock, its token at its home", nodes_min: 2, grows: false, before: nothing, act: acquire },
    Operation {
        name: "lock, its token at a third node",
        nodes_min: 3,
        grows: false,
        before: third_has_used_the_lock,
        act: acquire,
    },
    Operation {
        name: "lock again, nobody else wanted it",
        nodes_min: 2,
        grows: false,
        before: |cluster| {
            cluster.acquired(1);
            cluster.release(1);
        },
        act: acquire,
    },
    Operation {
        name: "release to a node that waits",
        nodes_min: 3,
        grows: false,
        before: first_waits_for_third,
        act: |cluster| cluster.release(2),
    },
    Operation { name: "barrier", nodes_min: 2, grows: true, before: nothing, act: Cluster::meet },
    Operation {
        name: "fetch-and-add, the home has the page alone",
        nodes_min: 2,
        grows: false,
        before: home_has_written,
        act: add,
    },
    Operation {
        name: "fetch-and-add, a third node has it",
        nodes_min: 3,
        grows: false,
        before: third_has_written,
        act: add,
    },
];
