-- A small report: one query, some two milliseconds of PostgreSQL's time in the guest.
\set aid random(1, 99900)
SELECT sum(abalance) FROM pgbench_accounts WHERE aid BETWEEN :aid AND :aid + 40;
