/*
 * offloader_none.c - a build without flow offload (configure --disable-offload).
 */
#include <errno.h>
#include <stdio.h>

#include "io/offloader.h"

struct offloader *offloader_open(uint32_t n_flows, char *err, size_t err_size)
{
	(void)n_flows;
	snprintf(err, err_size, "this build has no offload");
	return NULL;
}

void offloader_close(struct offloader *o)
{
	(void)o;
}

struct offload_slot *offloader_slots(const struct offloader *o)
{
	(void)o;
	return NULL;
}

uint32_t offloader_n_slots(const struct offloader *o)
{
	(void)o;
	return 0;
}

struct offload_control *offloader_control(const struct offloader *o)
{
	(void)o;
	return NULL;
}

int offloader_filter(const struct offloader *o)
{
	(void)o;
	return -1;
}

int offloader_attach(struct offloader *o, unsigned ifindex, const struct port_params *params,
		     char *err, size_t err_size)
{
	(void)o;
	(void)ifindex;
	snprintf(err, err_size, "port \"%s\": this build has no offload", params->name);
	return -ENOTSUP;
}

void offloader_detach(struct offloader *o, unsigned ifindex)
{
	(void)o;
	(void)ifindex;
}

int offloader_put(struct offloader *o, const struct offload_key *key, uint32_t value)
{
	(void)o;
	(void)key;
	(void)value;
	return -ENOTSUP;
}

int offloader_remove(struct offloader *o, const struct offload_key *key)
{
	(void)o;
	(void)key;
	return -ENOTSUP;
}

unsigned offloader_broken(const struct offloader *o)
{
	(void)o;
	return 0;
}

void offloader_mended(struct offloader *o)
{
	(void)o;
}
