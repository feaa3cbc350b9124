/*
 * fuzz_tables.c - what a process finds of the one before (engine/handover.h): any sections behind a
 * head and under a sum that are right.
 *
 * Whatever was taken of them, the engine that has it goes on, forwards a packet, and can hand over
 * what it knows itself.
 */
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "conf/conf.h"
#include "engine/handover.h"

#define HEAD 48
#define SUM 32

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char text[] =
	"node = \"m0\"\n"
	"port \"inside\" { device = \"i\" addresses = {\"10.1.0.1/24\"} }\n"
	"port \"outside\" { device = \"o\" addresses = {\"192.0.2.1/24\"} }\n"
	"port \"front\" { device = \"f\" addresses = {\"10.3.0.1/24\"} }\n"
	"port \"farm\" { device = \"g\" addresses = {\"10.4.0.1/24\"} }\n"
	"cluster { id = 1 device = \"c\" backup = true max-forwards = 1024 }\n"
	"member \"m0\" { id = 1 address = \"10.9.0.1\" }\n"
	"member \"m1\" { id = 2 address = \"10.9.0.2\" }\n"
	"member \"m2\" { id = 3 address = \"10.9.0.3\" }\n"
	"firewall { max-flows = 1024\n"
	"	rule \"out\" { action = \"pass\" in = \"inside\" out = \"outside\" } }\n"
	"path \"fw1\" { id = 7 addresses = {\"10.3.0.11\"} }\n"
	"dispatcher \"inner\" { role = \"inner\" firewall-port = \"front\" ports = {\"farm\"}\n"
	"	max-flows = 1024 nodes = { \"m0\", \"m1\" } }\n"
	"service \"three\" { addresses = {\"203.0.113.80\"} protocol = \"tcp\" affinity = "
	"\"source\"\n"
	"	technology = \"l4/3\" targets = {\"s\"} }\n"
	"target \"s\" { addresses = {\"10.4.0.80\"} }\n";
static const char key[] = "1 00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff\n";

static struct engine *engine_of(const struct params *p)
{
	const struct engine_seed seed = {.boot_id = {1}, .words = {1, 2, 3, 4, 5, 6, 7, 8}};
	char err[128];
	struct keyring *keys = keyring_parse(key, sizeof(key) - 1, err, sizeof(err));
	struct engine *e = engine_new(p, keys, &seed, 1000000000);

	if (!e)
		abort();
	return e;
}

static int put_nowhere(void *arg, const void *data, size_t size)
{
	(void)data;
	*(size_t *)arg += size;
	return 0;
}

static int put_head(void *arg, const void *data, size_t size)
{
	uint8_t **head = arg;

	if (!*head && size == HEAD) {
		*head = malloc(HEAD);
		memcpy(*head, data, HEAD);
	}
	return 0;
}

/* The input behind the head that the engine itself would write. */
static uint8_t *tables_of(struct engine *e, struct actions *out, const struct handover_place *place,
			  const uint8_t *data, size_t size)
{
	uint8_t *head = NULL, *tables;

	if (engine_save(e, 1000000000, out, place, put_head, &head) < 0 || !head)
		abort();
	actions_reset(out);
	tables = malloc(HEAD + size + SUM);
	memcpy(tables, head, HEAD);
	if (size > 0)
		memcpy(tables + HEAD, data, size);
	crypto_generichash(tables + HEAD + size, SUM, tables, HEAD + size, NULL, 0);
	free(head);
	return tables;
}

static void go_on(struct engine *e, struct actions *out, const struct handover_place *place)
{
	size_t total = 0;

	for (uint64_t now = 1000000000; now < 3000000000; now += 50000000) {
		engine_tick(e, now, out);
		actions_reset(out);
	}
	if (engine_save(e, 3000000000, out, place, put_nowhere, &total) < 0 || total < HEAD + SUM)
		abort();
	engine_flush(e, ENGINE_FLUSH_FLOWS, 3000000000, out);
	actions_reset(out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const struct handover_place place = {.machine = {1}, .boottime_ns = 5000000000000ULL};
	struct params *p = conf_parse("fuzz", text, stderr, NULL);
	struct actions *out = actions_new();
	struct handover_report report;
	struct engine *e;
	const char *why;
	uint8_t *tables;

	if (!p || !out)
		abort();
	e = engine_of(p);
	tables = tables_of(e, out, &place, data, size);
	(void)engine_restore(e, 1000000000, out, &place, tables, HEAD + size + SUM, &report, &why);
	actions_reset(out);
	free(tables);
	go_on(e, out, &place);
	engine_free(e);
	actions_free(out);
	conf_free(p);
	return 0;
}
