// SPDX-License-Identifier: MIT OR Apache-2.0
//! Tests properties of the scheduler's arithmetic, and whole machines that it schedules.

use std::collections::BTreeMap;

use proptest::prelude::*;
use sched_arith::*;

const SLICE: u64 = 3_000_000;
const SECOND: u64 = 1_000_000_000;

/// Simulates one or several CPUs and nodes that always want to run, with one tree level for each
/// weight in a node's path.
///
/// Returns each node's part of `time` CPU time, in thousandths.
fn shared(paths: &[Vec<(u64, u64)>], cpus: usize, time: u64) -> Vec<u64> {
    let shares: Vec<u64> = paths
        .iter()
        .map(|path| {
            path.iter()
                .fold(ONE, |share, &(weight, sum)| compound(share, weight, sum))
        })
        .collect();
    let mut queue = Queue::default();
    let mut vtime = vec![0u64; paths.len()];
    let mut used = vec![0u64; paths.len()];
    let mut running: Vec<usize> = Vec::new();
    for id in 0..paths.len() {
        queue.set(id as u32, 0);
    }
    let mut total = 0;
    while total < time {
        if running.len() == cpus {
            let id = running.remove(0);
            vtime[id] += virtual_time(SLICE, shares[id]);
            used[id] += SLICE;
            total += SLICE;
            let others = running.iter().filter(|&&other| other == id).count() as u64;
            queue.set(
                id as u32,
                vtime[id] + others * virtual_time(SLICE, shares[id]),
            );
        }
        let id = queue.first().unwrap() as usize;
        running.push(id);
        let here = running.iter().filter(|&&other| other == id).count() as u64;
        queue.set(
            id as u32,
            vtime[id] + here * virtual_time(SLICE, shares[id]),
        );
    }
    used.iter().map(|used| used * 1000 / total).collect()
}

#[test]
fn three_to_one() {
    for cpus in [1, 2, 7] {
        let had = shared(&[vec![(300, 400)], vec![(100, 400)]], cpus, 10 * SECOND);
        assert!((749..=751).contains(&had[0]), "{cpus} CPUs: {had:?}");
    }
}

#[test]
fn the_example_of_the_header() {
    // a1, a2, b, root's own
    let had = shared(
        &[
            vec![(300, 500), (100, 300)],
            vec![(300, 500), (200, 300)],
            vec![(100, 500)],
            vec![(100, 500)],
        ],
        2,
        10 * SECOND,
    );
    for (had, wanted) in had.into_iter().zip([200, 400, 200, 200]) {
        assert!(had.abs_diff(wanted) <= 2, "{had} instead of {wanted}");
    }
}

#[test]
fn a_full_tree_does_not_overflow() {
    // the smallest share there is, and the longest step
    let step = virtual_time(u64::MAX, 0);
    assert_eq!(step, (1 << 34) * ONE / 16);
    assert!(lead_max(SLICE, 0, 1024) < 1 << 63);
    assert!(lag_max(SLICE, 0, 16384, 1024) < 1 << 63);
    assert!(task_time(u64::MAX, 0) > 0);
}

#[test]
fn a_node_that_slept_gains_no_more_than_two_slices() {
    let (share, now) = (ONE / 4, 100 * SECOND);
    let lag = lag_max(SLICE, share, 4, 1);
    let back = resume(0, now, lag, lead_max(SLICE, share, 1));
    let credit = (now - back) * share / ONE;
    assert!(credit <= 2 * SLICE + 5 * SLICE * share / ONE, "{credit} ns");
}

proptest! {
    #[test]
    fn shares_never_exceed_the_whole(weights in prop::collection::vec(1u64..10_000, 1..200)) {
        let sum = weights.iter().sum();
        let given: u64 = weights.iter().map(|&weight| compound(ONE, weight, sum)).sum();
        prop_assert!(given <= ONE);
        prop_assert!(given + weights.len() as u64 >= ONE, "lost {}", ONE - given);
    }

    #[test]
    fn any_weights_are_met(
        weights in prop::collection::vec(10u64..1000, 2..12),
        cpus in 1usize..4,
    ) {
        let sum: u64 = weights.iter().sum();
        // a node may run on all CPUs at once, so it can use its whole share
        let paths: Vec<_> = weights.iter().map(|&weight| vec![(weight, sum)]).collect();
        let had = shared(&paths, cpus, 60 * SECOND);
        for (had, weight) in had.into_iter().zip(weights) {
            let wanted = weight * 1000 / sum;
            prop_assert!(had.abs_diff(wanted) <= 3, "{had} instead of {wanted}");
        }
    }

    #[test]
    fn the_first_is_the_least(
        steps in prop::collection::vec(
            ((0u32..100).prop_map(|n| n * 163), 0u64..1000, 0..3),
            1..600,
        ),
    ) {
        let mut queue = Queue::default();
        let mut model = BTreeMap::new();
        for (id, key, way) in steps {
            if way > 0 {
                queue.set(id, key);
                model.insert(id, key);
            } else {
                queue.set(id, NEVER);
                model.remove(&id);
            }
            let least = model.values().min().copied();
            prop_assert_eq!(queue.first().map(|id| queue.key(id)), least);
            prop_assert_eq!(queue.first().is_some(), !model.is_empty());
        }
    }

    #[test]
    fn resuming_stays_within_bounds(
        vtime in 0..1u64 << 40,
        now in 1u64 << 38..1 << 40,
        lag in 0..1u64 << 30,
        lead in 0..1u64 << 30,
    ) {
        let at = resume(vtime, now, lag, lead);
        prop_assert!(at >= now - lag && at <= now + lead);
        if vtime >= now - lag && vtime <= now + lead {
            prop_assert_eq!(at, vtime);
        }
    }

    #[test]
    fn going_back_stays_within_bounds(
        vtime in 0..1u64 << 40,
        now in 0..1u64 << 40,
        lag in 0..1u64 << 30,
        back in 0..1u64 << 40,
    ) {
        let at = go_back(vtime, now, lag, back);
        let least = now.saturating_sub(lag).min(vtime);
        prop_assert_eq!(at, vtime.saturating_sub(back).max(least));
    }

    /// A node that runs whenever its bucket is not empty, a tick at a time, gets its cap.
    #[test]
    fn a_cap_is_kept(
        cap in 10u32..4000,
        tick in prop::sample::select(vec![1_000_000u64, 4_000_000, 10_000_000]),
    ) {
        let mut bucket = Bucket::default();
        let (mut at, mut used) = (CAP_PERIOD, 0u64);
        // as many CPUs as the cap asks for, and one
        let cpus = u64::from(cap) / 1000 + 1;
        let end = 30 * SECOND;
        while at < end {
            bucket.fill(cap, at);
            if bucket.level > 0 {
                bucket.take(cap, tick * cpus);
                used += tick * cpus;
            }
            at += tick;
        }
        let wanted = end / 1000 * u64::from(cap);
        let slack = CAP_PERIOD / 1000 * u64::from(cap) + 2 * tick * cpus;
        prop_assert!(used <= wanted + slack, "{used} of {wanted}");
        prop_assert!(used + slack >= wanted / 1000 * 999, "{used} of {wanted}");
    }

    #[test]
    fn a_bucket_is_never_fuller_than_a_period(
        cap in 10u32..100_000,
        times in prop::collection::vec(0u64..1 << 36, 1..20),
    ) {
        let mut bucket = Bucket::default();
        let mut at = 0;
        for step in times {
            at += step;
            bucket.fill(cap, at);
            prop_assert!(bucket.level <= (CAP_PERIOD / 1000 * u64::from(cap)) as i64);
            bucket.take(cap, step);
            prop_assert!(bucket.level >= -100 * (CAP_PERIOD / 1000 * u64::from(cap)) as i64);
            let taken = bucket.level;
            bucket.give(cap, step);
            prop_assert!(bucket.level >= taken);
            prop_assert!(bucket.level <= (CAP_PERIOD / 1000 * u64::from(cap)) as i64);
        }
    }
}
