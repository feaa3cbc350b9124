/*
 * monitor.h - follow the daemon's events.
 */
#ifndef CTL_MONITOR_H
#define CTL_MONITOR_H

#include "ctl/grammar.h"
#include "ctl/options.h"
#include "ctl/request.h"

/* Subscribe and print until `c->count` events, or the daemon, end it. */
enum exit_code monitor_run(const struct options *o, const struct command *c, struct request *r);

#endif
