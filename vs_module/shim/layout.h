/* SPDX-License-Identifier: GPL-2.0 */
/*
 * All fields of kernel structures that the Rust code accesses itself.
 *
 * gcc builds the kernel, clang makes the bindings, and rustc lays the
 * structures out once more. bindgen's layout tests compare rustc with clang.
 * This list compares clang with gcc: bindings_helper.h takes clang's offsets,
 * and helpers.c does not compile if gcc's differ (a randomised structure, a
 * flag that only one of them knows). Rust code does not access bit fields:
 * helpers.c reads them. VS_TAIL is an array without a size at a structure's
 * end.
 */
#ifndef _VS_LAYOUT_H
#define _VS_LAYOUT_H

#define VS_LAYOUT                                                              \
	VS_SIZE(sk_buff, struct sk_buff)                                       \
	VS_FIELD(sk_buff_sk, struct sk_buff, sk)                               \
	VS_FIELD(sk_buff_dev, struct sk_buff, dev)                             \
	VS_FIELD(sk_buff_secmark, struct sk_buff, secmark)                     \
	VS_FIELD(sk_buff_protocol, struct sk_buff, protocol)                   \
	VS_FIELD(sk_buff_cb, struct sk_buff, cb)                               \
	VS_FIELD(sk_buff_len, struct sk_buff, len)                             \
	VS_FIELD(sk_buff_data_len, struct sk_buff, data_len)                   \
	VS_FIELD(sk_buff_data, struct sk_buff, data)                           \
	VS_FIELD(sock_family, struct sock, __sk_common.skc_family)             \
	VS_FIELD(sock_state, struct sock, __sk_common.skc_state)               \
	VS_FIELD(sock_num, struct sock, __sk_common.skc_num)                   \
	VS_FIELD(sock_dport, struct sock, __sk_common.skc_dport)               \
	VS_FIELD(sock_daddr, struct sock, __sk_common.skc_daddr)               \
	VS_FIELD(sock_rcv_saddr, struct sock, __sk_common.skc_rcv_saddr)       \
	VS_FIELD(sock_v6_daddr, struct sock, __sk_common.skc_v6_daddr)         \
	VS_FIELD(sock_v6_rcv_saddr, struct sock, __sk_common.skc_v6_rcv_saddr) \
	VS_FIELD(sock_type, struct sock, sk_type)                              \
	VS_FIELD(sock_protocol, struct sock, sk_protocol)                      \
	VS_FIELD(sock_cookie, struct sock, __sk_common.skc_cookie)             \
	VS_FIELD(socket_sk, struct socket, sk)                                 \
	VS_FIELD(request_sock_secid, struct request_sock, secid)               \
	VS_FIELD(request_sock_peer_secid, struct request_sock, peer_secid)     \
	VS_SIZE(vs_socket, struct vs_socket_entry)                             \
	VS_FIELD(vs_socket_tag, struct vs_socket_entry, tag)                   \
	VS_FIELD(unix_sock_addr, struct unix_sock, addr)                       \
	VS_FIELD(unix_sock_peer, struct unix_sock, peer)                       \
	VS_FIELD(unix_address_len, struct unix_address, len)                   \
	VS_TAIL(unix_address_name, struct unix_address, name)                  \
	VS_FIELD(msghdr_name, struct msghdr, msg_name)                         \
	VS_FIELD(msghdr_namelen, struct msghdr, msg_namelen)                   \
	VS_FIELD(linux_binprm_file, struct linux_binprm, file)                 \
	VS_FIELD(file_path, struct file, f_path)                               \
	VS_FIELD(file_inode, struct file, f_inode)                             \
	VS_FIELD(inode_sb, struct inode, i_sb)                                 \
	VS_FIELD(inode_private, struct inode, i_private)                       \
	VS_FIELD(super_block_magic, struct super_block, s_magic)               \
	VS_FIELD(net_device_ifindex, struct net_device, ifindex)               \
	VS_FIELD(net_device_name, struct net_device, name)

#endif /* _VS_LAYOUT_H */
