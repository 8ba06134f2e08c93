// SPDX-License-Identifier: GPL-2.0
/*
 * The C half of the kfuncs: BTF describes only C, so the prototypes and the set
 * of ids are here. Their bodies are Rust (gates/, control/place.rs, bpf/cpu.rs),
 * except for those that only ask the kernel.
 */
#include <linux/bpf.h>
#include <linux/bpf_local_storage.h>
#include <linux/btf.h>
#include <linux/btf_ids.h>
#include <linux/cred.h>
#include <linux/hrtimer.h>
#include <linux/module.h>
#include <linux/sched.h>
#include <linux/sched/clock.h>
#include <linux/smp.h>
#include <net/request_sock.h>
#include <net/sock.h>

#include "kfuncs.h"

#define VS_FORWARD(type, name, params, args) \
	type name##_body params;             \
	__bpf_kfunc type name params         \
	{                                    \
		return name##_body args;     \
	}

/* Runs on the CPU that is to look for a task, interrupts off. */
static void vs_look(void *unused)
{
	if (is_idle_task(current)) {
		set_tsk_need_resched(current);
		set_preempt_need_resched();
	}
}

static DEFINE_PER_CPU(call_single_data_t, vs_looks) = CSD_INIT(vs_look, NULL);

/* The map of tags, with a reference held; written by one task at a time. */
static struct bpf_map __rcu *vs_tags_map;
/* The task that asks for the map, and the answer that it got. */
static struct task_struct *vs_asker;
static struct bpf_map *vs_answer;

#ifdef CONFIG_PREEMPT_RT
static struct hrtimer vs_timers[VS_TIMERS];

noinline void vs_fires(u32 which)
{
	barrier();
}

static enum hrtimer_restart vs_timer_over(struct hrtimer *timer)
{
	vs_fires(timer - vs_timers);
	return HRTIMER_NORESTART;
}

/*
 * In softirq, and not in the interrupt: the program attached to vs_fires() starts a
 * workqueue, which would need memory with interrupts off.
 */
static void vs_timers_init(void)
{
	unsigned int which;

	for (which = 0; which < VS_TIMERS; which++)
		hrtimer_setup(&vs_timers[which], vs_timer_over, CLOCK_MONOTONIC,
			      HRTIMER_MODE_REL_SOFT);
}

static void vs_timers_exit(void)
{
	unsigned int which;

	for (which = 0; which < VS_TIMERS; which++)
		hrtimer_cancel(&vs_timers[which]);
}
#else
static void vs_timers_init(void)
{
}

static void vs_timers_exit(void)
{
}
#endif

__bpf_kfunc_start_defs();

/* the formatter takes the parameters for expressions */
/* clang-format off */
VS_FORWARD(u64, vs_gate_fork, (u32 who), (who))
VS_FORWARD(u64, vs_gate_exec, (const struct linux_binprm *bprm, u32 who), (bprm, who))
VS_FORWARD(void, vs_gate_exit, (u32 who), (who))
VS_FORWARD(u64, vs_gate_setuid, (const struct cred *cred, u32 who), (cred, who))
VS_FORWARD(u64, vs_gate_setgid, (const struct cred *cred, u32 who), (cred, who))
VS_FORWARD(u64, vs_gate_socket, (struct socket *sock, u32 who), (sock, who))
VS_FORWARD(u64, vs_gate_socketpair, (struct socket *sock, struct socket *peer, u32 who),
	   (sock, peer, who))
VS_FORWARD(u64, vs_gate_connect, (struct socket *sock, struct sockaddr *address, int len, u32 who),
	   (sock, address, len, who))
VS_FORWARD(u64, vs_gate_accept, (struct sock *conn, u32 who), (conn, who))
VS_FORWARD(u64, vs_gate_send, (struct socket *sock, struct msghdr *msg, u32 who), (sock, msg, who))
VS_FORWARD(u64, vs_gate_close, (u32 who, u64 work, u64 closed), (who, work, closed))
VS_FORWARD(u64, vs_gate_wait, (u32 who, u64 by, u64 address, bool serves),
	   (who, by, address, serves))
VS_FORWARD(void, vs_accept_order, (struct socket *sock, u32 who, u32 served), (sock, who, served))
VS_FORWARD(u64, vs_work_received, (u32 who, u64 by, u64 address, bool serves),
	   (who, by, address, serves))
VS_FORWARD(u64, vs_work_ages, (u32 who, u64 age), (who, age))
VS_FORWARD(u64, vs_work_sleeps, (u32 who), (who))
VS_FORWARD(u64, vs_gate_fastopen, (struct socket *sock, struct msghdr *msg, u32 who),
	   (sock, msg, who))
VS_FORWARD(u64, vs_conn_request,
	   (const struct sock *listener, struct sk_buff *skb, struct request_sock *req),
	   (listener, skb, req))
VS_FORWARD(void, vs_conn_born, (struct sock *conn, const struct request_sock *req), (conn, req))
VS_FORWARD(u64, vs_conn_unix, (const struct sock *client, struct sock *conn), (client, conn))
VS_FORWARD(void, vs_datagram, (struct sock *receiver, struct sk_buff *skb), (receiver, skb))
VS_FORWARD(void, vs_sk_gone, (u64 cookie, u64 address), (cookie, address))
VS_FORWARD(void, vs_sk_follow, (struct sock *sk, struct sock *other), (sk, other))
VS_FORWARD(u32, vs_sk_vs, (struct sock_common *sk), (sk))
VS_FORWARD(u32, vs_named_vs, (u64 cookie, u64 address), (cookie, address))
VS_FORWARD(bool, vs_tag_hold, (u32 old, u32 who), (old, who))
VS_FORWARD(void, vs_tag_replaced, (u32 old, u32 who), (old, who))
VS_FORWARD(void, vs_tag_release, (u32 old, u32 who), (old, who))
VS_FORWARD(void, vs_task_gone, (u32 who), (who))
VS_FORWARD(void, vs_placed, (int error), (error))
VS_FORWARD(u64, vs_generation, (void), ())
VS_FORWARD(int, vs_cpu_node, (u32 vs, struct vs_cpu_node *out, u32 out__sz), (vs, out, out__sz))
VS_FORWARD(void, vs_charge_cpu, (u32 vs, u64 ns), (vs, ns))
/* clang-format on */

__bpf_kfunc void vs_tags_are(void *tags__map)
{
	struct bpf_map *map = tags__map;

	if (READ_ONCE(vs_asker) != current || READ_ONCE(vs_answer))
		return;
	if (map->map_type != BPF_MAP_TYPE_TASK_STORAGE || map->value_size != sizeof(struct vs_tag))
		return;
	bpf_map_inc(map);
	WRITE_ONCE(vs_answer, map);
}

__bpf_kfunc u64 vs_rq_clock(u32 cpu)
{
	return cpu < nr_cpu_ids ? sched_clock_cpu(cpu) : 0;
}

__bpf_kfunc void vs_kick_idle(u32 cpu)
{
	/* An online CPU stays online while preemption is off here. */
	guard(preempt)();
	if (cpu < nr_cpu_ids && cpu_online(cpu))
		/* -EBUSY: a call is under way already */
		smp_call_function_single_async(cpu, per_cpu_ptr(&vs_looks, cpu));
}

#ifdef CONFIG_PREEMPT_RT
/*
 * May be called under a run queue's lock: the kernel's scheduler starts its own timers there, too.
 */
__bpf_kfunc void vs_fire_after(u32 which, u64 ns)
{
	if (which < VS_TIMERS)
		hrtimer_start(&vs_timers[which], ns_to_ktime(ns), HRTIMER_MODE_REL_SOFT);
}
#endif

__bpf_kfunc_end_defs();

noinline __noclone void vs_place(struct task_struct *task, u32 vs)
{
	barrier();
}

noinline __noclone void vs_bind(u64 verdict, u64 work)
{
	barrier();
}

void vs_bind_current(u64 verdict, u64 work)
{
	guard(preempt)();
	vs_bind(verdict, work);
}

noinline __noclone void vs_ask_tags(void)
{
	barrier();
}

static void vs_replace_tags(struct bpf_map *map)
{
	struct bpf_map *old = rcu_replace_pointer(vs_tags_map, map, true);

	if (!old)
		return;
	synchronize_rcu();
	bpf_map_put(old);
}

void vs_learn_tags(void)
{
	WRITE_ONCE(vs_answer, NULL);
	WRITE_ONCE(vs_asker, current);
	vs_ask_tags();
	WRITE_ONCE(vs_asker, NULL);
	vs_replace_tags(READ_ONCE(vs_answer));
}

void vs_forget_tags(void)
{
	vs_replace_tags(NULL);
}

/* As bpf_task_storage_get() does it, but without caching what was found. */
struct vs_tag *vs_current_tag(void)
{
	struct bpf_map *map = rcu_dereference(vs_tags_map);
	struct bpf_local_storage *storage = rcu_dereference(current->bpf_storage);
	struct bpf_local_storage_data *data;

	if (!map || !storage)
		return NULL;
	data = bpf_local_storage_lookup(storage, (struct bpf_local_storage_map *)map, false);
	return data ? (struct vs_tag *)data->data : NULL;
}

noinline __noclone u32 vs_message_of(const struct sock *sk)
{
	barrier();
	return 0;
}

noinline __noclone int vs_sockets_counted(void)
{
	barrier();
	return 0;
}

/*
 * Kfuncs that look at services or rules have KF_RCU_PROTECTED: the verifier has them called under
 * RCU.
 */
BTF_KFUNCS_START(vs_kfuncs)
BTF_ID_FLAGS(func, vs_gate_fork, KF_RCU_PROTECTED)
BTF_ID_FLAGS(func, vs_gate_exec, KF_RCU_PROTECTED)
BTF_ID_FLAGS(func, vs_gate_exit, KF_RCU_PROTECTED)
BTF_ID_FLAGS(func, vs_gate_setuid, KF_RCU_PROTECTED)
BTF_ID_FLAGS(func, vs_gate_setgid, KF_RCU_PROTECTED)
BTF_ID_FLAGS(func, vs_gate_socket, KF_RCU_PROTECTED)
BTF_ID_FLAGS(func, vs_gate_socketpair, KF_RCU_PROTECTED)
BTF_ID_FLAGS(func, vs_gate_connect, KF_RCU_PROTECTED)
BTF_ID_FLAGS(func, vs_gate_accept, KF_RCU_PROTECTED)
BTF_ID_FLAGS(func, vs_gate_send, KF_RCU_PROTECTED)
BTF_ID_FLAGS(func, vs_accept_order, KF_RCU_PROTECTED)
BTF_ID_FLAGS(func, vs_work_received, KF_RCU_PROTECTED)
BTF_ID_FLAGS(func, vs_work_ages, KF_RCU_PROTECTED)
BTF_ID_FLAGS(func, vs_work_sleeps, KF_RCU_PROTECTED)
BTF_ID_FLAGS(func, vs_tags_are)
BTF_ID_FLAGS(func, vs_gate_close, KF_RCU_PROTECTED)
BTF_ID_FLAGS(func, vs_gate_wait, KF_RCU_PROTECTED)
BTF_ID_FLAGS(func, vs_gate_fastopen, KF_RCU_PROTECTED)
BTF_ID_FLAGS(func, vs_conn_request, KF_RCU_PROTECTED)
BTF_ID_FLAGS(func, vs_conn_born, KF_RCU_PROTECTED)
BTF_ID_FLAGS(func, vs_conn_unix, KF_RCU_PROTECTED)
BTF_ID_FLAGS(func, vs_datagram, KF_RCU_PROTECTED)
BTF_ID_FLAGS(func, vs_sk_gone, KF_RCU_PROTECTED)
BTF_ID_FLAGS(func, vs_sk_follow, KF_RCU_PROTECTED)
BTF_ID_FLAGS(func, vs_sk_vs, KF_RCU_PROTECTED)
BTF_ID_FLAGS(func, vs_named_vs, KF_RCU_PROTECTED)
BTF_ID_FLAGS(func, vs_tag_hold, KF_RCU_PROTECTED)
BTF_ID_FLAGS(func, vs_tag_replaced, KF_RCU_PROTECTED)
BTF_ID_FLAGS(func, vs_tag_release, KF_RCU_PROTECTED)
BTF_ID_FLAGS(func, vs_task_gone, KF_RCU_PROTECTED)
BTF_ID_FLAGS(func, vs_placed)
BTF_ID_FLAGS(func, vs_generation)
BTF_ID_FLAGS(func, vs_cpu_node)
BTF_ID_FLAGS(func, vs_charge_cpu, KF_RCU_PROTECTED)
BTF_ID_FLAGS(func, vs_rq_clock)
BTF_ID_FLAGS(func, vs_kick_idle)
#ifdef CONFIG_PREEMPT_RT
BTF_ID_FLAGS(func, vs_fire_after)
#endif
BTF_KFUNCS_END(vs_kfuncs)

/* Functions that BPF programs may replace (fmod_ret). */
BTF_KFUNCS_START(vs_replaced)
BTF_ID_FLAGS(func, vs_message_of)
BTF_ID_FLAGS(func, vs_sockets_counted)
BTF_KFUNCS_END(vs_replaced)

static const struct btf_kfunc_id_set vs_replaced_set = {
	.owner = THIS_MODULE,
	.set = &vs_replaced,
};

static const struct btf_kfunc_id_set vs_kfunc_set = {
	.owner = THIS_MODULE,
	.set = &vs_kfuncs,
};

int vs_register_kfuncs(void)
{
	int error;

	vs_timers_init();
	/* LSM, fentry/fexit, tracepoints and iterators share one registration. */
	error = register_btf_kfunc_id_set(BPF_PROG_TYPE_LSM, &vs_kfunc_set);
	if (error)
		return error;
	error = register_btf_kfunc_id_set(BPF_PROG_TYPE_STRUCT_OPS, &vs_kfunc_set);
	if (error)
		return error;
	error = register_btf_kfunc_id_set(BPF_PROG_TYPE_SYSCALL, &vs_kfunc_set);
	if (error)
		return error;
	return register_btf_fmodret_id_set(&vs_replaced_set);
}

void vs_end_kfuncs(void)
{
	/*
	 * Calls that were sent to a CPU before have arrived there when this returns, but may
	 * still run after it, in the same interrupt. That interrupt is over after a grace period,
	 * for which the module waits last.
	 */
	kick_all_cpus_sync();
	vs_timers_exit();
}
