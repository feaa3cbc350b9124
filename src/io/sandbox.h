/*
 * sandbox.h - giving up what the daemon does not need any more.
 *
 * Called once, after everything that needs more has been opened and before the first frame is
 * read. Of the capabilities CAP_NET_RAW and CAP_NET_ADMIN stay (ports and the cluster socket are
 * opened again when a device comes back), the user changes when one is configured, and nothing can
 * be gained back. Then a seccomp filter lets only those system calls through that a running daemon
 * makes: in mode "log" others are written to the audit log, in mode "enforce" they end the process.
 */
#ifndef IO_SANDBOX_H
#define IO_SANDBOX_H

#include <stdbool.h>
#include <stddef.h>

#include "base/params.h"

/* A build with a sanitizer needs some calls that are else forbidden. */
#if defined(__SANITIZE_ADDRESS__)
#define SANDBOX_SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(leak_sanitizer)
#define SANDBOX_SANITIZED 1
#endif
#endif

/* Capabilities, user, PR_SET_NO_NEW_PRIVS, PR_SET_DUMPABLE. `user` "" = keep the user. A process
 * that lacks one of the two capabilities goes on without it. 0, or negative errno with text in
 * `err`; after an error the process may have lost some of its privileges already: give up. */
int sandbox_drop_privileges(const char *user, char *err, size_t err_size);

/* The seccomp filter, for all threads; with `offload` the maps of flow offload can be written, with
 * `streams` bodies spliced. 0, or negative errno with text in `err`. */
int sandbox_filter(enum seccomp_mode mode, bool offload, bool streams, char *err, size_t err_size);

/* Both, as the configuration says; `streams` when bytes are relayed (io/stream.h). */
int sandbox_enter(const struct params *params, bool streams, char *err, size_t err_size);

#endif
