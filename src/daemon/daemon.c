#include "daemon/daemon.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <systemd/sd-daemon.h>
#include <time.h>
#include <unistd.h>

#include "base/log.h"
#include "conf/conf.h"
#include "config.h"
#include "io/sandbox.h"

#define KEY_FILE_MAX 4096
#define RETRY_S 1 /* devices that are missing are looked for so often */

uint64_t daemon_now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000ULL + (uint64_t)ts.tv_nsec;
}

/* --- key file ----------------------------------------------------------------------------------
 */

/* A key that others can read is no key: refuse it, and say how to mend it. */
static int key_file_open(const char *path, char *err, size_t err_size)
{
	struct stat st;
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	if (fd < 0) {
		snprintf(err, err_size,
			 "key file \"%s\": %s; make one with: fwclusterctl key generate", path,
			 strerror(errno));
		return -1;
	}
	if (fstat(fd, &st) < 0 || (st.st_mode & 07)) {
		snprintf(err, err_size,
			 "key file \"%s\": others can read it; mend it with: chmod 0600 %s", path,
			 path);
		close(fd);
		return -1;
	}
	return fd;
}

static struct keyring *key_file_load(const struct params *p, char *err, size_t err_size)
{
	char text[KEY_FILE_MAX], why[128];
	struct keyring *keys;
	int fd = key_file_open(p->cluster.key_file, err, err_size);
	ssize_t n;

	if (fd < 0)
		return NULL;
	n = read(fd, text, sizeof(text));
	close(fd);
	if (n < 0 || n == sizeof(text)) {
		snprintf(err, err_size, "key file \"%s\": %s", p->cluster.key_file,
			 n < 0 ? strerror(errno) : "too long");
		return NULL;
	}
	keys = keyring_parse(text, (size_t)n, why, sizeof(why));
	explicit_bzero(text, sizeof(text));
	if (!keys)
		snprintf(err, err_size, "key file \"%s\": %s", p->cluster.key_file, why);
	return keys;
}

/* --- reload ------------------------------------------------------------------------------------
 */

static struct params *reload_read(struct daemon *d, char *message, size_t size)
{
	char *text = NULL, *newline;
	size_t length = 0;
	FILE *errors = open_memstream(&text, &length);
	struct params *new = errors ? conf_load(d->options.file, errors, NULL) : NULL;

	if (errors)
		fclose(errors);
	for (char *line = text; line && *line; line = newline ? newline + 1 : NULL) {
		int n;

		newline = strchr(line, '\n');
		n = newline ? (int)(newline - line) : (int)strlen(line);
		if (new)
			log_warning("reload: %.*s", n, line);
		else
			log_error("reload: %.*s", n, line);
	}
	if (!new)
		snprintf(message, size, "%.*s; the old configuration stays",
			 text ? (int)strcspn(text, "\n") : 0, text ? text : "");
	free(text);
	return new;
}

static bool reload_possible(struct daemon *d, const struct params *new, char *message, size_t size)
{
	char *text = NULL;
	size_t length = 0;
	FILE *out = open_memstream(&text, &length);
	unsigned n = out ? conf_restart_only(d->params, new, out) : 1;

	if (out)
		fclose(out);
	if (n > 0)
		snprintf(message, size, "needs a restart: %.*s; the old configuration stays",
			 text ? (int)strcspn(text, "\n") : 0, text ? text : "");
	free(text);
	return n == 0;
}

static bool reload_apply(struct daemon *d, char *message, size_t size)
{
	struct params *new = reload_read(d, message, size);
	struct keyring *keys = NULL;

	if (!new)
		return false;
	l7_adopt(d, new);
	if (!reload_possible(d, new, message, size))
		goto refuse;
	if (new->cluster.enabled) {
		keys = key_file_load(new, message, size);
		if (!keys)
			goto refuse;
	}
	if (l7_prepare(d, new) < 0 ||
	    engine_reload(d->engine, new, keys, daemon_now_ns(), d->actions) < 0) {
		l7_forget(d);
		snprintf(message, size, "out of memory");
		goto refuse;
	}
	loop_carry_out(d);
	conf_free(d->params);
	d->params = new;
	if (keys)
		d->keys = keys;
	checks_reload(d);
	l7_reload(d, keys);
	if (!d->options.debug)
		log_set_level((enum log_level) new->log_level);
	snprintf(message, size, "configuration read, all flows kept");
	return true;
refuse:
	conf_free(new);
	return false;
}

bool daemon_reload(struct daemon *d, char *message, size_t size)
{
	bool ok;

	sd_notifyf(0, "RELOADING=1\nMONOTONIC_USEC=%llu",
		   (unsigned long long)(daemon_now_ns() / 1000));
	ok = reload_apply(d, message, size);
	if (ok)
		log_notice("reload: %s", message);
	else
		log_error("reload: %s", message);
	engine_want_notes(d->engine, notes_wanted(d));
	sd_notify(0, "READY=1");
	loop_arm(d);
	return ok;
}

/* --- signals and timers ------------------------------------------------------------------------
 */

/* What was handed over may still come here for a moment, and is forwarded. */
static void leave_further(struct daemon *d)
{
	if (!d->leaving || engine_leaving(d->engine))
		return;
	engine_goodbye(d->engine, daemon_now_ns(), d->actions);
	loop_carry_out(d);
	event_base_loopexit(d->base, NULL);
}

static void on_stop(evutil_socket_t sig, short what, void *arg)
{
	struct daemon *d = arg;

	(void)what;
	sd_notify(0, "STOPPING=1");
	if (sig == SIGQUIT || d->leaving) {
		event_base_loopexit(d->base, NULL);
		return;
	}
	log_notice("stopping on signal %d, saying goodbye to the cluster", (int)sig);
	d->leaving = true;
	engine_leave(d->engine, daemon_now_ns(), d->actions);
	loop_carry_out(d);
	leave_further(d);
	loop_arm(d);
}

/* Nobody is told: for the others this node goes on. */
static void on_restart(evutil_socket_t sig, short what, void *arg)
{
	struct daemon *d = arg;

	if (d->leaving || !handover_possible(d)) {
		if (!d->leaving)
			log_warning("restart: nobody keeps the tables: neither systemd nor "
				    "\"restart-state\"; flows will be lost");
		on_stop(sig, what, arg);
		return;
	}
	sd_notify(0, "STOPPING=1");
	log_notice("restarting on signal %d, handing over the tables", (int)sig);
	d->restarting = true;
	event_base_loopbreak(d->base);
}

static void on_reload(evutil_socket_t sig, short what, void *arg)
{
	char message[512];

	(void)sig;
	(void)what;
	daemon_reload(arg, message, sizeof(message));
}

static void on_summary(evutil_socket_t sig, short what, void *arg)
{
	(void)sig;
	(void)what;
	notes_summary(arg);
}

static void on_debug(evutil_socket_t sig, short what, void *arg)
{
	struct daemon *d = arg;
	bool more = log_get_level() < LOG_LVL_DEBUG;

	(void)sig;
	(void)what;
	log_set_level(more ? LOG_LVL_DEBUG : (enum log_level)d->params->log_level);
	engine_want_notes(d->engine, notes_wanted(d));
	log_notice("debug output is %s", more ? "on" : "off");
}

static void on_timer(evutil_socket_t fd, short what, void *arg)
{
	struct daemon *d = arg;

	(void)fd;
	(void)what;
	d->armed_ns = UINT64_MAX;
	engine_tick(d->engine, daemon_now_ns(), d->actions);
	loop_carry_out(d);
	offloads_carry_out(d);
	l7_news(d);
	leave_further(d);
	loop_arm(d);
	d->rounds++;
}

static void on_retry(evutil_socket_t fd, short what, void *arg)
{
	struct daemon *d = arg;

	(void)fd;
	(void)what;
	for (uint16_t i = 0; i < d->params->n_ports; i++)
		loop_attach_port(d, &d->ports[i]);
	loop_attach_cluster(d);
	offloads_check(d);
	l7_check(d);
}

/* Only a loop that has moved on since the last time is alive. */
static void on_watchdog(evutil_socket_t fd, short what, void *arg)
{
	struct daemon *d = arg;

	(void)fd;
	(void)what;
	if (d->rounds != d->rounds_seen)
		sd_notify(0, "WATCHDOG=1");
	d->rounds_seen = d->rounds;
}

static void add_signal(struct daemon *d, unsigned *n, int sig, event_callback_fn fn)
{
	struct event *e = evsignal_new(d->base, sig, fn, d);

	evsignal_add(e, NULL);
	d->signals[(*n)++] = e;
}

static void add_timers(struct daemon *d)
{
	struct timeval retry = {.tv_sec = RETRY_S}, half;
	uint64_t usec = 0;
	unsigned n = 0;

	add_signal(d, &n, SIGTERM, on_stop);
	add_signal(d, &n, SIGINT, on_stop);
	add_signal(d, &n, SIGQUIT, on_stop);
	add_signal(d, &n, DAEMON_RESTART, on_restart);
	add_signal(d, &n, SIGHUP, on_reload);
	add_signal(d, &n, SIGUSR1, on_summary);
	add_signal(d, &n, SIGUSR2, on_debug);
	d->armed_ns = UINT64_MAX;
	d->timer = evtimer_new(d->base, on_timer, d);
	d->retry = event_new(d->base, -1, EV_PERSIST, on_retry, d);
	event_add(d->retry, &retry);
	if (sd_watchdog_enabled(0, &usec) > 0) {
		half = (struct timeval){.tv_sec = (time_t)(usec / 2000000),
					.tv_usec = (suseconds_t)(usec / 2 % 1000000)};
		d->watchdog = event_new(d->base, -1, EV_PERSIST, on_watchdog, d);
		event_add(d->watchdog, &half);
	}
}

/* --- life --------------------------------------------------------------------------------------
 */

static int daemon_make_engine(struct daemon *d)
{
	struct engine_seed seed;
	struct keyring *keys = NULL;
	char err[512];

	if (d->params->cluster.enabled) {
		keys = key_file_load(d->params, err, sizeof(err));
		if (!keys) {
			log_error("cluster: %s", err);
			return -1;
		}
	}
	if (getrandom(&seed, sizeof(seed), 0) != sizeof(seed)) {
		log_error("random numbers: %s", strerror(errno));
		keyring_free(keys);
		return -1;
	}
	d->actions = actions_new();
	d->engine = d->actions ? engine_new(d->params, keys, &seed, daemon_now_ns()) : NULL;
	explicit_bzero(&seed, sizeof(seed));
	if (!d->engine) {
		log_error("tables: out of memory; lower firewall max-flows");
		return -1;
	}
	d->keys = keys;
	engine_want_notes(d->engine, notes_wanted(d));
	return 0;
}

static int daemon_open(struct daemon *d)
{
	char err[256];

	d->base = event_base_new();
	if (!d->base || l7_open(d) < 0 || daemon_make_engine(d) < 0)
		return -1;
	add_timers(d);
	offloads_open(d);
	if (host_open(d) < 0 || requests_open(d) < 0 || loop_open_ports(d) < 0 ||
	    loop_open_cluster(d) < 0 || l7_start(d, d->keys) < 0 || checks_open(d) < 0)
		return -1;
	host_tell_engine(d);
	host_check(d);
	if (sandbox_enter(d->params, d->l7 != NULL, err, sizeof(err)) < 0) {
		log_error("privileges: %s", err);
		return -1;
	}
	handover_take(d);
	return 0;
}

static void daemon_close(struct daemon *d)
{
	if (!d->base)
		return;
	checks_close(d);
	l7_close(d);
	requests_close(d);
	loop_close_cluster(d);
	loop_close_ports(d);
	host_close(d);
	for (unsigned i = 0; i < DAEMON_SIGNALS; i++)
		if (d->signals[i])
			event_free(d->signals[i]);
	if (d->timer)
		event_free(d->timer);
	if (d->retry)
		event_free(d->retry);
	if (d->watchdog)
		event_free(d->watchdog);
	engine_free(d->engine);
	offloads_close(d);
	actions_free(d->actions);
	event_base_free(d->base);
}

static int daemon_loop(struct daemon *d)
{
	if (daemon_open(d) < 0)
		return 1;
	log_notice("node \"%s\" started, version %s, %u ports, %s", d->params->node,
		   PACKAGE_VERSION, d->params->n_ports,
		   d->params->cluster.enabled ? "in a cluster" : "alone");
	on_timer(-1, 0, d);
	sd_notifyf(0, "READY=1\nSTATUS=node %s", d->params->node);
	if (event_base_dispatch(d->base) < 0)
		return 1;
	if (d->restarting && !handover_save(d)) {
		engine_goodbye(d->engine, daemon_now_ns(), d->actions);
		loop_carry_out(d);
	}
	return d->exit_status;
}

static int daemon_test(const struct daemon_options *options)
{
	struct params *p = conf_load(options->file, stderr, NULL);

	if (!p)
		return 1;
	conf_free(p);
	return 0;
}

int daemon_run(const struct daemon_options *options)
{
	struct daemon d = {.options = *options};
	int status = 1;

	if (options->test)
		return daemon_test(options);
	d.params = conf_load(options->file, stderr, NULL);
	if (!d.params)
		return 1;
	signal(SIGPIPE, SIG_IGN);
	log_init(options->foreground ? LOG_TARGET_STDERR : d.params->log_target,
		 options->debug ? LOG_LVL_DEBUG : (enum log_level)d.params->log_level,
		 "fwclusterd");
	if (!options->foreground && !getenv("NOTIFY_SOCKET") && daemon(0, 0) < 0) {
		log_error("background: %s", strerror(errno));
		goto out;
	}
	status = daemon_loop(&d);
	daemon_close(&d);
	log_notice("stopped");
out:
	conf_free(d.params);
	return status;
}
