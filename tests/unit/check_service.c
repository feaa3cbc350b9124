/*
 * check_service.c - which service a packet asks for, and for whom a server speaks.
 *
 * proves: HD-11
 */
#include <check.h>
#include <stdlib.h>

#include "dispatch/service.h"
#include "packet/decode.h"

#define TCP IPPROTO_NUM_TCP
#define UDP IPPROTO_NUM_UDP
#define NONE PARAMS_NONE

static struct ipaddr addr(const char *text)
{
	struct ipaddr a;

	ck_assert_int_eq(ipaddr_parse(&a, text), 0);
	return a;
}

/* ports: pairs of bounds, ended by 0. */
static struct service_params service(uint8_t proto, const char *a, const char *b,
				     const uint16_t *ports)
{
	struct service_params s = {.proto = proto, .n_addresses = 1, .sorry = NONE};

	s.addresses[0] = addr(a);
	if (b)
		s.addresses[s.n_addresses++] = addr(b);
	for (; ports && *ports; ports += 2)
		s.ports[s.n_ports++] = (struct range){.lo = ports[0], .hi = ports[1]};
	return s;
}

static uint16_t find(const struct service_table *t, const char *dst, uint8_t proto, uint16_t port)
{
	struct ipaddr a = addr(dst);

	return service_find(t, &a, proto, port);
}

static struct service_table *table(struct service_params *services, uint32_t n)
{
	struct params *p = calloc(1, sizeof(*p));

	ck_assert_ptr_nonnull(p);
	p->services = services;
	p->n_services = n;
	struct service_table *t = service_table_new(p);
	ck_assert_ptr_nonnull(t);
	free(p); /* nothing of it is needed any more */
	return t;
}

START_TEST(by_address_protocol_and_port)
{
	static const uint16_t web[] = {80, 80, 443, 443, 8000, 8010, 0}, dns[] = {53, 53, 0};
	struct service_params s[] = {
		service(TCP, "198.51.100.80", "2001:db8::80", web),
		service(UDP, "198.51.100.53", NULL, dns),
		service(TCP, "198.51.100.53", NULL, dns),
		service(UDP, "198.51.100.99", NULL, NULL),
	};
	struct service_table *t = table(s, 4);
	static const struct {
		const char *dst;
		uint8_t proto;
		uint16_t port, service;
	} rows[] = {
		{"198.51.100.80", TCP, 80, 0},	    {"198.51.100.80", TCP, 443, 0},
		{"198.51.100.80", TCP, 8000, 0},    {"198.51.100.80", TCP, 8010, 0},
		{"198.51.100.80", TCP, 7999, NONE}, {"198.51.100.80", TCP, 8011, NONE},
		{"198.51.100.80", TCP, 79, NONE},   {"198.51.100.80", TCP, 81, NONE},
		{"198.51.100.80", UDP, 80, NONE},   {"198.51.100.81", TCP, 80, NONE},
		{"2001:db8::80", TCP, 8005, 0},	    {"2001:db8::81", TCP, 8005, NONE},
		{"198.51.100.53", UDP, 53, 1},	    {"198.51.100.53", TCP, 53, 2},
		{"198.51.100.53", TCP, 54, NONE},   {"198.51.100.99", UDP, 0, 3},
		{"198.51.100.99", UDP, 65535, 3},   {"198.51.100.99", TCP, 7, NONE},
		{"198.51.100.80", 0, 80, NONE},	    {"198.51.100.80", 255, 80, NONE},
		{"::c633:6450", TCP, 80, NONE}, /* the same four bytes, but no IPv4 */
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		ck_assert_msg(find(t, rows[i].dst, rows[i].proto, rows[i].port) == rows[i].service,
			      "row %zu", i);
	service_table_free(t);
	service_table_free(NULL);
}
END_TEST

START_TEST(order_of_the_file)
{
	static const uint16_t some[] = {8000, 8010, 0}, one[] = {8005, 8005, 0};
	struct service_params s[] = {
		service(TCP, "198.51.100.80", NULL, one),
		service(TCP, "198.51.100.80", NULL, some),
		service(TCP, "198.51.100.80", NULL, NULL),
		service(TCP, "198.51.100.80", NULL, one),
	};
	struct service_table *t = table(s, 4);

	ck_assert_uint_eq(find(t, "198.51.100.80", TCP, 8005), 0);
	ck_assert_uint_eq(find(t, "198.51.100.80", TCP, 8006), 1);
	ck_assert_uint_eq(find(t, "198.51.100.80", TCP, 22), 2);
	service_table_free(t);
}
END_TEST

START_TEST(addresses)
{
	static const uint16_t web[] = {80, 80, 0};
	struct service_params s[] = {service(TCP, "198.51.100.80", "2001:db8::80", web)};
	struct ipaddr x = addr("198.51.100.80"), y = addr("2001:db8::80"), z = addr("198.51.100.8");
	struct service_table *t = table(s, 1), *none = table(NULL, 0);
	uint16_t target;

	ck_assert(service_has_address(t, &x));
	ck_assert(service_has_address(t, &y));
	ck_assert(!service_has_address(t, &z));
	ck_assert(!service_has_address(none, &x));
	ck_assert_uint_eq(find(none, "198.51.100.80", TCP, 80), NONE);
	ck_assert_uint_eq(service_of_server(none, &x, TCP, &target), NONE);
	service_table_free(t);
	service_table_free(none);
}
END_TEST

/* As many services as there may be, on as many addresses, each found by all of its own. */
START_TEST(full)
{
	struct service_params *s = calloc(PARAMS_SERVICES, sizeof(*s));
	struct ipaddr a = addr("2001:db8::");

	ck_assert_ptr_nonnull(s);
	for (unsigned i = 0; i < PARAMS_SERVICES; i++) {
		s[i].proto = TCP;
		s[i].n_addresses = PARAMS_SERVICE_ADDRS;
		s[i].n_ports = PARAMS_SERVICE_RANGES;
		for (unsigned k = 0; k < PARAMS_SERVICE_RANGES; k++)
			s[i].ports[k] = (struct range){.lo = (uint16_t)(100 * k + 1),
						       .hi = (uint16_t)(100 * k + 50)};
		for (unsigned k = 0; k < PARAMS_SERVICE_ADDRS; k++) {
			a.b[14] = (uint8_t)i;
			a.b[15] = (uint8_t)k;
			s[i].addresses[k] = a;
		}
	}
	struct service_table *t = table(s, PARAMS_SERVICES);
	for (unsigned i = 0; i < PARAMS_SERVICES; i++)
		for (unsigned k = 0; k < PARAMS_SERVICE_ADDRS; k++) {
			uint16_t port = (uint16_t)(100 * k + 1);
			if (service_find(t, &s[i].addresses[k], TCP, port) != i ||
			    service_find(t, &s[i].addresses[k], TCP, (uint16_t)(port + 49)) != i ||
			    service_find(t, &s[i].addresses[k], TCP, (uint16_t)(port + 50)) != NONE)
				ck_abort_msg("service %u, address %u", i, k);
		}
	free(s);
	service_table_free(t);
}
END_TEST

static struct target_params server(const char *v4, const char *v6)
{
	struct target_params x = {.has_v4 = v4, .has_v6 = v6, .member = NONE};

	if (v4)
		x.v4 = addr(v4);
	if (v6)
		x.v6 = addr(v6);
	return x;
}

/* A server begins a flow: with the service's address (l4/2), or with its own (l4/3). */
START_TEST(of_server)
{
	static const uint16_t web[] = {80, 80, 0}, ftp[] = {21, 21, 0};
	static uint16_t lists[] = {0, 1, 2, 3, 1};
	struct target_params targets[] = {
		server("10.4.0.10", NULL), server("10.4.0.11", "fd00::11"),
		server(NULL, "fd00::12"),  server(NULL, NULL), /* a stage */
		server("10.4.0.99", NULL),
	};
	struct service_params s[] = {
		service(TCP, "198.51.100.80", NULL, web),  /* no affinity */
		service(TCP, "198.51.100.80", NULL, ftp),  /* l4/2 */
		service(TCP, "198.51.100.21", NULL, ftp),  /* l4/3 to 0..3 */
		service(TCP, "198.51.100.22", NULL, NULL), /* l4/3 to 1: comes later */
		service(UDP, "198.51.100.22", NULL, NULL), /* l4/3 to 1 */
	};
	struct params *p = calloc(1, sizeof(*p));
	static const struct {
		const char *addr;
		uint8_t proto;
		uint16_t service, target;
	} rows[] = {
		{"198.51.100.80", TCP, 1, NONE},
		{"198.51.100.80", UDP, NONE, NONE},
		{"198.51.100.21", TCP, NONE, NONE}, /* nobody speaks as that */
		{"10.4.0.10", TCP, 2, 0},
		{"10.4.0.11", TCP, 2, 1},
		{"fd00::11", TCP, 2, 1},
		{"fd00::12", TCP, 2, 2},
		{"10.4.0.11", UDP, 4, 1},
		{"10.4.0.10", UDP, NONE, NONE},
		{"10.4.0.99", TCP, 2, 4},
		{"10.4.0.98", TCP, NONE, NONE},
		{"::", TCP, NONE, NONE},
	};

	ck_assert_ptr_nonnull(p);
	s[1].affinity = s[2].affinity = s[3].affinity = s[4].affinity = true;
	s[2].technology = s[3].technology = s[4].technology = TECHNOLOGY_L4_3;
	s[0].targets = s[1].targets = s[2].targets = (struct slice){.first = 0, .n = 4};
	s[3].targets = s[4].targets = (struct slice){.first = 4, .n = 1};
	s[2].sorry = 4;
	*p = (struct params){.services = s,
			     .n_services = 5,
			     .targets = targets,
			     .n_targets = 5,
			     .target_lists = lists,
			     .n_target_lists = 5};
	struct service_table *t = service_table_new(p);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct ipaddr a = addr(rows[i].addr);
		uint16_t target = 77;
		uint16_t found = service_of_server(t, &a, rows[i].proto, &target);
		ck_assert_msg(found == rows[i].service && target == rows[i].target,
			      "row %zu: service %u, target %u", i, found, target);
	}
	/* A server's address is not one that clients ask for. */
	ck_assert_uint_eq(find(t, "10.4.0.10", TCP, 21), NONE);
	struct ipaddr a = addr("10.4.0.10");
	ck_assert(!service_has_address(t, &a));
	free(p);
	service_table_free(t);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("service");
	TCase *t = tcase_create("service");

	tcase_add_test(t, by_address_protocol_and_port);
	tcase_add_test(t, order_of_the_file);
	tcase_add_test(t, addresses);
	tcase_add_test(t, full);
	tcase_add_test(t, of_server);
	suite_add_tcase(s, t);
	SRunner *sr = srunner_create(s);
	srunner_run_all(sr, CK_ENV);
	int failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed != 0;
}
