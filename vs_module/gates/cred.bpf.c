// SPDX-License-Identifier: GPL-2.0
/*
 * Gates where a task becomes another: exec, setuid, setgid. A rule of these
 * gates gives it a new home: the task itself has changed, not the work that it
 * has in hand.
 */
#include "../bpf/verdict.bpf.h"

char _license[] SEC("license") = "GPL";

/* The new program's credentials are in force, its first instruction is to come. */
SEC("lsm/bprm_committed_creds")
int BPF_PROG(exec__bprm_committed_creds, const struct linux_binprm *bprm)
{
	struct vs_tag *tag = tag_of(bpf_get_current_task_btf());

	bind(tag, vs_gate_exec(bprm, who(tag)), 0);
	return 0;
}

/*
 * setfsuid() and setfsgid() (flags LSM_SETID_FS) do not pass the gates: they change access to
 * files, not the party that the task is.
 */
#define LSM_SETID_FS 8

SEC("lsm/task_fix_setuid")
int BPF_PROG(setuid__task_fix_setuid, struct cred *cred, const struct cred *old, int flags, int ret)
{
	struct vs_tag *tag;

	if (ret || flags == LSM_SETID_FS)
		return ret;
	tag = tag_of(bpf_get_current_task_btf());
	return obey(tag, vs_gate_setuid(cred, who(tag)));
}

SEC("lsm/task_fix_setgid")
int BPF_PROG(setgid__task_fix_setgid, struct cred *cred, const struct cred *old, int flags, int ret)
{
	struct vs_tag *tag;

	if (ret || flags == LSM_SETID_FS)
		return ret;
	tag = tag_of(bpf_get_current_task_btf());
	return obey(tag, vs_gate_setgid(cred, who(tag)));
}
