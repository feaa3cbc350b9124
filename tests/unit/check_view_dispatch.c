/*
 * What the operator sees of dispatchers: firewalls, services, targets, flows, health. Each answer
 * must fit the published schema.
 *
 * proves: HD-18 HD-24
 */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "conf/conf.h"
#include "base/name_id.h"
#include "dispatch/leg.h"
#include "engine/engine_priv.h"
#include "engine/view.h"
#include "schema.h"

#define MS 1000000ULL
#define START (1000 * 1000 * MS)
#define NOW (START + 60 * 1000 * MS)
#define OUTER 0
#define INNER 1

static const char config[] =
	"node = \"box\"\n"
	"port \"lan\" { device = \"l\" addresses = {\"10.1.0.1/16\"} }\n"
	"port \"wan\" { device = \"w\" addresses = {\"192.0.2.1/24\"} }\n"
	"port \"net\" { device = \"n\" addresses = {\"198.51.100.254/24\"}\n"
	"  answer-for = {\"198.51.100.80\"} }\n"
	"port \"front\" { device = \"f\" addresses = {\"10.2.0.254/24\"} }\n"
	"port \"back\" { device = \"b\" addresses = {\"10.3.0.254/24\"} }\n"
	"port \"farm\" { device = \"s\" addresses = {\"10.4.0.254/24\", \"fd00:4::fe/64\"} }\n"
	"path \"fw1\" { id = 1 addresses = {\"10.2.0.1\", \"10.3.0.1\"} }\n"
	"path \"fw2\" { id = 2 addresses = {\"10.2.0.2\", \"10.3.0.2\"} weight = 3 }\n"
	"dispatcher \"outer\" { role = \"outer\" firewall-port = \"front\" ports = {\"net\"}\n"
	"  probe = \"10.3.0.254\" algorithm = \"weighted-round-robin\" unknown = \"reset\" }\n"
	"dispatcher \"inner\" { role = \"inner\" firewall-port = \"back\" ports = {\"farm\"}\n"
	"  on-path-down = \"keep\" tcp-timeout = \"2h\" udp-timeout = \"3m\" }\n"
	"service \"web\" { addresses = {\"198.51.100.80\"} protocol = \"tcp\"\n"
	"  ports = {\"80\", \"8000-8010\"} technology = \"l4/3\" algorithm = \"source\"\n"
	"  affinity = \"source\" affinity-timeout = \"90s\" targets = {\"web1\", \"web2\"}\n"
	"  sorry = \"sorry1\" }\n"
	"service \"dns\" { addresses = {\"198.51.100.80\"} protocol = \"udp\"\n"
	"  technology = \"l4/2\" targets = {\"web2\", \"web3\"} }\n"
	"target \"web1\" { addresses = {\"10.4.0.11\", \"fd00:4::11\"} port = 8080 weight = 4\n"
	"  check = \"tcp\" }\n"
	"target \"web2\" { addresses = {\"10.4.0.12\"} }\n"
	"target \"web3\" { addresses = {\"10.4.0.13\"} }\n"
	"target \"sorry1\" { addresses = {\"10.4.0.99\"} }\n"
	"firewall { rule \"all\" { action = \"pass\" } }\n";

static struct params *params;
static struct engine *engine;
static struct dispatch *d;
static struct schema schema;

static struct keyring *cluster_keys(void)
{
	static const char text[] = "1 000102030405060708090a0b0c0d0e0f"
				   "101112131415161718191a1b1c1d1e1f active\n";
	char why[128];
	struct keyring *k = keyring_parse(text, strlen(text), why, sizeof(why));

	ck_assert_msg(k != NULL, "%s", why);
	return k;
}

static void begin_as(const char *text, void (*change)(struct params *p))
{
	struct engine_seed seed = {.boot_id = {1}, .words = {1, 2, 3, 4, 5, 6, 7, 8}};
	struct keyring *keys;

	params = conf_parse("test", text, stderr, NULL);
	ck_assert_ptr_nonnull(params);
	if (change)
		change(params);
	keys = params->cluster.enabled ? cluster_keys() : NULL;
	engine = engine_new(params, keys, &seed, START);
	ck_assert_ptr_nonnull(engine);
	d = &engine->dispatch;
	for (uint32_t i = 0; i < params->n_ports; i++)
		engine->node.links[i].up = true;
	ck_assert(schema_load(&schema));
}

static void begin(const char *text)
{
	begin_as(text, NULL);
}

/* Two firewalls that the outer one can see, all of its and the inner one's targets up. */
static void setup(void)
{
	begin(config);
	for (unsigned k = 0; k < 2; k++)
		for (unsigned i = 0; i < 2; i++) {
			struct path *p = &d->dispatchers[k].paths[i];
			p->on_segment = true;
			p->addr = params->paths[i].addresses[k];
			p->since_ns = START;
			d->dispatchers[k].path_candidates[i].up = true;
		}
	for (unsigned i = 0; i < params->n_targets; i++) {
		d->target_candidates[i].up = true;
		d->targets[i].port = 5;
		d->targets[i].since_ns = START;
	}
}

static void teardown(void)
{
	engine_free(engine);
	conf_free(params);
	json_decref(schema.root);
}

/* Takes the reference; the list stays valid until the next call. */
static json_t *seen(const char *what, json_t *list)
{
	static json_t *last;

	json_decref(last);
	last = list;
	ck_assert_msg(schema_answer(&schema, what, list), "%s", schema.why);
	return list;
}

/* The record of `list` whose member `key` is `value`. */
static json_t *find(const json_t *list, const char *key, const char *value)
{
	json_t *record;
	size_t i;

	json_array_foreach (list, i, record)
		if (strcmp(json_string_value(json_object_get(record, key)), value) == 0)
			return record;
	ck_abort_msg("no record with %s %s", key, value);
	return NULL;
}

/* The members of `expected` (JSON text with ' for ") are in `record`, and equal. */
static void has(const json_t *record, const char *expected)
{
	char text[2048];
	const char *key;
	json_t *e, *v;

	snprintf(text, sizeof(text), "%s", expected);
	for (char *c = text; *c; c++)
		*c = *c == '\'' ? '"' : *c;
	e = json_loads(text, 0, NULL);
	ck_assert_msg(e != NULL, "%s", text);
	json_object_foreach (e, key, v) {
		json_t *got = json_object_get(record, key);
		char *dump = json_dumps(got, JSON_ENCODE_ANY | JSON_COMPACT);
		ck_assert_msg(json_equal(got, v), "%s is %s", key, dump ? dump : "absent");
		free(dump);
	}
	json_decref(e);
}

/* --- dispatchers ------------------------------------------------------------------------------ */

START_TEST(dispatchers_and_their_firewalls)
{
	struct dispatcher *x = &d->dispatchers[OUTER];
	json_t *list, *paths;

	x->path_candidates[0].n_flows = 7;
	x->path_candidates[0].rate = 900;
	x->path_candidates[1].n_flows = 5;
	x->n_flows = 12;
	x->path_candidates[1].up = false;
	x->paths[0].has_mac = true;
	x->paths[0].mac = (struct macaddr){{2, 0, 0, 0, 0, 0x11}};
	x->paths[0].to = (struct traffic){10, 1000};
	x->paths[0].from = (struct traffic){8, 7000000000};
	x->paths[0].flows_total = 99;
	x->paths[0].sent_ns = NOW - 250 * MS;
	x->paths[0].good = 4;
	x->paths[1].since_ns = NOW - 1500 * MS;
	x->paths[1].sent_ns = NOW - 100 * MS;
	x->paths[1].bad = 3;
	x->paths[1].why = "probes do not come back";
	list = seen("dispatchers", view_dispatchers(engine, NOW));
	ck_assert_uint_eq(json_array_size(list), 2);
	has(json_array_get(list, OUTER),
	    "{'dispatcher':'outer','role':'outer','firewall_port':'front','ports':['net'],"
	    "'algorithm':'weighted-round-robin','learn':true,'unknown':'reset',"
	    "'on_path_down':'move','probe':'10.3.0.254','flows':12}");
	paths = json_object_get(json_array_get(list, OUTER), "paths");
	ck_assert_uint_eq(json_array_size(paths), 2);
	has(json_array_get(paths, 0),
	    "{'path':'fw1','id':1,'address':'10.2.0.1','mac':'02:00:00:00:00:11','state':'up',"
	    "'since_s':60.0,'weight':1,'flows':7,'flows_total':99,'rate':900,"
	    "'packets':[10,8],'bytes':[1000,7000000000],"
	    "'probe':{'state':'answered','age_s':0.25,'answered':4,'missed':0}}");
	has(json_array_get(paths, 1),
	    "{'path':'fw2','mac':null,'state':'down','since_s':1.5,'weight':3,"
	    "'why':'probes do not come back',"
	    "'probe':{'state':'missed','age_s':0.1,'answered':0,'missed':3}}");
	has(json_array_get(list, INNER), "{'role':'inner','on_path_down':'keep','probe':null}");
	paths = json_object_get(json_array_get(list, INNER), "paths");
	has(json_array_get(paths, 0), "{'address':'10.3.0.1','probe':null}");
}
END_TEST

START_TEST(probe_under_way_is_waiting)
{
	struct path *p = &d->dispatchers[OUTER].paths[0];
	json_t *list;

	p->sent_ns = NOW - 10 * MS;
	p->good = 9;
	p->waiting = true;
	list = seen("dispatchers", view_dispatchers(engine, NOW));
	has(json_array_get(json_object_get(json_array_get(list, OUTER), "paths"), 0),
	    "{'probe':{'state':'waiting','age_s':0.01,'answered':9,'missed':0}}");
}
END_TEST

START_TEST(firewall_of_another_segment_is_none)
{
	json_t *list;

	d->dispatchers[OUTER].paths[0].on_segment = false;
	d->dispatchers[OUTER].path_candidates[0].up = false;
	list = seen("dispatchers", view_dispatchers(engine, NOW));
	ck_assert_uint_eq(json_array_size(json_object_get(json_array_get(list, OUTER), "paths")),
			  1);
	has(json_array_get(seen("status", view_status(engine, "1", NOW)), 0),
	    "{'health':'ok','problems':[]}");
}
END_TEST

/* --- services and targets --------------------------------------------------------------------- */

START_TEST(services_and_who_serves_them)
{
	json_t *list;

	d->service_states[0].flows_total = 40;
	d->service_states[0].refused = 2;
	d->service_states[0].to = (struct traffic){100, 6000};
	d->service_states[0].from = (struct traffic){90, 90000};
	d->target_candidates[1].up = false;
	d->target_candidates[2].weight = 0;
	list = seen("services", view_services(engine));
	ck_assert_uint_eq(json_array_size(list), 2);
	has(json_array_get(list, 0),
	    "{'service':'web','dispatcher':'inner','addresses':['198.51.100.80'],'proto':'tcp',"
	    "'ports':['80','8000-8010'],'technology':'l4/3','algorithm':'source',"
	    "'affinity_s':90.0,'on_target_down':'reset','flows_total':40,'refused':2,"
	    "'packets':[100,90],'bytes':[6000,90000],'targets':["
	    "{'target':'web1','state':'up','weight':4,'sorry':false},"
	    "{'target':'web2','state':'down','weight':1,'sorry':false},"
	    "{'target':'sorry1','state':'up','weight':1,'sorry':true}]}");
	has(json_array_get(list, 1),
	    "{'service':'dns','proto':'udp','ports':[],'technology':'l4/2','affinity_s':null,"
	    "'targets':[{'target':'web2','state':'down','weight':1,'sorry':false},"
	    "{'target':'web3','state':'drained','weight':0,'sorry':false}]}");
}
END_TEST

START_TEST(targets_say_why)
{
	json_t *list;

	d->targets[0].load_percent = 75;
	d->target_candidates[0].weight = 3;
	d->target_candidates[0].n_flows = 6;
	d->targets[0].flows_total = 66;
	d->targets[0].to = (struct traffic){3, 300};
	d->targets[0].why = "connected";
	d->targets[1].why = "connection refused";
	d->targets[1].since_ns = NOW - 2000 * MS;
	d->target_candidates[1].up = false;
	d->targets[2].drained = true;
	d->targets[2].set_by = params->node_id;
	d->target_candidates[2].weight = 0;
	list = seen("targets", view_targets(engine, NOW));
	ck_assert_uint_eq(json_array_size(list), 4);
	has(json_array_get(list, 0),
	    "{'target':'web1','addresses':['10.4.0.11','fd00:4::11'],'member':null,'port':8080,"
	    "'out':'farm','state':'up','why':'connected','check':'tcp','configured':4,'weight':4,"
	    "'load':75,'effective':3,'drained':false,'set_by':null,'flows':6,'flows_total':66,"
	    "'packets':[3,0],'bytes':[300,0],'services':['web'],'since_s':60.0}");
	has(json_array_get(list, 1), "{'state':'down','why':'connection refused','since_s':2.0,"
				     "'port':null,'check':'none','services':['web','dns']}");
	has(json_array_get(list, 2), "{'state':'drained','why':'drained by the operator',"
				     "'drained':true,'effective':0,'set_by':'box'}");
	has(json_array_get(list, 3), "{'target':'sorry1','services':['web']}");
}
END_TEST

static const struct {
	bool drained, agent;
	uint32_t weight;
	uint8_t load;
	const char *why;
} drains[] = {
	{true, true, 1, 100, "drained by the operator"},
	{false, true, 1, 100, "its agent says drain"},
	{false, false, 0, 100, "its weight is 0"},
	{false, false, 1, 0, "its agent wants no load"},
};

START_TEST(drained_for_a_reason)
{
	const json_t *record;

	d->targets[0].drained = drains[_i].drained;
	d->targets[0].agent_drained = drains[_i].agent;
	d->targets[0].weight = drains[_i].weight;
	d->targets[0].load_percent = drains[_i].load;
	d->target_candidates[0].weight = 0;
	record = json_array_get(seen("targets", view_targets(engine, NOW)), 0);
	ck_assert_str_eq(json_string_value(json_object_get(record, "state")), "drained");
	ck_assert_str_eq(json_string_value(json_object_get(record, "why")), drains[_i].why);
}
END_TEST

START_TEST(target_of_the_next_stage)
{
	strcpy(params->members[0].name, "stage-a");
	params->members[0].id = 9;
	params->n_members = 1;
	params->targets[2].member = 0;
	params->targets[2].has_v4 = false;
	d->targets[2].set_by = 9;
	has(json_array_get(seen("targets", view_targets(engine, NOW)), 2),
	    "{'member':'stage-a','addresses':[],'set_by':'stage-a'}");
	params->n_members = 0; /* gone since */
	has(json_array_get(seen("targets", view_targets(engine, NOW)), 2), "{'set_by':'?'}");
	params->targets[2].member = PARAMS_NONE;
}
END_TEST

START_TEST(weight_as_set)
{
	d->targets[0].weight = 200;
	d->target_candidates[0].weight = 200;
	has(json_array_get(seen("weight", view_weight(engine, "web1")), 0),
	    "{'target':'web1','configured':4,'weight':200,'effective':200,'drained':false}");
	ck_assert_uint_eq(json_array_size(seen("weight", view_weight(engine, "web9"))), 0);
}
END_TEST

/* --- by L7 ------------------------------------------------------------------------------------ */

static const char l7_config[] =
	"node = \"box\"\n"
	"port \"farm\" { device = \"s\" addresses = {\"10.4.0.254/24\"} }\n"
	"dispatcher \"last\" { role = \"stage\" ports = {\"farm\"} max-flows = 2048 }\n"
	"service \"web\" { addresses = {\"198.51.100.80\"} protocol = \"tcp\"\n"
	"  ports = {\"80\"} technology = \"l7/3\" targets = {\"web1\"}\n"
	"  route \"img\" { path = \"/img\" targets = {\"web2\"} } }\n"
	"service \"dns\" { addresses = {\"198.51.100.80\"} protocol = \"udp\"\n"
	"  technology = \"l4/2\" targets = {\"dns1\"} }\n"
	"target \"web1\" { addresses = {\"10.4.0.11\"} }\n"
	"target \"web2\" { addresses = {\"10.4.0.12\"} }\n"
	"target \"dns1\" { addresses = {\"10.4.0.13\"} }\n";

static void l7_change(struct params *p)
{
	for (unsigned i = 0; i < 2; i++) {
		p->services[i].l7.content = L7_CONTENT_HTTP;
		p->services[i].l7.cookie = L7_COOKIE_PREFIX;
		snprintf(p->services[i].l7.cookie_name, sizeof(p->services[i].l7.cookie_name),
			 "SID");
	}
	p->targets[0].max_connections = 50;
}

static void l7_begin(void)
{
	teardown();
	begin_as(l7_config, l7_change);
}

/* Those of L4 first. */
START_TEST(services_by_l7)
{
	struct l7_service_counts *c;
	json_t *list;

	l7_begin();
	c = engine_l7_service_counts(engine, 0);
	c->requests = 5;
	c->us_total = 123456;
	c->connections_open = 2;
	engine_l7_service_counts(engine, 1)->status_5xx = 9;
	list = seen("services", view_services(engine));
	ck_assert_uint_eq(json_array_size(list), 3);
	has(json_array_get(list, 0), "{'service':'dns','route_of':null,'l7':null}");
	has(json_array_get(list, 1),
	    "{'service':'web','route_of':null,'technology':'l7/3','ports':['80']}");
	has(json_object_get(json_array_get(list, 1), "l7"),
	    "{'content':'http','requests':5,'us_total':123456,'connections_open':2,"
	    "'status_5xx':0}");
	has(json_array_get(list, 2),
	    "{'service':'web/img','route_of':'web','technology':'l7/3','ports':[],"
	    "'addresses':[]}");
	has(json_object_get(json_array_get(list, 2), "l7"), "{'requests':0,'status_5xx':9}");
}
END_TEST

START_TEST(targets_by_l7)
{
	json_t *list;

	l7_begin();
	engine_l7_target_counts(engine, 0)->idle = 3;
	engine_l7_target_counts(engine, 1)->errors = 4;
	list = seen("targets", view_targets(engine, NOW));
	ck_assert_uint_eq(json_array_size(list), 3);
	has(json_array_get(list, 0), "{'target':'dns1','l7':null}");
	has(json_array_get(list, 1), "{'target':'web1','state':'up','services':['web']}");
	has(json_object_get(json_array_get(list, 1), "l7"),
	    "{'max_connections':50,'connections_idle':3,'errors':0}");
	has(json_array_get(list, 2), "{'target':'web2','services':['web/img']}");
	has(json_object_get(json_array_get(list, 2), "l7"), "{'max_connections':0,'errors':4}");
}
END_TEST

/* Of a service and its routes together. */
START_TEST(cookies_of_a_service)
{
	json_t *list;

	l7_begin();
	engine_l7_service_counts(engine, 0)->cookie_made = 3;
	engine_l7_service_counts(engine, 0)->cookie_forged = 1;
	engine_l7_service_counts(engine, 1)->cookie_made = 4;
	engine_l7_service_counts(engine, 1)->cookie_moved = 2;
	list = seen("cookies", view_cookies(engine));
	ck_assert_uint_eq(json_array_size(list), 1);
	has(json_array_get(list, 0),
	    "{'service':'web','kind':'prefix','name':'SID','made':7,'valid':0,'absent':0,"
	    "'forged':1,'unknown':0,'expired':0,'moved':2}");
	params->services[0].l7.cookie = L7_COOKIE_NONE;
	ck_assert_uint_eq(json_array_size(seen("cookies", view_cookies(engine))), 0);
}
END_TEST

/* --- relays ----------------------------------------------------------------------------------- */

static const char relay_config[] =
	"node = \"a\"\n"
	"port \"farm\" { device = \"s\" addresses = {\"10.4.0.254/24\", \"fd00:4::fe/64\"} }\n"
	"cluster { device = \"c\" }\n"
	"member \"b\" { id = 2 }\nmember \"a\" { id = 1 }\nmember \"c\" { id = 3 }\n"
	"member \"d\" { id = 4 }\n"
	"dispatcher \"last\" { role = \"stage\" ports = {\"farm\"} max-flows = 2048 }\n"
	"service \"web\" { addresses = {\"198.51.100.80\", \"2001:db8::80\"} protocol = \"tcp\"\n"
	"  ports = {\"80\"} technology = \"l7/2\" cookie = \"insert\" cookie-name = \"S\"\n"
	"  relay = \"both\" targets = {\"web1\", \"far\"} }\n"
	"service \"shop\" { addresses = {\"198.51.100.81\"} protocol = \"tcp\"\n"
	"  ports = {\"80\"} technology = \"l7/3\" targets = {\"web2\"} }\n"
	"target \"web1\" { addresses = {\"10.4.0.11\", \"fd00:4::11\"} }\n"
	"target \"web2\" { addresses = {\"10.4.0.12\"} }\n"
	"target \"far\" { via = {\"c\", \"b\"} }\n";
#define MEMBER_B 0
#define MEMBER_C 2
#define MEMBER_D 3

static void member_is(uint32_t member, bool up, bool on_farm)
{
	struct channel_member *m = (struct channel_member *)channel_member(engine->channel, member);

	m->up = up;
	m->n_segments = on_farm;
	m->segments[0] = (struct wire_segment){.name = wire_segment_id("farm"),
					       .mac = {{2, 0, 0, 0, 9, (uint8_t)member}}};
}

/* B is reached, C is down, D on no segment of ours. */
static void relay_begin(void)
{
	teardown();
	begin_as(relay_config, NULL);
	member_is(MEMBER_B, true, true);
	member_is(MEMBER_C, false, true);
	member_is(MEMBER_D, true, false);
}

START_TEST(services_with_relays)
{
	json_t *list;

	relay_begin();
	list = seen("services", view_services(engine));
	has(find(list, "service", "web"), "{'technology':'l7/2'}");
	has(json_object_get(find(list, "service", "web"), "l7"),
	    "{'content':'http','relay':'both'}");
	has(json_array_get(json_object_get(find(list, "service", "web"), "targets"), 1),
	    "{'target':'far','state':'remote','sorry':false}");
	has(json_object_get(find(list, "service", "shop"), "l7"), "{'relay':'none'}");
	list = seen("targets", view_targets(engine, NOW));
	has(find(list, "target", "far"), "{'state':'remote','via':['c','b'],'addresses':[]}");
	has(find(list, "target", "web1"), "{'via':[]}");
}
END_TEST

/* A target that was never this node's own is not missing. */
START_TEST(remote_targets_are_not_counted)
{
	json_t *s;

	relay_begin();
	s = json_array_get(seen("status", view_status(engine, "1", NOW)), 0);
	has(json_array_get(json_object_get(s, "dispatchers"), 0), "{'targets':2}");
}
END_TEST

START_TEST(relays_by_the_configuration)
{
	json_t *list;

	relay_begin();
	list = seen("relays", view_relays(engine));
	ck_assert_uint_eq(json_array_size(list), 2); /* nothing is known of D, nor of A itself */
	has(json_array_get(list, 0),
	    "{'member':'b','state':'up','reached':true,'targets':['far'],'asked':0}");
	has(json_array_get(list, 1),
	    "{'member':'c','state':'down','reached':false,'targets':['far'],'asked':0}");
}
END_TEST

START_TEST(traffic_of_relays)
{
	json_t *list;

	relay_begin();
	engine_l7_target_counts(engine, L7_RELAY + MEMBER_B)->requests = 5;
	engine_l7_target_counts(engine, L7_RELAY + MEMBER_B)->idle = 2;
	engine_l7_relay_counts(engine, MEMBER_D)->requests = 7;
	engine_l7_relay_counts(engine, MEMBER_D)->bytes_out = 1ULL << 40;
	list = seen("relays", view_relays(engine));
	ck_assert_uint_eq(json_array_size(list), 3);
	has(json_object_get(find(list, "member", "b"), "to"),
	    "{'requests':5,'connections_idle':2,'connections_open':0,'errors':0}");
	has(json_object_get(find(list, "member", "b"), "from"), "{'requests':0}");
	has(find(list, "member", "d"), "{'state':'up','reached':false,'targets':[]}");
	has(json_object_get(find(list, "member", "d"), "to"), "{'requests':0}");
	has(json_object_get(find(list, "member", "d"), "from"),
	    "{'requests':7,'bytes_out':1099511627776,'connections':0}");
}
END_TEST

/* D says that it has a server, and is on our segment now. */
START_TEST(relays_that_were_asked_for)
{
	struct actions *out = actions_new();
	const struct wire_have have = {name_id("web"), name_id("web7"), WIRE_HAVE_YES};
	uint8_t bytes[16];
	struct wcur w = wcur_init(bytes, sizeof(bytes));
	struct channel_message msg = {.type = WIRE_HAVE, .member = MEMBER_D};
	uint16_t target;

	relay_begin();
	member_is(MEMBER_D, true, true);
	engine->next_ns = UINT64_MAX;
	ck_assert_int_eq(engine_l7_find(engine, 0, name_id("web7"), &target, NOW), L7_FOUND_LATER);
	ck_assert_uint_eq(engine_next(engine), NOW); /* the question leaves with the next tick */
	ck_assert_uint_eq(engine_l7_news(engine), 0);
	node_begin(&engine->node, NOW, out);
	finds_tick(d);
	wire_put_have(&w, &have);
	msg.body = rcur_init(bytes, wcur_size(&w));
	finds_message(d, &msg);
	ck_assert_uint_eq(engine_l7_news(engine), 1);
	ck_assert_int_eq(engine_l7_find(engine, 0, name_id("web7"), &target, NOW), L7_FOUND);
	ck_assert_uint_eq(target, L7_RELAY + MEMBER_D);
	has(find(seen("relays", view_relays(engine)), "member", "d"),
	    "{'targets':[],'asked':1,'reached':true}");
	actions_free(out);
}
END_TEST

static struct leg *leg(enum leg_kind kind, const char *src, uint16_t sport, const char *dst)
{
	struct pkt_tuple t = {.proto = 6, .sport = sport, .dport = 80};
	struct leg *l;

	ck_assert_int_eq(ipaddr_parse(&t.src, src), 0);
	ck_assert_int_eq(ipaddr_parse(&t.dst, dst), 0);
	engine->node.now_ns = START;
	l = leg_new(d, &t, ipaddr_is_v4(&t.src) ? 4 : 6, kind);
	ck_assert_ptr_nonnull(l);
	l->service = 0;
	return l;
}

static json_t *matching(void)
{
	uint32_t cursor = 0;
	json_t *list = seen("matching", view_matching(engine, &cursor, 1000, NOW));

	ck_assert_uint_eq(cursor, 0);
	return list;
}

START_TEST(matching_of_relays)
{
	struct leg *l;

	relay_begin();
	l = leg(LEG_FROM_MEMBER, "198.51.100.7", 2048, "198.51.100.80");
	l->member = MEMBER_B;
	l->port = 0;
	l->mac = (struct macaddr){{2, 0, 0, 0, 9, 0}};
	l->state = DFLOW_OPEN;
	l->packets[0] = 3;
	l->packets[1] = 2;
	l->bytes[0] = 1ULL << 33;
	l->bytes[1] = 70;
	has(json_array_get(matching(), 0),
	    "{'kind':'from','proto':'tcp','src':'198.51.100.7','sport':2048,"
	    "'dst':'198.51.100.80','dport':80,'service':'web','member':'b','target':null,"
	    "'mac':'02:00:00:00:09:00','port':'farm','state':'open','age_s':60.0,"
	    "'packets':[3,2],'bytes':[8589934592,70]}");
	l->target = 0; /* now a request is served */
	l->flags |= LEG_ENDED;
	has(json_array_get(matching(), 0), "{'target':'web1','state':'ended'}");
	l = leg(LEG_TO_MEMBER, "2001:db8:7::7", 3000, "2001:db8::80");
	l->member = MEMBER_C;
	has(find(matching(), "kind", "to"),
	    "{'src':'2001:db8:7::7','sport':3000,'dst':'2001:db8::80','member':'c',"
	    "'target':null,'mac':null,'port':null,'state':'opening'}");
}
END_TEST

/* Where a server is its neighbour entry says, of whichever family. */
START_TEST(matching_of_a_server)
{
	struct macaddr mac = {{2, 0, 0, 0, 4, 0x11}};
	struct ipaddr a;
	struct neigh *n;
	bool evicted;

	relay_begin();
	leg(LEG_TO_SERVER, "198.51.100.7", 2048, "198.51.100.80")->target = 0;
	ck_assert_int_eq(ipaddr_parse(&a, "fd00:4::11"), 0);
	d->targets[0].port = 0;
	memset(&d->targets[0].addr[0], 0, sizeof(a));
	d->targets[0].addr[1] = a;
	has(json_array_get(matching(), 0),
	    "{'kind':'server','target':'web1','member':null,'mac':null,'port':'farm'}");
	n = neigh_at(engine->node.neighbours,
		     neigh_get(engine->node.neighbours, 0, &a, NOW, &evicted));
	neigh_learn(n, &mac, NOW);
	has(json_array_get(matching(), 0), "{'mac':'02:00:00:00:04:11','port':'farm'}");
	d->targets[0].port = PARAMS_NO_PORT;
	has(json_array_get(matching(), 0), "{'mac':null,'port':null}");
}
END_TEST

START_TEST(pages_of_matching)
{
	static const uint32_t limits[] = {1, 2, 4, 5, 6, 100};
	uint32_t cursor = 0, pages = 0, n = 0;
	size_t size;

	relay_begin();
	for (uint16_t i = 0; i < 5; i++)
		leg(LEG_TO_MEMBER, "198.51.100.7", (uint16_t)(2000 + i), "198.51.100.80")->member =
			MEMBER_B;
	do {
		size = json_array_size(
			seen("matching", view_matching(engine, &cursor, limits[_i], NOW)));
		ck_assert_uint_le(size, limits[_i]);
		n += (uint32_t)size;
		ck_assert_uint_lt(pages++, 20);
	} while (cursor);
	ck_assert_uint_eq(n, 5);
}
END_TEST

/* It has no firewall, and says so; a service whose routes have the targets lacks none. */
START_TEST(status_of_a_balancer)
{
	const json_t *s;

	l7_begin();
	params->services[0].targets.n = 0;
	d->dispatchers[0].n_flows = 77;
	s = json_array_get(seen("status", view_status(engine, "1", NOW)), 0);
	has(s, "{'firewall':false,'health':'ok','problems':[]}");
	has(json_array_get(json_object_get(s, "dispatchers"), 0),
	    "{'dispatcher':'last','flows':77,'max_flows':2048,'targets_up':3,'targets':3}");
	d->target_candidates[1].up = false;
	has(json_array_get(seen("status", view_status(engine, "1", NOW)), 0),
	    "{'problems':['service \\\"web/img\\\": no target is up']}");
}
END_TEST

/* --- flows ------------------------------------------------------------------------------------ */

static struct dflow *flow(unsigned dispatcher, uint8_t proto, const char *src, uint16_t sport,
			  const char *dst, uint16_t dport)
{
	struct pkt_tuple t = {.proto = proto, .sport = sport, .dport = dport};
	struct flow_key key;
	struct dflow *f;
	unsigned dir;

	ck_assert_int_eq(ipaddr_parse(&t.src, src), 0);
	ck_assert_int_eq(ipaddr_parse(&t.dst, dst), 0);
	dir = flow_key_make(&key, &t, 4);
	key.zone = (uint16_t)dispatcher;
	f = flow_table_insert(d->flows, &key, flow_table_hash(d->flows, &key));
	ck_assert_ptr_nonnull(f);
	f->twin = FLOW_NO_INDEX;
	f->path = f->service = f->target = f->affinity_service = PARAMS_NONE;
	f->flags = dir ? DFLOW_ORIGIN_B : 0;
	f->created_ms = (uint32_t)(START / MS);
	f->state = DFLOW_OPEN;
	return f;
}

static json_t *all_flows(void)
{
	uint32_t cursor = 0;
	json_t *list = seen("flows", view_flows(engine, &cursor, 1000, NOW));

	ck_assert_uint_eq(cursor, 0);
	return list;
}

/* Of both directions of the key: the originator comes first. */
START_TEST(flow_that_only_passes)
{
	struct dflow *f = flow(OUTER, 17, "198.51.100.7", 5000, "10.4.0.11", 53);
	struct dflow *g = flow(OUTER, 17, "10.4.0.11", 6000, "198.51.100.7", 53);

	f->path = 1;
	f->path_by = DFLOW_BY_ALGORITHM;
	f->origin_port = 2;
	f->packets[0] = 3;
	f->bytes_lo[0] = 5;
	f->bytes_hi[0] = 1;
	f->packets[1] = 2;
	f->bytes_lo[1] = 70;
	flow_table_arm(d->flows, f, NOW - 10000 * MS, 180000);
	g->path = 0;
	g->path_by = DFLOW_BY_LEARNT;
	g->flags |= DFLOW_ANNOUNCED;
	flow_table_arm(d->flows, g, NOW, 180000);
	ck_assert_int_ne((f->flags ^ g->flags) & DFLOW_ORIGIN_B, 0);
	has(find(all_flows(), "src", "198.51.100.7"),
	    "{'proto':'udp','sport':5000,'dst':'10.4.0.11','dport':53,'dispatcher':'outer',"
	    "'path':'fw2','path_by':'algorithm','service':null,'technology':null,'target':null,"
	    "'target_by':null,'server':null,'upstream':null,'state':'open','in':'net',"
	    "'packets':[3,2],'bytes':[4294967301,70],'age_s':60.0,'idle_s':10.0,"
	    "'expires_s':170.0}");
	has(find(all_flows(), "src", "10.4.0.11"),
	    "{'sport':6000,'path':'fw1','path_by':'learnt','state':'announced','idle_s':0.0}");
}
END_TEST

START_TEST(flow_of_a_service_with_its_twin)
{
	struct dflow *f = flow(INNER, 6, "198.51.100.7", 5000, "198.51.100.80", 80);
	struct dflow *twin = flow(INNER, 6, "10.4.0.254", 33000, "10.4.0.11", 8080);
	json_t *list;

	f->path = 0;
	f->path_by = DFLOW_BY_STAMP;
	f->service = 0;
	f->target = 0;
	f->target_by = DFLOW_BY_AFFINITY;
	f->twin = flow_table_index(d->flows, twin);
	f->state = DFLOW_CLOSING;
	f->upstream = 1;
	twin->twin = flow_table_index(d->flows, f);
	twin->flags |= DFLOW_TWIN;
	strcpy(params->members[0].name, "first");
	params->n_members = 1;
	list = all_flows();
	ck_assert_uint_eq(json_array_size(list), 1);
	has(json_array_get(list, 0),
	    "{'dispatcher':'inner','service':'web','technology':'l4/3','target':'web1',"
	    "'target_by':'affinity','path':'fw1','path_by':'stamp','state':'closing',"
	    "'upstream':'first','server':{'src':'10.4.0.254','sport':33000,"
	    "'dst':'10.4.0.11','dport':8080}}");
	params->n_members = 0;
}
END_TEST

/* Every way of choosing that the code knows is in the schema. */
START_TEST(every_choice_has_a_name)
{
	struct dflow *f = flow(INNER, 6, "198.51.100.7", 5000, "198.51.100.80", 80);

	for (unsigned by = 0; by < DFLOW_BY_COUNT; by++) {
		f->path_by = f->target_by = by & 15;
		ck_assert_uint_eq(json_array_size(all_flows()), 1);
	}
	for (unsigned state = DFLOW_OPENING; state <= DFLOW_CLOSED; state++) {
		f->state = (uint8_t)state;
		ck_assert_uint_eq(json_array_size(all_flows()), 1);
	}
}
END_TEST

static void firewall_flow(uint16_t sport)
{
	struct pkt_tuple t = {.proto = 17, .sport = sport, .dport = 53};
	struct flow_key key;
	struct state *s;

	ipaddr_parse(&t.src, "10.1.0.9");
	ipaddr_parse(&t.dst, "192.0.2.80");
	flow_key_make(&key, &t, 4);
	s = flow_table_insert(engine->firewall.states, &key,
			      flow_table_hash(engine->firewall.states, &key));
	ck_assert_ptr_nonnull(s);
}

/* One list of two tables, whatever the length of a page; twins are no flows. */
START_TEST(pages_hold_every_flow_once)
{
	static const uint32_t limits[] = {1, 2, 3, 4, 5, 6, 7, 8, 100};
	uint32_t limit = limits[_i], cursor = 0, pages = 0, firewall = 0, dispatch = 0;

	for (uint16_t i = 0; i < 3; i++)
		firewall_flow((uint16_t)(1000 + i));
	for (uint16_t i = 0; i < 4; i++) {
		flow(OUTER, 17, "198.51.100.7", (uint16_t)(5000 + i), "10.4.0.11", 53);
		flow(OUTER, 17, "10.4.0.254", (uint16_t)(5000 + i), "10.4.0.11", 53)->flags |=
			DFLOW_TWIN;
	}
	do {
		const json_t *list = seen("flows", view_flows(engine, &cursor, limit, NOW)), *r;
		size_t i;

		ck_assert_uint_le(json_array_size(list), limit);
		json_array_foreach (list, i, r)
			if (json_object_get(r, "dispatcher"))
				dispatch++;
			else
				firewall++;
		ck_assert_uint_lt(pages++, 20);
	} while (cursor);
	ck_assert_uint_eq(firewall, 3);
	ck_assert_uint_eq(dispatch, 4);
}
END_TEST

/* --- health ----------------------------------------------------------------------------------- */

static const json_t *status(void)
{
	return json_array_get(seen("status", view_status(engine, "1", NOW)), 0);
}

START_TEST(status_when_all_is_well)
{
	d->dispatchers[INNER].n_flows = 7;
	has(status(), "{'health':'ok','problems':[],'dispatchers':["
		      "{'dispatcher':'outer','role':'outer','paths_up':2,'paths':2,'targets_up':0,"
		      "'targets':0,'flows':0,'max_flows':262144},"
		      "{'dispatcher':'inner','role':'inner','paths_up':2,'paths':2,'targets_up':4,"
		      "'targets':4,'flows':7,'max_flows':262144}]}");
}
END_TEST

/* One target down is what the others are for; a firewall down is not. */
START_TEST(status_with_something_down)
{
	d->target_candidates[1].up = false;
	has(status(), "{'health':'ok','problems':[]}");
	d->dispatchers[OUTER].path_candidates[1].up = false;
	has(status(), "{'health':'degraded',"
		      "'problems':['path \\\"fw2\\\" of dispatcher \\\"outer\\\" is down']}");
	d->dispatchers[OUTER].path_candidates[1].up = true;
	d->target_candidates[2].up = false;
	has(status(), "{'health':'degraded','problems':['service \\\"dns\\\": no target is up']}");
	d->target_candidates[2].up = true;
	d->target_candidates[2].weight = 0;
	has(status(), "{'health':'degraded',"
		      "'problems':['service \\\"dns\\\": no target takes new flows']}");
	d->target_candidates[2].weight = 1;
	d->target_candidates[0].up = false;
	has(status(), "{'health':'degraded','problems':["
		      "'service \\\"web\\\": no target is up, \\\"sorry1\\\" serves instead']}");
	d->target_candidates[3].up = false;
	has(status(), "{'health':'degraded','problems':['service \\\"web\\\": no target is up']}");
}
END_TEST

START_TEST(address_that_another_host_has)
{
	json_t *port;

	for (size_t i = 0; i < engine->node.n_addresses; i++)
		if (engine->node.addresses[i].port == 2)
			engine->node.addresses[i].is_taken = true;
	has(status(), "{'health':'degraded','problems':["
		      "'another host answers for 198.51.100.254 on port \\\"net\\\"',"
		      "'another host answers for 198.51.100.80 on port \\\"net\\\"']}");
	port = view_port(engine, 2);
	has(port, "{'addresses':['198.51.100.254/24'],'answers':['198.51.100.80'],"
		  "'taken':['198.51.100.254','198.51.100.80']}");
	json_decref(port);
	port = view_port(engine, 3);
	has(port, "{'addresses':['10.2.0.254/24'],'answers':[],'taken':[]}");
	json_decref(port);
}
END_TEST

START_TEST(events_name_whom_they_are_about)
{
	struct note n = {.type = NOTE_TARGET_DOWN,
			 .member = NOTE_NO_MEMBER,
			 .port = PARAMS_NO_PORT,
			 .rule = 0xffff,
			 .path = 1,
			 .service = 0,
			 .target = 2,
			 .has_address = true,
			 .detail = "connection refused"};
	json_t *event, *def;

	ipaddr_parse(&n.address, "198.51.100.80");
	event = view_event(engine, &n, "2026-11-22T10:00:00.000000Z");
	has(event, "{'event':'target-down','path':'fw2','service':'web','target':'web3',"
		   "'address':'198.51.100.80','detail':'connection refused'}");
	def = json_object_get(json_object_get(schema.root, "$defs"), "event");
	ck_assert_msg(schema_check(&schema, def, event, "event"), "%s", schema.why);
	json_decref(event);
	n.path = n.service = n.target = PARAMS_NONE;
	n.has_address = false;
	event = view_event(engine, &n, "2026-11-22T10:00:00.000000Z");
	ck_assert_ptr_null(json_object_get(event, "path"));
	ck_assert_ptr_null(json_object_get(event, "service"));
	ck_assert_ptr_null(json_object_get(event, "target"));
	ck_assert_ptr_null(json_object_get(event, "address"));
	json_decref(event);
}
END_TEST

/* A node without dispatchers has empty tables, never none. */
START_TEST(node_without_dispatchers)
{
	uint32_t cursor = 0;

	teardown();
	begin("node = \"fw\"\n"
	      "port \"lan\" { device = \"l\" addresses = {\"10.1.0.1/16\"} }\n"
	      "port \"wan\" { device = \"w\" addresses = {\"192.0.2.1/24\"} }\n"
	      "firewall { rule \"all\" { action = \"pass\" } }\n");
	ck_assert_uint_eq(json_array_size(seen("dispatchers", view_dispatchers(engine, NOW))), 0);
	ck_assert_uint_eq(json_array_size(seen("services", view_services(engine))), 0);
	ck_assert_uint_eq(json_array_size(seen("targets", view_targets(engine, NOW))), 0);
	ck_assert_uint_eq(json_array_size(seen("weight", view_weight(engine, "x"))), 0);
	ck_assert_uint_eq(json_array_size(seen("relays", view_relays(engine))), 0);
	ck_assert_uint_eq(json_array_size(seen("matching", view_matching(engine, &cursor, 9, NOW))),
			  0);
	ck_assert_uint_eq(json_array_size(seen("flows", view_flows(engine, &cursor, 9, NOW))), 0);
	has(status(), "{'health':'ok','dispatchers':[]}");
}
END_TEST

static void is_set(const json_t *list, const char *key, const char *value)
{
	const json_t *r;
	size_t i;

	json_array_foreach (list, i, r)
		if (strcmp(json_string_value(json_object_get(r, "key")), key) == 0 &&
		    strcmp(json_string_value(json_object_get(r, "value")), value) == 0)
			return;
	ck_abort_msg("no %s %s", key, value);
}

START_TEST(configuration_in_force)
{
	const json_t *list = seen("config", view_config(params));

	is_set(list, "path", "fw2 id 2 weight 3");
	is_set(list, "dispatcher", "outer, outer");
	is_set(list, "dispatcher.port", "net");
	is_set(list, "dispatcher.firewall-port", "back");
	is_set(list, "dispatcher.algorithm", "weighted-round-robin");
	is_set(list, "dispatcher.unknown", "reset");
	is_set(list, "dispatcher.on-path-down", "keep");
	is_set(list, "dispatcher.probe", "10.3.0.254 every 500ms, timeout 250ms, rise 2, fall 3");
	is_set(list, "services", "2");
	is_set(list, "targets", "4");
	params->dispatchers[INNER].learn = false;
	is_set(seen("config", view_config(params)), "dispatcher.algorithm",
	       "static, nothing learnt");
}
END_TEST

START_TEST(configuration_of_l7)
{
	const json_t *list;

	l7_begin();
	params->l7.max_connections = 77;
	params->l7.log = L7_LOG_JSON;
	snprintf(params->l7.log_file, sizeof(params->l7.log_file), "/log");
	list = seen("config", view_config(params));
	is_set(list, "l7.max-connections", "77");
	is_set(list, "l7.access-log", "json to /log");
}
END_TEST

/* The other tables keep to the schema, too. */
START_TEST(every_table_fits_the_schema)
{
	uint32_t cursor = 0;

	seen("members", view_members(engine, NOW));
	seen("queries", view_queries(engine, NOW));
	seen("drops", view_drops(engine));
	seen("counters", view_counters(engine));
	seen("rules", view_rules(engine));
	seen("neighbours", view_neighbours(engine, NOW));
	seen("routes", view_routes(engine));
	seen("config", view_config(params));
	seen("forwards", view_forwards(engine, &cursor, 10, NOW));
}
END_TEST

static Suite *suite(void)
{
	Suite *s = suite_create("view_dispatch");
	TCase *tc = tcase_create("view_dispatch");

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, dispatchers_and_their_firewalls);
	tcase_add_test(tc, probe_under_way_is_waiting);
	tcase_add_test(tc, firewall_of_another_segment_is_none);
	tcase_add_test(tc, services_and_who_serves_them);
	tcase_add_test(tc, targets_say_why);
	tcase_add_loop_test(tc, drained_for_a_reason, 0, 4);
	tcase_add_test(tc, target_of_the_next_stage);
	tcase_add_test(tc, weight_as_set);
	tcase_add_test(tc, services_by_l7);
	tcase_add_test(tc, targets_by_l7);
	tcase_add_test(tc, cookies_of_a_service);
	tcase_add_test(tc, services_with_relays);
	tcase_add_test(tc, remote_targets_are_not_counted);
	tcase_add_test(tc, relays_by_the_configuration);
	tcase_add_test(tc, traffic_of_relays);
	tcase_add_test(tc, relays_that_were_asked_for);
	tcase_add_test(tc, matching_of_relays);
	tcase_add_test(tc, matching_of_a_server);
	tcase_add_loop_test(tc, pages_of_matching, 0, 6);
	tcase_add_test(tc, status_of_a_balancer);
	tcase_add_test(tc, flow_that_only_passes);
	tcase_add_test(tc, flow_of_a_service_with_its_twin);
	tcase_add_test(tc, every_choice_has_a_name);
	tcase_add_loop_test(tc, pages_hold_every_flow_once, 0, 9);
	tcase_add_test(tc, status_when_all_is_well);
	tcase_add_test(tc, status_with_something_down);
	tcase_add_test(tc, address_that_another_host_has);
	tcase_add_test(tc, events_name_whom_they_are_about);
	tcase_add_test(tc, node_without_dispatchers);
	tcase_add_test(tc, configuration_in_force);
	tcase_add_test(tc, configuration_of_l7);
	tcase_add_test(tc, every_table_fits_the_schema);
	suite_add_tcase(s, tc);
	return s;
}

int main(void)
{
	SRunner *sr = srunner_create(suite());
	int failed;

	srunner_run_all(sr, CK_ENV);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
