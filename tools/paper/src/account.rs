// SPDX-License-Identifier: MIT OR Apache-2.0
//! The single-threaded server's own account: for whom it has worked. See server.c.

use vs_demo::run::{Process, Role, Tenant};

/// The CPU time of the server's process, by the one for whom it was: a, b, and neither (the round
/// that it is in, before it has a connection).
///
/// # Errors
/// Bytes that are no account, or an account of more than the process has used.
pub fn divide(bytes: &[u8], pid: u32, cpu_ns: u64) -> Result<[Process; 3], String> {
    let words: Vec<i64> = bytes
        .chunks_exact(8)
        .map(|word| i64::from_le_bytes(word.try_into().unwrap_or_default()))
        .collect();
    let [valid, states @ ..] = words.as_slice() else {
        return Err("the account is empty".to_owned());
    };
    let state = usize::try_from(*valid)
        .ok()
        .and_then(|n| states.chunks_exact(4).nth(n));
    let Some(&[a, b, since, now]) = state else {
        return Err(format!("{} bytes are no account", bytes.len()));
    };
    let whole = i64::try_from(cpu_ns).map_err(|e| e.to_string())?;
    let round = whole - since;
    let of = |tenant: i64, done: i64| done + if now == tenant { round } else { 0 };
    let (a, b) = (of(0, a), of(1, b));
    let part = |role, ns: i64| {
        let cpu_ns = u64::try_from(ns).map_err(|_| format!("{role:?}: {ns} ns"))?;
        Ok::<_, String>(Process { pid, role, cpu_ns })
    };
    Ok([
        part(Role::Backend(Tenant::A), a)?,
        part(Role::Backend(Tenant::B), b)?,
        part(Role::Server, whole - a - b)?,
    ])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn account(words: &[i64]) -> Vec<u8> {
        words.iter().flat_map(|word| word.to_le_bytes()).collect()
    }

    fn parts(words: &[i64], cpu_ns: u64) -> [u64; 3] {
        divide(&account(words), 7, cpu_ns)
            .unwrap()
            .map(|process| process.cpu_ns)
    }

    #[test]
    fn the_valid_state_is_read_and_the_round_is_its_tenants() {
        let mut words = [1, 9, 9, 9, 9, 100, 200, 310, 1];
        assert_eq!(parts(&words, 350), [100, 240, 10]);
        words[8] = 0;
        assert_eq!(parts(&words, 350), [140, 200, 10]);
        words[8] = -1;
        assert_eq!(parts(&words, 350), [100, 200, 50]);
        words[0] = 0;
        assert_eq!(parts(&words, 350), [9, 9, 332]);
    }

    #[test]
    fn what_is_no_account_is_refused() {
        assert!(divide(&[], 7, 1).is_err());
        assert!(divide(&account(&[2, 0, 0, 0, -1, 0, 0, 0, -1]), 7, 1).is_err());
        assert!(divide(&account(&[0, 1]), 7, 1).is_err());
        assert!(divide(&account(&[0, 5, 5, 10, -1]), 7, 9).is_err());
    }
}
