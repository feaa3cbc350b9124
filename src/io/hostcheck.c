/*
 * hostcheck.c - sysctls, addresses and device settings against the configuration.
 */
#include "io/hostcheck.h"

#include <errno.h>
#include <fcntl.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <netinet/in.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <linux/ethtool.h>
#include <linux/sockios.h>

#define TEXT 512
#define UNKNOWN (-1)

struct check {
	const struct params *params;
	void (*say)(void *arg, const char *problem, const char *mend);
	void *arg;
	unsigned problems;
	int fd; /* for ioctls */
};

/* A number in /proc/sys/net, or UNKNOWN. */
static int read_sysctl(const char *family, const char *device, const char *key)
{
	char path[128], text[16];
	int value;

	if (device)
		snprintf(path, sizeof(path), "/proc/sys/net/%s/conf/%s/%s", family, device, key);
	else
		snprintf(path, sizeof(path), "/proc/sys/net/%s/%s", family, key);
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return UNKNOWN;
	ssize_t got = read(fd, text, sizeof(text) - 1);
	close(fd);
	if (got <= 0)
		return UNKNOWN;
	text[got] = 0;
	return sscanf(text, "%d", &value) == 1 ? value : UNKNOWN;
}

static void found(struct check *c, const char *problem, const char *mend)
{
	c->problems++;
	c->say(c->arg, problem, mend);
}

static bool is_live(const struct port_params *port)
{
	return port->backend != BACKEND_FILE;
}

/* Set on all devices, unless it was switched off on each port's device alone. */
static void check_forwarding4(struct check *c)
{
	char problem[TEXT], mend[TEXT];
	int all = read_sysctl("ipv4", NULL, "ip_forward");

	for (uint32_t i = 0; i < c->params->n_ports; i++) {
		const struct port_params *port = &c->params->ports[i];
		int own = is_live(port) ? read_sysctl("ipv4", port->device, "forwarding") : 0;
		if ((own == UNKNOWN ? all : own) != 1)
			continue;
		if (all == 1) {
			found(c, "the kernel forwards IPv4 itself: every packet would leave twice",
			      "sysctl -w net.ipv4.ip_forward=0");
			return;
		}
		snprintf(problem, sizeof(problem),
			 "the kernel forwards IPv4 itself on device \"%s\": every packet would "
			 "leave twice",
			 port->device);
		snprintf(mend, sizeof(mend), "sysctl -w net/ipv4/conf/%s/forwarding=0",
			 port->device);
		found(c, problem, mend);
	}
}

static bool has_live_port(const struct params *params)
{
	for (uint32_t i = 0; i < params->n_ports; i++)
		if (is_live(&params->ports[i]))
			return true;
	return false;
}

/* For IPv6 the switch of all devices decides, and since Linux 6.17 one more of each device. */
static void check_forwarding6(struct check *c)
{
	char problem[TEXT], mend[TEXT];

	if (!has_live_port(c->params))
		return;
	if (read_sysctl("ipv6", "all", "forwarding") >= 1) {
		found(c, "the kernel forwards IPv6 itself: every packet would leave twice",
		      "sysctl -w net.ipv6.conf.all.forwarding=0");
		return;
	}
	for (uint32_t i = 0; i < c->params->n_ports; i++) {
		const struct port_params *port = &c->params->ports[i];
		if (!is_live(port) || read_sysctl("ipv6", port->device, "force_forwarding") != 1)
			continue;
		snprintf(problem, sizeof(problem),
			 "the kernel forwards IPv6 itself on device \"%s\": every packet would "
			 "leave twice",
			 port->device);
		snprintf(mend, sizeof(mend), "sysctl -w net/ipv6/conf/%s/force_forwarding=0",
			 port->device);
		found(c, problem, mend);
	}
}

static bool read_ifaddr(const struct ifaddrs *ifa, struct ipaddr *out)
{
	if (!ifa->ifa_addr)
		return false;
	if (ifa->ifa_addr->sa_family == AF_INET) {
		struct sockaddr_in in;
		memcpy(&in, ifa->ifa_addr, sizeof(in));
		*out = ipaddr_v4(&in.sin_addr);
		return true;
	}
	if (ifa->ifa_addr->sa_family == AF_INET6) {
		struct sockaddr_in6 in6;
		memcpy(&in6, ifa->ifa_addr, sizeof(in6));
		*out = ipaddr_v6(&in6.sin6_addr);
		return true;
	}
	return false;
}

/* Whether the kernel knows an IPv6 route for everything, if only one that drops. Its own last
 * entry, which answers with an error, has the largest metric. */
static bool has_default6(void)
{
	static const char any[] = "00000000000000000000000000000000 00 ";
	FILE *f = fopen("/proc/net/ipv6_route", "re");
	char line[256];
	bool found_one = !f; /* nothing to be read: nothing to be said */

	while (f && !found_one && fgets(line, sizeof(line), f))
		found_one = strncmp(line, any, sizeof(any) - 1) == 0 && !strstr(line, " ffffffff ");
	if (f)
		fclose(f);
	return found_one;
}

/* IPv4 without forwarding is silent about what it has no route for. IPv6 is not: the sender would
 * give up, though the daemon has sent the packet on. */
static void check_route6(struct check *c, const struct ifaddrs *list)
{
	struct ipaddr held;
	char problem[TEXT];

	if (has_default6())
		return;
	for (const struct ifaddrs *ifa = list; ifa; ifa = ifa->ifa_next) {
		if (!read_ifaddr(ifa, &held) || ipaddr_is_v4(&held) || ipaddr_is_link_local(&held))
			continue;
		for (uint32_t i = 0; i < c->params->n_ports; i++) {
			const struct port_params *port = &c->params->ports[i];
			if (!is_live(port) || port->has_mac || strcmp(port->device, ifa->ifa_name))
				continue;
			snprintf(
				problem, sizeof(problem),
				"the kernel has no IPv6 default route: it answers packets that the "
				"daemon forwards from device \"%s\" with \"no route\"",
				port->device);
			found(c, problem, "ip -6 route add blackhole default metric 4096");
			return;
		}
	}
}

static void check_address(struct check *c, const struct port_params *port, const struct prefix *own,
			  const struct ifaddrs *list)
{
	char problem[TEXT], mend[TEXT], addr[ADDR_TEXT];
	struct ipaddr held;

	for (const struct ifaddrs *ifa = list; ifa; ifa = ifa->ifa_next) {
		if (!read_ifaddr(ifa, &held) || !ipaddr_eq(&held, &own->addr))
			continue;
		ipaddr_text(addr, &held);
		snprintf(problem, sizeof(problem),
			 "address \"%s\" of port \"%s\" is also configured on device \"%s\": the "
			 "kernel answers for it",
			 addr, port->name, ifa->ifa_name);
		snprintf(mend, sizeof(mend), "ip address del %s dev %s", prefix_text(addr, own),
			 ifa->ifa_name);
		found(c, problem, mend);
	}
}

static void check_addresses(struct check *c)
{
	struct ifaddrs *list;
	if (getifaddrs(&list) < 0)
		return;
	for (uint32_t i = 0; i < c->params->n_ports; i++) {
		const struct port_params *port = &c->params->ports[i];
		for (uint32_t k = 0; k < port->n_addresses; k++)
			check_address(c, port, &port->addresses[k], list);
	}
	check_route6(c, list);
	freeifaddrs(list);
}

/* Value of one of ethtool's get commands; 0 when the device or the feature is missing. */
static uint32_t ethtool_get(struct check *c, const char *device, uint32_t cmd)
{
	struct ethtool_value value = {.cmd = cmd};
	struct ifreq ifr = {0};
	snprintf(ifr.ifr_name, sizeof(ifr.ifr_name), "%.*s", IFNAMSIZ - 1, device);
	ifr.ifr_data = (void *)&value;
	return ioctl(c->fd, SIOCETHTOOL, &ifr) < 0 ? 0 : value.data;
}

static void append(char *text, size_t size, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

static void append(char *text, size_t size, const char *fmt, ...)
{
	size_t used = strlen(text);
	va_list ap;
	va_start(ap, fmt);
	vsnprintf(text + used, size - used, fmt, ap);
	va_end(ap);
}

/* Frames merged by LRO cannot be cut again as they were: no backend can send them on. The others
 * leave frames behind that only the backend "packet" understands. */
static void check_offloads(struct check *c, const struct port_params *port)
{
	static const struct {
		uint32_t cmd, mask;
		const char *key;
		bool always;
	} offloads[] = {
		{ETHTOOL_GFLAGS, ETH_FLAG_LRO, "lro", true},
		{ETHTOOL_GGRO, 1, "gro", false},
		{ETHTOOL_GGSO, 1, "gso", false},
		{ETHTOOL_GTSO, 1, "tso", false},
		{ETHTOOL_GTXCSUM, 1, "tx", false},
	};
	char problem[TEXT], mend[TEXT], keys[64] = "";

	snprintf(mend, sizeof(mend), "ethtool -K %s", port->device);
	for (size_t i = 0; i < sizeof(offloads) / sizeof(offloads[0]); i++) {
		if (port->backend != BACKEND_PCAP && !offloads[i].always)
			continue;
		if (!(ethtool_get(c, port->device, offloads[i].cmd) & offloads[i].mask))
			continue;
		append(keys, sizeof(keys), "%s%s", keys[0] ? ", " : "", offloads[i].key);
		append(mend, sizeof(mend), " %s off", offloads[i].key);
	}
	if (!keys[0])
		return;
	snprintf(
		problem, sizeof(problem),
		"offloads of device \"%s\" are on (%s): port \"%s\" with backend \"%s\" would lose "
		"or spoil packets",
		port->device, keys, port->name, port->backend == BACKEND_PCAP ? "pcap" : "packet");
	found(c, problem, mend);
}

static void check_mtu(struct check *c, const struct port_params *port)
{
	char problem[TEXT], mend[TEXT];
	struct ifreq ifr = {0};

	snprintf(ifr.ifr_name, sizeof(ifr.ifr_name), "%.*s", IFNAMSIZ - 1, port->device);
	if (port->mtu == 0 || ioctl(c->fd, SIOCGIFMTU, &ifr) < 0)
		return;
	if (ifr.ifr_mtu <= 0 || port->mtu <= (uint32_t)ifr.ifr_mtu)
		return;
	snprintf(problem, sizeof(problem),
		 "mtu %u of port \"%s\" is above that of device \"%s\" (%d): longer packets would "
		 "be lost",
		 port->mtu, port->name, port->device, ifr.ifr_mtu);
	snprintf(mend, sizeof(mend), "ip link set dev %s mtu %u", port->device, port->mtu);
	found(c, problem, mend);
}

unsigned hostcheck_run(const struct params *params,
		       void (*say)(void *arg, const char *problem, const char *mend), void *arg)
{
	struct check c = {.params = params, .say = say, .arg = arg};

	check_forwarding4(&c);
	check_forwarding6(&c);
	check_addresses(&c);
	c.fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (c.fd < 0)
		return c.problems;
	for (uint32_t i = 0; i < params->n_ports; i++) {
		if (!is_live(&params->ports[i]))
			continue;
		check_offloads(&c, &params->ports[i]);
		check_mtu(&c, &params->ports[i]);
	}
	close(c.fd);
	return c.problems;
}
