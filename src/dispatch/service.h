/*
 * service.h - which service does a packet ask for? By destination address, protocol and port.
 *
 * Built from the configuration and swapped whole at a reload. One look-up in a hash of (address,
 * protocol), then the services of that address in the order of the file: the first whose ports
 * match.
 */
#ifndef DISPATCH_SERVICE_H
#define DISPATCH_SERVICE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/params.h"

struct service_table;

struct service_table *service_table_new(const struct params *params);
void service_table_free(struct service_table *t);

/* Index of the service, or PARAMS_NONE. */
uint16_t service_find(const struct service_table *t, const struct ipaddr *dst, uint8_t proto,
		      uint16_t port);
/* Whether any service has that address. */
bool service_has_address(const struct service_table *t, const struct ipaddr *a);
/* First service with affinity, of that protocol, one of whose addresses is `a` (l4/2: a server that
 * speaks as the service), or one of whose targets has the address `a` (l4/3). PARAMS_NONE if none.
 * *target is the target's index, or PARAMS_NONE when it was found by the service's address. */
uint16_t service_of_server(const struct service_table *t, const struct ipaddr *a, uint8_t proto,
			   uint16_t *target);

#endif
