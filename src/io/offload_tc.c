#include "io/offload_tc.h"

#include <errno.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>

#include <linux/pkt_sched.h>
#include <linux/rtnetlink.h>

#include <bpf/libbpf.h>
#include <libmnl/libmnl.h>

#define PRIORITY 1
#define HANDLE 0x66776364 /* "fwcd": by that a later daemon knows the filter again */

static bool has_leftover(const struct bpf_tc_hook *hook)
{
	LIBBPF_OPTS(bpf_tc_opts, opts, .handle = HANDLE, .priority = PRIORITY);

	return bpf_tc_query(hook, &opts) == 0;
}

int offload_tc_attach(unsigned ifindex, int fd, bool *ours, const char **what)
{
	/* The macro clears the padding, too, at which libbpf looks. */
	LIBBPF_OPTS(bpf_tc_hook, hook, .ifindex = (int)ifindex, .attach_point = BPF_TC_INGRESS);
	LIBBPF_OPTS(bpf_tc_opts, opts, .prog_fd = fd, .handle = HANDLE, .priority = PRIORITY,
		    .flags = BPF_TC_F_REPLACE);
	int rc = bpf_tc_hook_create(&hook);

	*what = "clsact";
	if (rc < 0 && rc != -EEXIST)
		return rc;
	*ours = rc == 0 || has_leftover(&hook);
	*what = "filter at TC ingress";
	rc = bpf_tc_attach(&hook, &opts);
	if (rc < 0)
		offload_tc_detach(ifindex, *ours);
	return rc;
}

/* --- who else is there -------------------------------------------------------------------------
 */

static int count_filter(const struct nlmsghdr *nlh, void *arg)
{
	unsigned *n = arg;

	if (nlh->nlmsg_type == RTM_NEWTFILTER)
		(*n)++;
	return MNL_CB_OK;
}

static int ask_filters(struct mnl_socket *nl, unsigned ifindex, uint32_t parent, uint32_t seq)
{
	char buffer[256];
	struct nlmsghdr *nlh = mnl_nlmsg_put_header(buffer);
	struct tcmsg *tc;

	nlh->nlmsg_type = RTM_GETTFILTER;
	nlh->nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP;
	nlh->nlmsg_seq = seq;
	tc = mnl_nlmsg_put_extra_header(nlh, sizeof(*tc));
	tc->tcm_family = AF_UNSPEC;
	tc->tcm_ifindex = (int)ifindex;
	tc->tcm_parent = parent;
	return mnl_socket_sendto(nl, nlh, nlh->nlmsg_len) < 0 ? -errno : 0;
}

static int count_filters(struct mnl_socket *nl, unsigned ifindex, uint32_t parent, unsigned *n)
{
	_Alignas(struct nlmsghdr) char buffer[8192];
	uint32_t seq = parent;
	int rc = ask_filters(nl, ifindex, parent, seq);

	while (rc == 0) {
		ssize_t size = mnl_socket_recvfrom(nl, buffer, sizeof(buffer));
		if (size < 0)
			return -errno;
		rc = mnl_cb_run(buffer, (size_t)size, seq, mnl_socket_get_portid(nl), count_filter,
				n);
		if (rc < 0)
			return -errno;
		if (rc == MNL_CB_STOP)
			return 0;
		rc = 0;
	}
	return rc;
}

/* True also when it cannot be found out. */
static bool is_used(unsigned ifindex)
{
	static const uint32_t sides[] = {TC_H_MIN_INGRESS, TC_H_MIN_EGRESS};
	struct mnl_socket *nl = mnl_socket_open2(NETLINK_ROUTE, SOCK_CLOEXEC);
	unsigned n = 0;
	int rc;

	if (!nl)
		return true;
	rc = mnl_socket_bind(nl, 0, MNL_SOCKET_AUTOPID);
	for (unsigned i = 0; rc == 0 && i < 2; i++)
		rc = count_filters(nl, ifindex, TC_H_MAKE(TC_H_CLSACT, sides[i]), &n);
	mnl_socket_close(nl);
	return rc < 0 || n > 0;
}

void offload_tc_detach(unsigned ifindex, bool ours)
{
	LIBBPF_OPTS(bpf_tc_hook, hook, .ifindex = (int)ifindex, .attach_point = BPF_TC_INGRESS);
	LIBBPF_OPTS(bpf_tc_opts, opts, .handle = HANDLE, .priority = PRIORITY);

	(void)bpf_tc_detach(&hook, &opts);
	if (!ours || is_used(ifindex))
		return;
	hook.attach_point = BPF_TC_INGRESS | BPF_TC_EGRESS;
	(void)bpf_tc_hook_destroy(&hook);
}
