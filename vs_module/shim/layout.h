/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Every field of a kernel structure that the Rust code touches itself.
 *
 * The kernel is built by gcc, the bindings are made by clang, and rustc lays
 * the structures out once more. bindgen's layout tests hold rustc to clang;
 * this list holds clang to gcc: bindings_helper.h takes clang's figures,
 * helpers.c refuses to compile where gcc's are others (a randomised structure,
 * a flag that only one of them knows). Bit fields are not touched from Rust at
 * all: helpers.c reads them. VS_TAIL is an array at the end, without a size.
 */
#ifndef _VS_LAYOUT_H
#define _VS_LAYOUT_H

#define VS_LAYOUT							\
	VS_SIZE(sk_buff, struct sk_buff)				\
	VS_FIELD(sk_buff_sk, struct sk_buff, sk)			\
	VS_FIELD(sk_buff_mark, struct sk_buff, mark)			\
	VS_FIELD(sk_buff_iif, struct sk_buff, skb_iif)			\
	VS_FIELD(sk_buff_len, struct sk_buff, len)			\
	VS_FIELD(sk_buff_data_len, struct sk_buff, data_len)		\
	VS_FIELD(sk_buff_data, struct sk_buff, data)			\
	VS_SIZE(nf_hook_state, struct nf_hook_state)			\
	VS_FIELD(nf_hook_state_pf, struct nf_hook_state, pf)		\
	VS_FIELD(nf_hook_state_in, struct nf_hook_state, in)		\
	VS_FIELD(nf_hook_state_out, struct nf_hook_state, out)		\
	VS_FIELD(nf_hook_state_sk, struct nf_hook_state, sk)		\
	VS_FIELD(nf_hook_state_net, struct nf_hook_state, net)		\
	VS_SIZE(nf_hook_ops, struct nf_hook_ops)			\
	VS_FIELD(nf_hook_ops_hook, struct nf_hook_ops, hook)		\
	VS_FIELD(nf_hook_ops_pf, struct nf_hook_ops, pf)		\
	VS_FIELD(nf_hook_ops_hooknum, struct nf_hook_ops, hooknum)	\
	VS_FIELD(nf_hook_ops_priority, struct nf_hook_ops, priority)	\
	VS_SIZE(pernet_operations, struct pernet_operations)		\
	VS_FIELD(pernet_operations_init, struct pernet_operations, init)	\
	VS_FIELD(pernet_operations_pre_exit, struct pernet_operations, pre_exit)	\
	VS_FIELD(sock_family, struct sock, __sk_common.skc_family)	\
	VS_FIELD(sock_state, struct sock, __sk_common.skc_state)	\
	VS_FIELD(sock_num, struct sock, __sk_common.skc_num)		\
	VS_FIELD(sock_dport, struct sock, __sk_common.skc_dport)	\
	VS_FIELD(sock_daddr, struct sock, __sk_common.skc_daddr)	\
	VS_FIELD(sock_rcv_saddr, struct sock, __sk_common.skc_rcv_saddr)	\
	VS_FIELD(sock_v6_daddr, struct sock, __sk_common.skc_v6_daddr)	\
	VS_FIELD(sock_v6_rcv_saddr, struct sock, __sk_common.skc_v6_rcv_saddr)	\
	VS_FIELD(sock_type, struct sock, sk_type)			\
	VS_FIELD(sock_protocol, struct sock, sk_protocol)		\
	VS_FIELD(sock_mark, struct sock, sk_mark)			\
	VS_FIELD(socket_sk, struct socket, sk)				\
	VS_FIELD(inet_request_sock_mark, struct inet_request_sock, ir_mark)	\
	VS_FIELD(inet_timewait_sock_mark, struct inet_timewait_sock, tw_mark)	\
	VS_FIELD(unix_sock_addr, struct unix_sock, addr)		\
	VS_FIELD(unix_sock_peer, struct unix_sock, peer)		\
	VS_FIELD(unix_address_len, struct unix_address, len)		\
	VS_TAIL(unix_address_name, struct unix_address, name)		\
	VS_FIELD(msghdr_name, struct msghdr, msg_name)			\
	VS_FIELD(msghdr_namelen, struct msghdr, msg_namelen)		\
	VS_FIELD(linux_binprm_file, struct linux_binprm, file)		\
	VS_FIELD(file_path, struct file, f_path)			\
	VS_FIELD(file_inode, struct file, f_inode)			\
	VS_FIELD(inode_sb, struct inode, i_sb)				\
	VS_FIELD(inode_private, struct inode, i_private)		\
	VS_FIELD(super_block_magic, struct super_block, s_magic)	\
	VS_FIELD(net_device_ifindex, struct net_device, ifindex)	\
	VS_FIELD(net_device_name, struct net_device, name)

#endif /* _VS_LAYOUT_H */
