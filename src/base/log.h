/*
 * log.h - the log sink. Used only by io, conf, daemon and ctl.
 *
 * Lines are lower case, subject first, values in double quotes, consequence last. Configured once;
 * the sink is the program's only mutable global. It never waits: lines that the reader is too slow
 * for are lost, counted, and spoken of in the next one that it takes.
 */
#ifndef BASE_LOG_H
#define BASE_LOG_H

#include "base/params.h"

enum log_level { LOG_LVL_ERROR, LOG_LVL_WARNING, LOG_LVL_NOTICE, LOG_LVL_INFO, LOG_LVL_DEBUG };

void log_init(enum log_target target, enum log_level level, const char *ident);
void log_set_level(enum log_level level);
enum log_level log_get_level(void);

/* Lines that nobody took, since the program began. */
uint64_t log_lost(void);

void log_error(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
void log_warning(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
void log_notice(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
void log_info(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
void log_debug(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/* With extra journald fields ("FWC_EVENT=member-up\nFWC_MEMBER=fw2"), ignored by other targets. */
void log_event(enum log_level level, const char *fields, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

#endif
