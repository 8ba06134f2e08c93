// SPDX-License-Identifier: MIT OR Apache-2.0

use crate::logic::hierarchy::UNLIMITED;
use crate::rcu::Rcu;
use crate::state::counter::{try_charge, uncharge, Resource};
use crate::state::service::{relocate, Service};
use crate::state::stat::Count;
use shuttle::sync::Arc;
use shuttle::thread;

const ORDERS: usize = 3_000;
const TASKS: Resource = Resource::Tasks;

/// Tries random orders, and orders in which few threads are held up at the worst places.
fn in_many_orders(model: fn()) {
    shuttle::check_random(model, ORDERS);
    shuttle::check_pct(model, ORDERS, 3);
}

fn held(services: &[&Service]) -> Vec<i64> {
    services
        .iter()
        .map(|service| service.link().held(TASKS))
        .collect()
}

/// Threads that take one of each of these services, and give it back later.
fn workers(rcu: &Arc<Rcu>, of: &[&'static Service]) -> Vec<thread::JoinHandle<()>> {
    let work = |service: &'static Service| {
        let rcu = rcu.clone();
        thread::spawn(move || {
            for _ in 0..2 {
                if rcu.read(|| try_charge(service, TASKS)).is_ok() {
                    rcu.read(|| uncharge(service, TASKS));
                }
            }
        })
    };
    of.iter().map(|service| work(service)).collect()
}

fn join(threads: Vec<thread::JoinHandle<()>>) {
    for thread in threads {
        thread.join().unwrap();
    }
}

#[test]
fn a_limit_is_never_exceeded_and_refusals_leave_nothing() {
    in_many_orders(|| {
        let rcu = Arc::new(Rcu::new());
        let root = Service::new(None, UNLIMITED);
        let limited = Service::new(Some(root), 1);
        let below = [
            Service::new(Some(limited), UNLIMITED),
            Service::new(Some(limited), 5),
        ];
        let inside = Arc::new(shuttle::sync::atomic::AtomicI64::new(0));
        let threads = [below[0], below[1], limited].map(|service| {
            let (rcu, inside) = (rcu.clone(), inside.clone());
            thread::spawn(move || {
                if rcu.read(|| try_charge(service, TASKS)).is_ok() {
                    assert_eq!(
                        inside.fetch_add(1, shuttle::sync::atomic::Ordering::SeqCst),
                        0,
                        "one at a time"
                    );
                    inside.fetch_sub(1, shuttle::sync::atomic::Ordering::SeqCst);
                    rcu.read(|| uncharge(service, TASKS));
                } else {
                    assert!(service.stats().get(Count::RefusedTasks) > 0);
                }
            })
        });
        join(threads.into());
        assert_eq!(held(&[root, limited, below[0], below[1]]), [0; 4]);
        assert!([limited, below[0], below[1]]
            .iter()
            .all(|service| service.stats().get(Count::Tasks) == 0));
    });
}

#[test]
fn what_moves_while_it_counts_counts_right() {
    in_many_orders(|| {
        let rcu = Arc::new(Rcu::new());
        let root = Service::new(None, UNLIMITED);
        let [left, right] = [2, 2].map(|limit| Service::new(Some(root), limit));
        let child = Service::new(Some(left), UNLIMITED);
        let grandchild = Service::new(Some(child), UNLIMITED);
        // one is held all the time
        rcu.read(|| try_charge(grandchild, TASKS)).unwrap();
        let threads = workers(&rcu, &[grandchild, child]);
        relocate(&rcu, &[(child, right)]);
        relocate(&rcu, &[(grandchild, left)]);
        relocate(&rcu, &[(grandchild, child)]);
        join(threads);
        assert_eq!(
            held(&[root, left, right, child, grandchild]),
            [1, 0, 1, 1, 1]
        );
        rcu.read(|| uncharge(grandchild, TASKS));
        assert_eq!(held(&[root, left, right, child, grandchild]), [0; 5]);
    });
}

#[test]
fn what_changes_places_counts_right() {
    in_many_orders(|| {
        let rcu = Arc::new(Rcu::new());
        let root = Service::new(None, UNLIMITED);
        let upper = Service::new(Some(root), UNLIMITED);
        let lower = Service::new(Some(upper), UNLIMITED);
        let leaf = Service::new(Some(lower), UNLIMITED);
        rcu.read(|| try_charge(leaf, TASKS)).unwrap();
        let threads = workers(&rcu, &[leaf, upper, lower]);
        // the lower service becomes the upper one, in one change
        relocate(&rcu, &[(lower, root), (upper, lower), (leaf, upper)]);
        join(threads);
        assert_eq!(held(&[root, upper, lower, leaf]), [1; 4]);
        rcu.read(|| uncharge(leaf, TASKS));
        assert_eq!(held(&[root, upper, lower, leaf]), [0; 4]);
    });
}
