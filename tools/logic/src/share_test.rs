// SPDX-License-Identifier: MIT OR Apache-2.0

//! CPU use is forgotten by halves, the service that has most of its share left is due, and under a
//! server that serves one connection after the other shares come to the weights.

use crate::logic::attr::WEIGHT_MAX;
use crate::logic::hierarchy::DEPTH_MAX;
use crate::logic::share::{spread, step, steps, Level, Path, Turn, Used, OLDEST_EVERY};
use proptest::prelude::*;
use std::collections::VecDeque;

const SECOND: u64 = 1_000_000_000;
const STEP: u64 = 1 << 26;

#[test]
fn half_of_it_is_forgotten_in_a_half_life() {
    let used = Used::NONE.plus(step(5 * SECOND), SECOND);
    let then = step(5 * SECOND);
    assert_eq!(used.at(then), SECOND / 4);
    for halves in 0..25 {
        assert_eq!(used.at(then + 16 * halves), (SECOND / 4) >> halves);
    }
    assert_eq!(used.at(then + 16 * 60), 0);
}

#[test]
fn all_cpus_fit() {
    // 1,024 CPUs for a minute: 1.55 s of each are known
    let mut used = Used::NONE;
    for n in 0..60 * SECOND / STEP {
        used = used.plus(step(n * STEP), 1024 * STEP);
    }
    let known = used.at(step(60 * SECOND)) as f64 * 4.0 / 1e9;
    assert!((1400.0..1600.0).contains(&known), "{known}");
    // and what does not fit is the most that does
    let most = used.plus(step(60 * SECOND), u64::MAX);
    assert_eq!(most.at(step(60 * SECOND)), (1 << 40) - 1);
}

#[test]
fn a_clock_that_lags_behind_forgets_nothing() {
    let used = Used::NONE.plus(1000, SECOND);
    assert_eq!(used.at(999), used.at(1000));
    assert_eq!(used.plus(999, 0), used);
    // one that has gone round, does
    assert_eq!(used.at(1000 - 17), 0);
    assert_eq!((steps(1000, 1000 + 17), steps(1000, 1000 - 3)), (17, 0));
    // where the number begins anew, too
    let used = Used::NONE.plus(1 << 23, 0).plus((1 << 24) - 8, SECOND);
    assert_eq!(used.at(8), SECOND / 8);
}

proptest! {
    /// Beside the same in floating point.
    #[test]
    fn use_is_forgotten_evenly(
        events in prop::collection::vec((0u32..100, 0u64..4 * SECOND), 1..60),
    ) {
        let (mut used, mut wanted, mut now) = (Used::NONE, 0.0, 0);
        for (steps, ns) in events {
            now += steps;
            wanted = wanted * 2f64.powf(-f64::from(steps) / 16.0) + (ns / 4) as f64;
            used = used.plus(now, ns);
            let got = used.at(now) as f64;
            prop_assert!((got - wanted).abs() <= 60.0 + wanted * 1e-5, "{got} {wanted}");
            prop_assert_eq!(Used::from_raw(used.raw()), used);
        }
    }

    /// A long time told at once comes to the same as all its steps told one by one.
    #[test]
    fn what_is_told_late_is_spread(steps in 1u32..2000, each in 0u64..STEP) {
        let at_once = Used::NONE.plus(steps, spread(each * u64::from(steps), steps)).at(steps);
        let mut bit_by_bit = Used::NONE;
        for step in 1..=steps {
            bit_by_bit = bit_by_bit.plus(step, each);
        }
        let (got, wanted) = (at_once as f64, bit_by_bit.at(steps) as f64);
        prop_assert!((got - wanted).abs() <= 60.0 + wanted * 0.001, "{got} {wanted}");
    }

    /// For any use and weights, one of two nodes that differ is due before the other or they are
    /// even; an order by this is the same whichever is looked at first.
    #[test]
    fn due_is_an_order(
        ways in prop::collection::vec(prop::collection::vec(0u32..3, 0..DEPTH_MAX), 3..4),
    ) {
        // a level's weight and use follow from its place, so that they are the same on all ways
        let paths: Vec<Path> = ways.iter().map(|way| {
            let mut keys = vec![1_u32];
            for child in way {
                keys.push(keys.last().unwrap().wrapping_mul(31).wrapping_add(child + 1));
            }
            let mut path = Path::new();
            for key in keys.into_iter().rev() {
                let used = u64::from(key).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 24;
                let there = path.push(Level { key, weight: key % WEIGHT_MAX + 1, used });
                prop_assert!(there);
            }
            Ok(path)
        }).collect::<Result<_, TestCaseError>>()?;
        for one in &paths {
            prop_assert!(!one.is_due_before(one));
            for two in &paths {
                prop_assert!(!(one.is_due_before(two) && two.is_due_before(one)));
                for three in &paths {
                    if one.is_due_before(two) && two.is_due_before(three) {
                        prop_assert!(one.is_due_before(three));
                    }
                }
            }
        }
    }

    /// Of any `OLDEST_EVERY` accepts of one listener at least one takes the oldest, also where
    /// other listeners change the word meanwhile.
    #[test]
    fn the_oldest_is_taken(accepts in prop::collection::vec(0u32..2, 1..500)) {
        let (mut turn, mut since) = (Turn::from_raw(0), [0; 2]);
        for listener in accepts {
            let (next, oldest) = turn.next(listener);
            turn = Turn::from_raw(next.raw());
            since[listener as usize] = if oldest { 0 } else { since[listener as usize] + 1 };
            prop_assert!(since[listener as usize] < OLDEST_EVERY);
        }
    }
}

#[test]
fn of_an_undisturbed_listener_few_take_the_oldest() {
    let (mut turn, mut oldest) = (Turn::from_raw(7 << 32), 0);
    for _ in 0..10 * OLDEST_EVERY {
        let (next, taken) = turn.next(7);
        turn = next;
        oldest += u32::from(taken);
    }
    assert_eq!(oldest, 10);
}

#[test]
fn a_way_has_room_for_the_deepest_tree() {
    let mut path = Path::new();
    for key in 0..DEPTH_MAX as u32 + 2 {
        assert!(path.push(Level {
            key,
            ..Level::default()
        }));
    }
    assert!(!path.push(Level::default()));
}

/// A node of the simulator's tree. Node 0 is root.
struct Node {
    parent: usize,
    weight: u32,
    own: Used,
    all: Used,
    /// CPU time of its own, exactly.
    cpu: u64,
}

/// A server that accepts one connection, works for it, and accepts the next.
struct Server {
    nodes: Vec<Node>,
    queue: VecDeque<usize>,
    turn: Turn,
    now: u64,
}

impl Server {
    fn new(tree: &[(usize, u32)]) -> Self {
        let node = |&(parent, weight): &(usize, u32)| Node {
            parent,
            weight,
            own: Used::NONE,
            all: Used::NONE,
            cpu: 0,
        };
        Server {
            nodes: [(0, 100)].iter().chain(tree).map(node).collect(),
            queue: VecDeque::new(),
            turn: Turn::from_raw(0),
            now: 1000 * SECOND,
        }
    }

    fn path(&self, of: usize) -> Path {
        let mut path = Path::new();
        let (now, mut at) = (step(self.now), of);
        let own = &self.nodes[of];
        assert!(path.push(Level {
            key: (1 << 20) | of as u32,
            weight: 100,
            used: own.own.at(now)
        }));
        loop {
            let node = &self.nodes[at];
            assert!(path.push(Level {
                key: at as u32,
                weight: node.weight,
                used: node.all.at(now),
            }));
            if at == 0 {
                return path;
            }
            at = node.parent;
        }
    }

    /// As the module's: of the services among the first connections, the first that no other is
    /// due before.
    fn accept(&mut self) -> usize {
        let (turn, oldest) = self.turn.next(1);
        self.turn = turn;
        let mut due = self.queue[0];
        if !oldest {
            for &one in self.queue.iter().take(256) {
                if self.path(one).is_due_before(&self.path(due)) {
                    due = one;
                }
            }
        }
        let place = self.queue.iter().position(|one| *one == due).unwrap();
        self.queue.remove(place).unwrap()
    }

    fn work(&mut self, of: usize, ns: u64) {
        self.now += ns;
        let now = step(self.now);
        self.nodes[of].cpu += ns;
        self.nodes[of].own = self.nodes[of].own.plus(now, ns);
        let mut at = of;
        loop {
            self.nodes[at].all = self.nodes[at].all.plus(now, ns);
            if at == 0 {
                break;
            }
            at = self.nodes[at].parent;
        }
    }

    /// Serves for so long; of each (service, connections, ns of work) as many wait at all times.
    /// Returns each one's part in the CPU time, in percent.
    fn shares(&mut self, clients: &[(usize, usize, u64)], seconds: u64) -> Vec<f64> {
        let before: Vec<u64> = self.nodes.iter().map(|node| node.cpu).collect();
        let (begun, end) = (self.now, self.now + seconds * SECOND);
        for &(of, connections, _) in clients {
            let have = self.queue.iter().filter(|one| **one == of).count();
            self.queue.extend((have..connections).map(|_| of));
        }
        while self.now < end {
            let of = self.accept();
            let work = clients
                .iter()
                .find(|client| client.0 == of)
                .map_or(0, |client| client.2);
            self.work(of, work);
            if work != 0 {
                self.queue.push_back(of);
            }
        }
        let all = self.now - begun;
        clients
            .iter()
            .map(|(of, ..)| 100.0 * (self.nodes[*of].cpu - before[*of]) as f64 / all as f64)
            .collect()
    }
}

fn near(got: &[f64], wanted: &[f64]) {
    for (one, want) in got.iter().zip(wanted) {
        assert!((one - want).abs() < 1.0, "{got:?}, {wanted:?}");
    }
}

#[test]
fn shares_come_to_the_weights() {
    // connections of one cost, and of costs that differ
    for costs in [
        [SECOND / 1000; 3],
        [SECOND / 2500, SECOND / 500, SECOND / 1000],
    ] {
        let mut server = Server::new(&[(0, 300), (0, 100), (0, 200)]);
        let clients = [(1, 3, costs[0]), (2, 100, costs[1]), (3, 2, costs[2])];
        near(
            &server.shares(&clients, 20),
            &[50.0, 100.0 / 6.0, 100.0 / 3.0],
        );
        // the third goes
        near(&server.shares(&clients[..2], 20), &[75.0, 25.0]);
    }
}

#[test]
fn shares_compound_over_the_tree() {
    // root: a (300), b (100); a: a1 (100), a2 (300), and a's own, which weighs 100
    let mut server = Server::new(&[(0, 300), (0, 100), (1, 100), (1, 300)]);
    let clients: Vec<_> = (1..=4).map(|of| (of, 5, SECOND / 1000)).collect();
    near(&server.shares(&clients, 30), &[15.0, 25.0, 15.0, 45.0]);
    // beside b, all of a is one
    near(&server.shares(&[clients[1], clients[2]], 30), &[25.0, 75.0]);
}

#[test]
fn a_connection_does_not_wait_for_those_of_others() {
    let mut server = Server::new(&[(0, 100), (0, 100)]);
    server.shares(&[(1, 100, SECOND / 1000)], 3);
    server.queue.push_back(2);
    let place = (1..).find(|_| server.accept() == 2).unwrap();
    assert!(place <= 2, "{place}");
}

#[test]
fn what_was_saved_up_lasts_about_a_second() {
    let mut server = Server::new(&[(0, 100), (0, 100)]);
    let both = [(1, 10, SECOND / 1000), (2, 10, SECOND / 1000)];
    server.shares(&both[..1], 60);
    let first = server.shares(&both, 1);
    assert!((1.0..25.0).contains(&first[0]), "{first:?}");
    near(&server.shares(&both, 20), &[50.0, 50.0]);
}

#[test]
fn nobody_starves() {
    // by its weight the second would get one accept in ten thousand
    let mut server = Server::new(&[(0, WEIGHT_MAX), (0, 1)]);
    server.queue.extend([2, 2]);
    server.queue.extend([1; 50]);
    server.work(2, 100 * SECOND);
    let mut waited = Vec::new();
    for n in 1..=3 * OLDEST_EVERY {
        match server.accept() {
            2 => waited.push(n),
            of => {
                server.work(of, SECOND / 100_000);
                server.queue.push_back(of);
            }
        }
    }
    assert_eq!(waited.len(), 2, "{waited:?}");
    assert!(
        waited[0] <= OLDEST_EVERY && waited[1] <= 2 * OLDEST_EVERY,
        "{waited:?}"
    );
}
