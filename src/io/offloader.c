/*
 * offloader.c - libbpf, and what lies in memory shared with the kernel program.
 */
#include "io/offloader.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "base/log.h"
#include "io/offload_object.h"
#include "io/offload_prog.h"
#include "io/offload_tc.h"

struct attachment {
	unsigned ifindex; /* 0 = free */
	bool clsact_ours;
	int claim;
};

struct offloader {
	struct bpf_object *object;
	int filter, ingress; /* programs */
	int keys, ports;     /* maps */
	struct offload_slot *slots;
	size_t slots_size;
	uint32_t n_slots;
	struct offload_page *page;
	size_t page_size;
	struct attachment attached[PARAMS_PORTS];
};

/* --- loading ------------------------------------------------------------------------------------
 */

/* What libbpf and the verifier have to say is for whoever looks for the reason. */
__attribute__((format(printf, 2, 0))) static int say_debug(enum libbpf_print_level level,
							   const char *format, va_list args)
{
	char text[512];

	if (level == LIBBPF_DEBUG)
		return 0;
	vsnprintf(text, sizeof(text), format, args);
	text[strcspn(text, "\n")] = '\0';
	log_debug("offload: %s", text);
	return 0;
}

static int set_sizes(struct bpf_object *object, uint32_t n_flows)
{
	struct bpf_map *slots = bpf_object__find_map_by_name(object, "slots");
	struct bpf_map *keys = bpf_object__find_map_by_name(object, "keys");

	if (!slots || !keys)
		return -ENOENT;
	int rc = bpf_map__set_max_entries(slots, n_flows);
	return rc < 0 ? rc : bpf_map__set_max_entries(keys, n_flows * 2);
}

static void *map_memory(struct bpf_object *object, const char *name, size_t *size)
{
	const struct bpf_map *map = bpf_object__find_map_by_name(object, name);
	size_t page = (size_t)sysconf(_SC_PAGESIZE), stride;
	void *p;

	if (!map)
		return NULL;
	stride = (bpf_map__value_size(map) + 7u) & ~(size_t)7;
	*size = (stride * bpf_map__max_entries(map) + page - 1) / page * page;
	p = mmap(NULL, *size, PROT_READ | PROT_WRITE, MAP_SHARED, bpf_map__fd(map), 0);
	return p == MAP_FAILED ? NULL : p;
}

_Static_assert(sizeof(struct offload_slot) % 8 == 0, "slots follow each other without a gap");

static int program(struct bpf_object *object, const char *name)
{
	const struct bpf_program *p = bpf_object__find_program_by_name(object, name);

	return p ? bpf_program__fd(p) : -ENOENT;
}

static int load(struct offloader *o, uint32_t n_flows)
{
	LIBBPF_OPTS(bpf_object_open_opts, opts, .object_name = "fwclusterd");
	int rc;

	libbpf_set_print(say_debug);
	o->object = bpf_object__open_mem(offload_object,
					 (size_t)(offload_object_end - offload_object), &opts);
	if (!o->object)
		return -errno;
	rc = set_sizes(o->object, n_flows);
	if (rc == 0)
		rc = bpf_object__load(o->object);
	if (rc < 0)
		return rc;
	o->filter = program(o->object, "offload_filter");
	o->ingress = program(o->object, "offload_ingress");
	o->keys = bpf_object__find_map_fd_by_name(o->object, "keys");
	o->ports = bpf_object__find_map_fd_by_name(o->object, "ports");
	o->n_slots = n_flows;
	o->slots = map_memory(o->object, "slots", &o->slots_size);
	o->page = map_memory(o->object, "page", &o->page_size);
	return o->slots && o->page && o->filter >= 0 && o->ingress >= 0 && o->keys >= 0 &&
			       o->ports >= 0
		       ? 0
		       : -ENOMEM;
}

static const char *hint(int rc)
{
	switch (rc) {
	case -EPERM:
	case -EACCES:
		return ": it needs CAP_BPF, CAP_PERFMON and CAP_NET_ADMIN";
	case -ENOMEM:
	case -E2BIG:
		return "; lower offload-flows";
	default:
		return "; debug output says more";
	}
}

struct offloader *offloader_open(uint32_t n_flows, char *err, size_t err_size)
{
	struct offloader *o = calloc(1, sizeof(*o));
	int rc = o ? load(o, n_flows) : -ENOMEM;

	if (rc == 0)
		return o;
	snprintf(err, err_size, "cannot load the kernel program: %s%s", strerror(-rc), hint(rc));
	offloader_close(o);
	return NULL;
}

void offloader_close(struct offloader *o)
{
	if (!o)
		return;
	for (unsigned i = 0; i < PARAMS_PORTS; i++)
		if (o->attached[i].ifindex)
			offloader_detach(o, o->attached[i].ifindex);
	if (o->slots)
		munmap(o->slots, o->slots_size);
	if (o->page)
		munmap(o->page, o->page_size);
	bpf_object__close(o->object);
	free(o);
}

struct offload_slot *offloader_slots(const struct offloader *o)
{
	return o->slots;
}

uint32_t offloader_n_slots(const struct offloader *o)
{
	return o->n_slots;
}

struct offload_control *offloader_control(const struct offloader *o)
{
	return &o->page->control;
}

int offloader_filter(const struct offloader *o)
{
	return o->filter;
}

/* --- devices ------------------------------------------------------------------------------------
 */

/* Two daemons at one device would take each other's place there. What says that one is at work is
 * a name that the kernel forgets with the process, in this network namespace. */
static int claim(unsigned ifindex)
{
	struct sockaddr_un name = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0), rc;
	int size = snprintf(name.sun_path + 1, sizeof(name.sun_path) - 1, "fwclusterd-offload-%u",
			    ifindex);
	socklen_t len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + (size_t)size);

	if (fd < 0)
		return -errno;
	if (bind(fd, (struct sockaddr *)&name, len) == 0)
		return fd;
	rc = errno == EADDRINUSE ? -EBUSY : -errno;
	close(fd);
	return rc;
}

static struct attachment *attachment_of(struct offloader *o, unsigned ifindex)
{
	for (unsigned i = 0; i < PARAMS_PORTS; i++)
		if (o->attached[i].ifindex == ifindex)
			return &o->attached[i];
	return NULL;
}

static int set_port(struct offloader *o, unsigned ifindex, const struct port_params *params)
{
	struct offload_port port = {.promiscuous = params->promiscuous, .has_mac = params->has_mac};
	uint32_t key = ifindex;

	memcpy(port.mac, params->mac.b, sizeof(port.mac));
	return bpf_map_update_elem(o->ports, &key, &port, BPF_ANY);
}

static int attach(struct offloader *o, struct attachment *a, unsigned ifindex,
		  const struct port_params *params, const char **what)
{
	int rc;

	a->claim = claim(ifindex);
	*what = a->claim == -EBUSY ? "another daemon does that there" : "socket";
	if (a->claim < 0)
		return a->claim;
	*what = "map of ports";
	rc = set_port(o, ifindex, params);
	if (rc == 0)
		rc = offload_tc_attach(ifindex, o->ingress, &a->clsact_ours, what);
	if (rc < 0)
		close(a->claim);
	return rc;
}

int offloader_attach(struct offloader *o, unsigned ifindex, const struct port_params *params,
		     char *err, size_t err_size)
{
	struct attachment *a;
	const char *what = "too many devices";
	int rc = -ENOSPC;

	offloader_detach(o, ifindex);
	a = attachment_of(o, 0);
	if (a)
		rc = attach(o, a, ifindex, params, &what);
	if (rc < 0) {
		snprintf(err, err_size, "port \"%s\": offload: device \"%s\": %s: %s", params->name,
			 params->device, what, strerror(-rc));
		return rc;
	}
	a->ifindex = ifindex;
	return 0;
}

void offloader_detach(struct offloader *o, unsigned ifindex)
{
	struct attachment *a = ifindex ? attachment_of(o, ifindex) : NULL;
	uint32_t key = ifindex;

	if (!a)
		return;
	offload_tc_detach(ifindex, a->clsact_ours);
	(void)bpf_map_delete_elem(o->ports, &key);
	close(a->claim);
	*a = (struct attachment){0};
}

/* --- keys ---------------------------------------------------------------------------------------
 */

int offloader_put(struct offloader *o, const struct offload_key *key, uint32_t value)
{
	return bpf_map_update_elem(o->keys, key, &value, BPF_ANY);
}

int offloader_remove(struct offloader *o, const struct offload_key *key)
{
	return bpf_map_delete_elem(o->keys, key);
}

unsigned offloader_broken(const struct offloader *o)
{
	return __atomic_load_n(&o->page->broken_ifindex, __ATOMIC_RELAXED);
}

void offloader_mended(struct offloader *o)
{
	__atomic_store_n(&o->page->broken_ifindex, 0, __ATOMIC_RELAXED);
}
