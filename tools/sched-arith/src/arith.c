// SPDX-License-Identifier: MIT OR Apache-2.0
/* Gives the inline functions of arith.h names that the tests can call. */
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>

typedef uint8_t u8;
typedef uint16_t u16;
typedef uint32_t u32;
typedef uint64_t u64;
typedef int64_t s64;

#include "arith.h"

/* one name a line */
/* clang-format off */
u64 arith_compound(u64 share, u64 weight, u64 sum) { return compound(share, weight, sum); }
u64 arith_virtual_time(u64 ns, u64 share) { return virtual_time(ns, share); }
u64 arith_task_time(u64 ns, u64 weight) { return task_time(ns, weight); }
u64 arith_lag_max(u64 slice, u64 share, u64 n, u64 cpus) { return lag_max(slice, share, n, cpus); }
u64 arith_lead_max(u64 slice, u64 share, u64 cpus) { return lead_max(slice, share, cpus); }
u64 arith_resume(u64 vtime, u64 now, u64 lag, u64 lead) { return resume(vtime, now, lag, lead); }
u64 arith_go_back(u64 vtime, u64 now, u64 lag, u64 b) { return go_back(vtime, now, lag, b); }
void arith_bucket_fill(struct vs_bucket *b, u32 cap, u64 now) { bucket_fill(b, cap, now); }
void arith_bucket_take(struct vs_bucket *b, u32 cap, u64 ns) { bucket_take(b, cap, ns); }
void arith_bucket_give(struct vs_bucket *b, u32 cap, u64 ns) { bucket_give(b, cap, ns); }
/* clang-format on */

struct vs_queue *arith_queue_new(void)
{
	struct vs_queue *q = malloc(sizeof(*q));

	if (!q)
		abort();
	queue_init(q);
	return q;
}

/* clang-format off */
void arith_queue_free(struct vs_queue *q) { free(q); }
u32 arith_queue_first(const struct vs_queue *q) { return queue_first(q); }
u64 arith_queue_key(const struct vs_queue *q, u32 id) { return queue_key(q, id); }
void arith_queue_set(struct vs_queue *q, u32 id, u64 key) { queue_set(q, id, key); }
/* clang-format on */
