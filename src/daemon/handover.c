/*
 * handover.c - a restart: the tables go from this process to the next (FC-17, HD-24;
 * doc/restart.md), through the descriptor store of systemd, or through a file.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <systemd/sd-daemon.h>
#include <time.h>
#include <unistd.h>

#include "base/log.h"
#include "daemon/daemon.h"
#include "engine/handover.h"
#include "io/handover_store.h"

#define STORE_NAME "fwclusterd-tables"
#define STORE_WAIT_US 1000000 /* for systemd to have read what it was told */

static uint64_t boottime_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_BOOTTIME, &ts);
	return (uint64_t)ts.tv_sec * 1000000000ULL + (uint64_t)ts.tv_nsec;
}

static int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* The kernel's random id of this boot of the machine, 32 hex digits with hyphens between. */
static int read_machine(uint8_t id[HANDOVER_MACHINE])
{
	int fd = open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC);
	ssize_t size = -1;
	unsigned n = 0;
	char text[64];

	if (fd >= 0) {
		size = read(fd, text, sizeof(text));
		close(fd);
	}
	memset(id, 0, HANDOVER_MACHINE);
	for (ssize_t i = 0; i < size && n < 2 * HANDOVER_MACHINE; i++) {
		int digit = hex_digit(text[i]);

		if (digit < 0)
			continue;
		id[n / 2] = (uint8_t)(id[n / 2] << 4 | digit);
		n++;
	}
	return n == 2 * HANDOVER_MACHINE ? 0 : -EIO;
}

static int place_now(struct handover_place *place)
{
	place->boottime_ns = boottime_ns();
	return read_machine(place->machine);
}

/* --- the process that ends -------------------------------------------------------------------- */

static bool to_file(const struct daemon *d)
{
	return d->params->restart_state[0];
}

bool handover_possible(const struct daemon *d)
{
	return to_file(d) || getenv("NOTIFY_SOCKET");
}

/* Only when systemd has taken the descriptor may this process, which it knows the service by, end.
 */
static int give(int fd)
{
	int rc = handover_store_seal(fd);

	if (rc == 0)
		rc = sd_pid_notify_with_fds(0, 0, "FDSTORE=1\nFDNAME=" STORE_NAME, &fd, 1);
	if (rc <= 0)
		return rc < 0 ? rc : -ENOTCONN;
	rc = sd_notify_barrier(0, STORE_WAIT_US);
	return rc < 0 ? rc : 0;
}

static int write_tables(struct daemon *d, int fd)
{
	struct handover_place place;
	int rc = place_now(&place);

	if (rc == 0)
		rc = engine_save(d->engine, daemon_now_ns(), d->actions, &place, handover_store_put,
				 &fd);
	if (rc == 0 && !to_file(d))
		rc = give(fd);
	return rc;
}

bool handover_save(struct daemon *d)
{
	uint64_t begin = daemon_now_ns();
	int fd, rc;

	engine_settle(d->engine, begin, d->actions);
	loop_carry_out(d);
	fd = to_file(d) ? handover_store_file(d->params->restart_state)
			: handover_store_memory(STORE_NAME);
	rc = fd < 0 ? fd : write_tables(d, fd);
	actions_reset(d->actions); /* what it was to do, the next process does */
	if (rc < 0 && fd >= 0 && to_file(d))
		unlink(d->params->restart_state);
	if (fd >= 0)
		close(fd);
	if (rc < 0) {
		log_error("restart: tables cannot be handed over: %s; leaving the cluster",
			  strerror(-rc));
		return false;
	}
	log_notice("restart: tables handed over in %.1f ms",
		   (double)(daemon_now_ns() - begin) / 1e6);
	return true;
}

/* --- the process that begins ------------------------------------------------------------------ */

static void say_report(const struct handover_report *r, double took_ms)
{
	uint32_t kept = 0, lost = 0;

	for (unsigned i = 0; i < HANDOVER_TYPES; i++) {
		kept += handover_is_flows(i) ? r->kept[i] : 0;
		lost += handover_is_flows(i) ? r->lost[i] : 0;
	}
	log_notice("restart: goes on with %u flows, %u forward entries and %u backups of before, "
		   "%.1f ms later; reading them took %.1f ms",
		   kept, r->kept[HANDOVER_FORWARDS], r->kept[HANDOVER_HELD],
		   (double)r->elapsed_ns / 1e6, took_ms);
	if (lost > 0)
		log_warning("restart: %u flows of before are over, have no room, or name what the "
			    "configuration does not have any more",
			    lost);
	if (r->unknown > 0)
		log_warning("restart: %u sections of another version were skipped", r->unknown);
}

static void read_tables(struct daemon *d, const struct handover_bytes *b)
{
	uint64_t begin = daemon_now_ns();
	struct handover_report report;
	struct handover_place place;
	const char *why = "no boot id of the machine";
	int rc = place_now(&place);

	if (rc == 0)
		rc = engine_restore(d->engine, begin, d->actions, &place, b->data, b->size, &report,
				    &why);
	if (rc < 0)
		log_warning("restart: tables of a process before were refused: %s", why);
	else
		say_report(&report, (double)(daemon_now_ns() - begin) / 1e6);
	loop_carry_out(d);
}

/* What systemd has kept, under our name; others are closed. */
static int take_memory(void)
{
	char **names = NULL;
	int n = sd_listen_fds_with_names(1, &names), found = -1;

	for (int i = 0; i < n; i++) {
		int fd = SD_LISTEN_FDS_START + i;

		if (found < 0 && strcmp(names[i], STORE_NAME) == 0)
			found = fd;
		else
			close(fd);
		free(names[i]);
	}
	if (n > 0)
		free(names);
	return found;
}

/* Gone from the store before it is used: no later process can find it there. */
static int take_from_systemd(struct handover_bytes *b)
{
	int fd = take_memory(), rc;

	if (fd < 0)
		return -ENOENT;
	sd_notify(0, "FDSTOREREMOVE=1\nFDNAME=" STORE_NAME);
	rc = sd_notify_barrier(0, STORE_WAIT_US);
	if (rc >= 0)
		rc = handover_store_map_memory(fd, b);
	close(fd);
	return rc;
}

void handover_take(struct daemon *d)
{
	struct handover_bytes b = {0};
	int rc = take_from_systemd(&b);

	if (rc == -ENOENT && to_file(d))
		rc = handover_store_take_file(d->params->restart_state, &b);
	if (rc == 0)
		read_tables(d, &b);
	else if (rc != -ENOENT)
		log_warning("restart: tables of a process before were not read: %s", strerror(-rc));
	handover_store_unmap(&b);
}
